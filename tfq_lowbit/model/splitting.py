"""Calls that become several, because an integer runtime rounds, on some grid, in between."""

import keras

from tfq_lowbit.model.activations import CLAMPS, activation_name
from tfq_lowbit.model.functions import PRODUCTS, known_activation
from tfq_lowbit.model.graph import Edge, Graph, Node
from tfq_lowbit.model.rules import Role, find_rule

layers = keras.layers

# What adds up, or multiplies, more than two tensors two at a time.
CHAINED = {layers.Add: layers.Add, layers.Average: layers.Add, layers.Multiply: layers.Multiply}


def split_calls(graph: Graph):
    """Replace calls of a float graph by calls that each make one tensor of the integer model.

    - A layer with a kernel whose activation is no clamp, by the linear layer and the activation,
      whose input needs a grid.
    - SiLU and hard SiLU by their factor and its product with the input.
    - A sum, mean or product of more than two tensors by a chain of those of two.
    - `relu6(x + 3) / 6`, as MobileNetV3 writes it in operations, by the hard sigmoid that it is.

    Raises:
        ValueError: naming the layer, if a call cannot be quantized.
    """
    for split in (_split_activation, _split_product, _split_chain):
        for index in reversed(range(len(graph.nodes))):
            split(graph, index)
    _join_hard_sigmoids(graph)


def _split_activation(graph, index):
    node = graph.nodes[index]
    if find_rule(node.layer).role is not Role.KERNEL or activation_name(node.layer) in CLAMPS:
        return
    function = node.layer.activation
    raw, output = Edge(node.output.shape, node.output.dtype, node.name), node.output
    suffix = activation_name(node.layer)
    layer = layers.Activation(function, name=f"{node.name}_{suffix}", dtype=node.layer.dtype_policy)
    output.name, node.outputs = layer.name, raw
    graph.nodes.insert(index + 1, _part(node, layer, (raw,), output, suffix))


def _split_product(graph, index):
    node = graph.nodes[index]
    factor = PRODUCTS.get(known_activation(node.layer) or "")
    if factor is None or type(node.layer) is not layers.Activation:
        return
    (x,), policy = node.data_inputs, node.layer.dtype_policy
    name = f"{node.name}_{factor}"
    between = Edge(node.output.shape, node.output.dtype, name)
    gate = layers.Activation(factor, name=name, dtype=policy)
    product = layers.Multiply(name=node.name, dtype=policy)
    graph.nodes[index : index + 1] = [
        _part(node, gate, (x,), between, factor),
        _part(node, product, ([x, between],), node.output),
    ]


def _split_chain(graph, index):
    node = graph.nodes[index]
    edges, kind = node.data_inputs, CHAINED.get(type(node.layer))
    if kind is None or len(edges) < 3:
        return
    policy, made = node.layer.dtype_policy, []
    is_mean = type(node.layer) is layers.Average
    total = edges[0]
    for count, edge in enumerate(edges[1:], start=1):
        is_last = count == len(edges) - 1 and not is_mean
        name = node.name if is_last else f"{node.name}_part_{count}"
        output = node.output if is_last else Edge(node.output.shape, node.output.dtype, name)
        layer = kind(name=name, dtype=policy)
        suffix = "" if is_last else f"part_{count}"
        made.append(_part(node, layer, ([total, edge],), output, suffix))
        total = output
    if is_mean:
        layer = layers.Rescaling(1.0 / len(edges), name=node.name, dtype=policy)
        made.append(_part(node, layer, (total,), node.output))
    graph.nodes[index : index + 1] = made


def _part(whole, layer, args, output, suffix=""):
    """Return the call of a part, for which a recipe's settings for the whole hold too."""
    origin = whole.origin or whole.path
    path = f"{whole.path}_{suffix}" if suffix else whole.path
    return Node(layer, layer.name, args, {}, output, path, origin if path != origin else "")


def _join_hard_sigmoids(graph):
    for last in list(graph.nodes):
        calls = _chain_before(graph, last, 3)
        if calls is None:
            continue
        first, middle, _ = calls
        is_shift = _is_rescaling(first, 1.0, 3.0)
        is_relu6 = isinstance(middle.layer, (layers.ReLU, layers.Activation)) and (
            activation_name(middle.layer) == "relu6"
            or (type(middle.layer) is layers.ReLU and _is_relu6(middle.layer))
        )
        if is_shift and is_relu6 and _is_rescaling(last, 1.0 / 6.0, 0.0):
            last.layer = layers.Activation(
                "hard_sigmoid", name=last.layer.name, dtype=middle.layer.dtype_policy
            )
            last.args = first.args
            graph.nodes.remove(first)
            graph.nodes.remove(middle)


def _chain_before(graph, node, count):
    """Return `count` calls that end in `node`, each the only consumer of the one before."""
    calls = [node]
    while len(calls) < count:
        edges = calls[0].inputs
        before = graph.producer(edges[0]) if len(edges) == 1 else None
        if before is None or not graph.is_only_for(edges[0], calls[0]):
            return None
        calls.insert(0, before)
    return calls


def _is_rescaling(node, scale, offset):
    layer = node.layer
    return (
        type(layer) is layers.Rescaling
        and isinstance(layer.scale, float)
        and abs(layer.scale - scale) < 1e-7
        and layer.offset == offset
    )


def _is_relu6(layer):
    return layer.max_value == 6 and not layer.negative_slope and not layer.threshold
