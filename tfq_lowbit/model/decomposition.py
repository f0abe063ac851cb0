"""Layers that are taken apart into layers of one kernel each, before anything is quantized.

The parts hold copies of the weights; the float model stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from tfq_lowbit.model.graph import Edge, Graph, Node, unused_name
from tfq_lowbit.model.rules import Role, find_rule

layers = keras.layers


@dataclass
class Parts:
    """Puts the parts of one call in its place.

    Attributes:
        call: the call that is taken apart.
        names: names in use.
        made: the layers of parts made so far, by the id of the layer and the name of the part: a
            layer that is called twice stays shared.
        nodes: the calls of the parts.
    """

    call: Node
    names: set
    made: dict
    nodes: list = field(default_factory=list)

    def add(self, part, make, inputs, shape, weights=()):
        """Add the call of a part.

        Args:
            part: its name, behind that of the layer.
            make: `(**options) -> layer`, with the options of every Keras layer.
            inputs: an edge, or a list of edges.
            shape: of its output.
            weights: variables or arrays, in the order of the part's own.

        Returns:
            The edge that it makes.
        """
        whole = self.call.layer
        name = unused_name(f"{self.call.name}_{part}", self.names)
        self.names.add(name)
        if (id(whole), part) not in self.made:
            layer = make(name=name, dtype=whole.dtype_policy, trainable=whole.trainable)
            layer.build(keras.tree.map_structure(lambda edge: edge.shape, inputs))
            layer.set_weights([keras.ops.convert_to_numpy(each) for each in weights])
            self.made[id(whole), part] = layer
        edge = Edge(shape, self.call.output.dtype, name)
        node = Node(self.made[id(whole), part], name, (inputs,), {}, edge)
        node.path, node.origin = f"{self.call.path}_{part}", self.call.path
        self.nodes.append(node)
        return edge


def decompose_layers(graph: Graph):
    """Replace the calls of layers that consist of several by the calls of those."""
    names = {node.name for node in graph.nodes}
    made: dict = {}
    for node in list(graph.nodes):
        if find_rule(node.layer).role is not Role.DECOMPOSED:
            continue
        parts = Parts(node, names, made)
        _DECOMPOSITIONS[type(node.layer)](parts)
        # What the rest of the graph takes is the old edge: the last part makes it.
        node.output.name = parts.nodes[-1].name
        parts.nodes[-1].outputs = node.output
        index = graph.nodes.index(node)
        graph.nodes[index : index + 1] = parts.nodes


def _separable(depthwise_class, pointwise_class):
    """Return the decomposition of a separable convolution: by channel, then by position."""

    def decompose(parts):
        layer, (edge,) = parts.call.layer, parts.call.data_inputs
        channels = edge.shape[-1] * layer.depth_multiplier
        shape = (*parts.call.output.shape[:-1], channels)

        def make_depthwise(**options):
            return depthwise_class(
                layer.kernel_size,
                strides=layer.strides,
                padding=layer.padding,
                depth_multiplier=layer.depth_multiplier,
                dilation_rate=layer.dilation_rate,
                use_bias=False,
                depthwise_regularizer=layer.depthwise_regularizer,
                depthwise_constraint=layer.depthwise_constraint,
                **options,
            )

        def make_pointwise(**options):
            return pointwise_class(
                layer.filters,
                1,
                activation=layer.activation,
                use_bias=layer.use_bias,
                kernel_regularizer=layer.pointwise_regularizer,
                bias_regularizer=layer.bias_regularizer,
                kernel_constraint=layer.pointwise_constraint,
                bias_constraint=layer.bias_constraint,
                **options,
            )

        depthwise = parts.add("depthwise", make_depthwise, edge, shape, [layer.depthwise_kernel])
        weights = [layer.pointwise_kernel, *([layer.bias] if layer.use_bias else [])]
        parts.add("pointwise", make_pointwise, depthwise, parts.call.output.shape, weights)

    return decompose


_DECOMPOSITIONS: dict[type, Callable] = {
    layers.SeparableConv1D: _separable(layers.DepthwiseConv1D, layers.Conv1D),
    layers.SeparableConv2D: _separable(layers.DepthwiseConv2D, layers.Conv2D),
}
