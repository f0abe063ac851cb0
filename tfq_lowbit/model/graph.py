"""The layer graph of a Keras model, read through the public API."""

import inspect
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from tfq_lowbit.model.arrays import adopt_weights
from tfq_lowbit.model.operations import layer_of_operation, rescaling_after
from tfq_lowbit.model.registration import apply_registration
from tfq_lowbit.model.tracing import functional_of, functional_of_call


@dataclass(eq=False)
class Edge:
    """One tensor of the graph.

    Attributes:
        shape: static shape, None for unknown dimensions.
        dtype: name of the type.
        name: name of the input, or of the layer that makes it.
        group: edges of one group, "" for none, are on one grid.
    """

    shape: tuple
    dtype: str
    name: str = ""
    group: str = ""


@dataclass(eq=False)
class Node:
    """One call of a layer.

    Attributes:
        layer: the layer (or other operation) that is called.
        name: the layer's name, with `_1`, `_2` ... for further calls of a shared layer; of a layer
            in a nested model with the names of the models before it, as "backbone_conv".
        path: names of the nested models and of the layer, as "backbone/conv".
        origin: path of the layer that was taken apart into this and others, "" where none was.
        is_precise: whether its inputs and weights have eight bits whatever a recipe says.
        args: positional arguments, tensors replaced by edges.
        kwargs: keyword arguments, likewise.
        outputs: what the call returns, likewise.
    """

    layer: Any
    name: str
    args: tuple
    kwargs: dict
    outputs: Any = None
    path: str = ""
    origin: str = ""
    is_precise: bool = False

    def __post_init__(self):
        self.path = self.path or self.name

    @property
    def inputs(self) -> list[Edge]:
        """All edges among the arguments."""
        return [leaf for leaf in keras.tree.flatten((self.args, self.kwargs)) if is_edge(leaf)]

    @property
    def data_inputs(self) -> list[Edge]:
        """The edges of the first argument: what the layer transforms."""
        return [leaf for leaf in keras.tree.flatten(self.args[:1]) if is_edge(leaf)]

    @property
    def output(self) -> Edge:
        """The first output."""
        return keras.tree.flatten(self.outputs)[0]


@dataclass(eq=False)
class Graph:
    """Layer calls in an order in which they can run.

    Attributes:
        name: name of the model.
        inputs: the model's inputs, in the model's own structure (a list or dict of edges).
        outputs: the model's outputs, likewise.
        nodes: the calls.
    """

    name: str
    inputs: Any = None
    outputs: Any = None
    nodes: list[Node] = field(default_factory=list)

    @property
    def input_edges(self) -> list[Edge]:
        """The inputs, flat."""
        return keras.tree.flatten(self.inputs)

    @property
    def output_edges(self) -> list[Edge]:
        """The outputs, flat."""
        return keras.tree.flatten(self.outputs)

    def consumers(self, edge: Edge) -> list[Node]:
        """Return the calls that take `edge`, once for each time they take it."""
        return [node for node in self.nodes for taken in node.inputs if taken is edge]

    def count_uses(self) -> Counter:
        """Return how often calls take each edge, 0 for one that no call takes."""
        return Counter(edge for node in self.nodes for edge in node.inputs)

    def is_only_for(self, edge: Edge, node: Node) -> bool:
        """Return whether `node` alone takes `edge`, once."""
        return self.consumers(edge) == [node] and edge not in self.output_edges

    def producer(self, edge: Edge) -> Node | None:
        """Return the call that makes `edge`, None for an input."""
        for node in self.nodes:
            if any(made is edge for made in keras.tree.flatten(node.outputs)):
                return node
        return None

    def run(self, inputs: list, call: Callable) -> list:
        """Run the graph on `inputs`, which may be arrays, tensors or anything that `call` takes.

        Args:
            inputs: one value for each input edge.
            call: `(node, args, kwargs) -> outputs`, with values in place of edges.

        Returns:
            One value for each output edge.
        """
        values = dict(zip(self.input_edges, inputs, strict=True))
        remaining = self.count_uses()
        kept = set(self.output_edges)
        for node in self.nodes:
            args, kwargs = keras.tree.map_structure(
                lambda leaf: values[leaf] if is_edge(leaf) else leaf, (node.args, node.kwargs)
            )
            outputs = call(node, args, kwargs)
            made, results = keras.tree.flatten(node.outputs), keras.tree.flatten(outputs)
            values.update(zip(made, results, strict=True))
            for edge in node.inputs:
                remaining[edge] -= 1
                if not remaining[edge] and edge not in kept:
                    del values[edge]
        return [values[edge] for edge in self.output_edges]


