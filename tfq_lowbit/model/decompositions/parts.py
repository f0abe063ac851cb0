"""The parts of one layer call while it is taken apart."""

from dataclasses import dataclass, field

import keras

from tfq_lowbit.model.graph import Edge, Graph, Node, unused_name
from tfq_lowbit.wrappers import FoldBatch


@dataclass
class Parts:
    """Puts the parts of one call in its place.

    Attributes:
        graph: the graph that the call stands in.
        call: the call that is taken apart.
        names: names in use.
        made: the layers with weights made so far, by the id of what their weights come from and the
            name of the part: a layer that is called twice stays shared.
        nodes: the calls of the parts.
        is_precise: whether the parts have eight bits whatever the recipe says.
    """

    graph: Graph
    call: Node
    names: set
    made: dict
    nodes: list = field(default_factory=list)
    is_precise: bool = False

    def add(self, part, make, inputs, weights=(), source=None, group="", is_precise=False):
        """Add the call of a part.

        Args:
            part: its name, behind that of the layer; "" for the layer's own.
            make: `(**options) -> layer`, with the options of every Keras layer.
            inputs: an edge, or a list of edges.
            weights: variables or arrays, in the order of the part's own.
            source: what the weights come from, None for the layer. It is known by its id: nothing
                that is made while calls are taken apart, and dropped again.
            group: of the edge that it makes.
            is_precise: whether this part has eight bits whatever the recipe says.

        Returns:
            The edge that it makes.
        """
        whole = self.call.layer
        suffix = f"_{part}" if part else ""
        name = self.call.name
        if part:
            name = unused_name(name + suffix, self.names)
            self.names.add(name)
        key: tuple = (id(whole), part)
        if source is not None:
            config = {name: value for name, value in whole.get_config().items() if name != "name"}
            key = (id(source), type(whole), repr(config), part)
        layer = self.made.get(key)
        if layer is None:
            trainable = getattr(whole, "trainable", True)
            policy = getattr(whole, "dtype_policy", keras.config.dtype_policy()).name
            # An operation has no policy of its own: its part takes Keras's, as any new layer does.
            layer = make(name=name, dtype=policy, trainable=trainable)
            shapes = keras.tree.map_structure(lambda edge: edge.shape, inputs)
            if not layer.built:
                layer.build(shapes)
            layer.set_weights([keras.ops.convert_to_numpy(each) for each in weights])
            if layer.weights:
                self.made[key] = layer
        taken = keras.tree.map_structure(
            lambda edge: keras.KerasTensor(edge.shape, edge.dtype), inputs
        )
        shape = tuple(layer.compute_output_spec(taken).shape)
        edge = Edge(shape, keras.tree.flatten(inputs)[0].dtype, name, group)
        node = Node(layer, name, (inputs,), {}, edge, self.call.path + suffix)
        node.is_precise = self.is_precise or is_precise
        node.origin = self.call.path if part else self.call.origin
        self.nodes.append(node)
        return edge

    def fold(self, part, edge, shape):
        """Add a change of shape in which the batch takes what `shape` does not."""
        return self.add(part, lambda **options: FoldBatch(shape, **options), edge)

    def reshape(self, part, edge, shape):
        """Add a change of shape, `shape` without the batch; nothing where it is that already.

        Raises:
            ValueError: if a size is unknown.
        """
        if tuple(edge.shape[1:]) == tuple(shape):
            return edge
        return self.add(part, lambda **options: keras.layers.Reshape(shape, **options), edge)