def is_edge(leaf) -> bool:
    """Return whether `leaf` is an edge."""
    return isinstance(leaf, Edge)


class _StandIn(keras.Operation):
    """Takes a layer's place while the graph is read, so that the layer itself is not called."""

    def __init__(self, layer):
        super().__init__()
        self.replaced = layer

    def call(self, *args, **kwargs):
        """Never: the graph is only traced."""
        raise NotImplementedError

    def compute_output_spec(self, *args, **kwargs):
        """Ask the layer."""
        return self.replaced.compute_output_spec(*args, **kwargs)


def read_graph(model) -> Graph:
    """Read the graph of a model; the model stays as it is.

    Nested models are read too: their layers take the place of the call, at any depth. So do the
    layers that a subclassed model, or a layer of somebody's own, calls in its `call`, if that can
    be traced. Operations (`x + y`, `keras.ops.relu(x)`) become the layers that do the same, where
    there are such.

    Args:
        model: a built `keras.Model`.

    Returns:
        The `Graph`; its nodes hold the model's own layers.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it is unbuilt, or it or a model in it has a `call` of its own that cannot be
            traced.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be a Sequential or functional keras.Model. "
            f"Received: {type(model).__name__}"
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"Model {model.name!r} is not built, so its layers have no shapes. Add a keras.Input "
            "as its first layer or call model.build(input_shape)."
        )
    graph = _read_calls(functional_of(model))
    index, registered = 0, dict[int, Any]()
    while index < len(graph.nodes):
        apply_registration(graph.nodes[index], registered)
        inner = _read_node(graph.nodes[index])
        if inner is None:
            index += 1
        else:
            _inline(graph, index, inner)
    _replace_operations(graph)
    return graph


def _read_node(node) -> Graph | None:
    """Read what a nested model, or a layer of somebody's own, does; None for other calls."""

    def symbolic(leaf):
        return keras.Input(batch_shape=leaf.shape, dtype=leaf.dtype) if is_edge(leaf) else leaf

    args, kwargs = keras.tree.map_structure(symbolic, (node.args, node.kwargs))
    functional = functional_of_call(node.layer, args, kwargs)
    if functional is not None and node.kwargs.get("training"):
        raise ValueError(
            f"{node.layer.name!r} ({type(node.layer).__name__}) is called with training=True, so "
            "that it would train in inference too. Leave `training` to Keras."
        )
    if functional is None:
        return None
    inner = _read_calls(functional)
    if isinstance(node.layer, keras.Model) or adopt_weights(node.layer, functional, inner.nodes):
        return inner
    return None


def _read_calls(functional) -> Graph:
    """Read the graph of a functional model, in which a nested model is one call."""
    graph = Graph(functional.name)
    edges: dict[int, tuple[Edge, Any]] = {}
    own_names = {operation.name for operation in functional.operations}
    names: set[str] = set()

    def new_name(name):
        """Return the layer's own name for its first call; `_1` may be another layer's name."""
        name = name if name not in names else unused_name(name, names | own_names)
        names.add(name)
        return name

    def record(stand_in, *args, **kwargs):
        outputs = stand_in(*args, **kwargs)
        layer = stand_in.replaced
        if _trains_by_default(layer):
            kwargs.pop("training", None)  # the default, which Keras writes down
        name = new_name(layer.name)

        def to_edge(leaf):
            return edges[id(leaf)][0] if id(leaf) in edges else leaf

        def new_edge(tensor):
            edge = Edge(tuple(tensor.shape), tensor.dtype, name)
            edges[id(tensor)] = edge, tensor  # the tensor is kept: its id must stay taken
            return edge

        args, kwargs = keras.tree.map_structure(to_edge, (args, kwargs))
        graph.nodes.append(
            Node(layer, name, args, kwargs, keras.tree.map_structure(new_edge, outputs), layer.name)
        )
        return outputs

    input_names = {
        id(layer.output): layer.name
        for layer in functional.layers
        if isinstance(layer, keras.layers.InputLayer)
    }

    def new_input(tensor):
        name = input_names[id(tensor)]
        copy = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        edges[id(copy)] = Edge(tuple(tensor.shape), tensor.dtype, name), copy
        return copy

    inputs = keras.tree.map_structure(new_input, functional.input)
    copied = keras.models.clone_model(
        functional, input_tensors=inputs, clone_function=_StandIn, call_function=record
    )
    graph.inputs = keras.tree.map_structure(lambda tensor: edges[id(tensor)][0], inputs)
    graph.outputs = keras.tree.map_structure(lambda tensor: edges[id(tensor)][0], copied.output)
    return graph


def _trains_by_default(layer):
    """Return whether a layer (of random images) trains unless it is told not to."""
    training = inspect.signature(layer.call).parameters.get("training")
    return training is not None and training.default is True


def _inline(graph, index, inner):
    """Put the calls of an inner graph in the place of one call."""
    call = graph.nodes[index]
    taken, made = call.inputs[: len(inner.input_edges)], keras.tree.flatten(call.outputs)
    # What the inner model calls its inputs and outputs, outside.
    outside = dict(zip(inner.input_edges, taken, strict=True))
    passed_on = {}  # outputs that are inputs, or twice the same: there is one edge for both
    for edge, output in zip(inner.output_edges, made, strict=True):
        if edge in outside:
            passed_on[output] = outside[edge]
        else:
            outside[edge] = output

    def rename(leaf):
        leaf = outside.get(leaf, leaf) if is_edge(leaf) else leaf
        return passed_on.get(leaf, leaf) if is_edge(leaf) else leaf

    names = {node.name for node in graph.nodes if node is not call}
    for node in inner.nodes:
        if not isinstance(node.layer, keras.layers.Layer):
            node.origin = node.origin or call.path  # an operation has no name that one gave it
        if len(inner.nodes) == 1 and not isinstance(call.layer, keras.Model):
            node.path, node.name = call.path, call.name
        else:
            node.path = f"{call.path}/{node.path}"
            node.name = unused_name(f"{call.name}_{node.name}", names)
        names.add(node.name)
        node.args, node.kwargs, node.outputs = keras.tree.map_structure(
            rename, (node.args, node.kwargs, node.outputs)
        )
        for edge in keras.tree.flatten(node.outputs):
            edge.name = node.name
    for node in graph.nodes[index + 1 :]:
        node.args, node.kwargs = keras.tree.map_structure(rename, (node.args, node.kwargs))
    graph.outputs = keras.tree.map_structure(rename, graph.outputs)
    graph.nodes[index : index + 1] = inner.nodes


def _replace_operations(graph):
    """Put layers in the place of operations; a chain of `* / + -` with numbers is one layer."""
    rescaled: dict[Edge, Node] = {}  # the calls that made them from a number
    for node in list(graph.nodes):
        if isinstance(node.layer, keras.layers.Layer):
            continue
        found = layer_of_operation(node, is_edge)
        if found is None:
            continue
        node.layer, taken = found
        if isinstance(node.layer, keras.layers.Rescaling):
            before = rescaled.get(taken)
            if before is not None and graph.is_only_for(taken, node):
                node.layer, taken = rescaling_after(before.layer, node.layer), before.args[0]
                graph.nodes.remove(before)
            rescaled[node.output] = node
        node.args, node.kwargs = (taken,), {}


def unused_name(name, names):
    """Return a name, with `_1`, `_2` ... where it is in use."""
    numbered = (f"{name}_{count}" for count in itertools.count(1))
    return name if name not in names else next(each for each in numbered if each not in names)


def find_ends(graph: Graph, nodes: list[Node]) -> list[Node]:
    """Return those of `nodes` that depend on none of them, or on which none of them depends."""
    wanted, behind = set(nodes), set()
    before: set[Node] = set()
    producers = {edge: node for node in graph.nodes for edge in keras.tree.flatten(node.outputs)}
    for node in graph.nodes:
        makers = [producers[edge] for edge in node.inputs if edge in producers]
        if any(maker in wanted or maker in behind for maker in makers):
            behind.add(node)
    for node in reversed(graph.nodes):
        if node in wanted or node in before:
            before.update(producers[edge] for edge in node.inputs if edge in producers)
    return [node for node in nodes if node not in behind or node not in before]
