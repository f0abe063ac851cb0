"""Operations with an array among their operands: kernels, and weights beside the data.

A `call` of somebody's own that multiplies with a variable, as `ops.matmul(x, self.w) + self.b`, is
a dense layer, and one that adds a table of positions adds a tensor of weights. Variables that train
go on training; arrays of numbers do not.
"""

import keras
import numpy as np

from tfq_lowbit.model.arrays import is_array, trains, values_of
from tfq_lowbit.model.graph import is_edge
from tfq_lowbit.model.rules import find_rule, refusal
from tfq_lowbit.wrappers import ChannelScale, WeightTensor

layers = keras.layers
KERNELS = (
    *(layers.Dense, layers.EinsumDense, layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
)


def decompose_sum(merge):
    """Return how a sum or difference with an array is taken apart.

    Behind a kernel, an array of one value for each channel is its bias.
    """

    def decompose(parts):
        edge, array, is_first = _operands(parts)
        if merge is layers.Add and (biased := _as_bias(parts, edge, array)) is not None:
            return biased
        weight = _weight(parts, edge, array, values_of(array), _options(array, ""))
        inputs = [weight, edge] if is_first else [edge, weight]
        return parts.add("", lambda **options: merge(**options), inputs)

    return decompose


def decompose_product(parts):
    """Take a product with an array apart."""
    edge, array, _ = _operands(parts)
    return _multiply(parts, edge, array, values_of(array), _options(array, ""))


def decompose_quotient(parts):
    """Take a quotient by an array apart: a product with its inverse."""
    edge, array, is_first = _operands(parts)
    if is_first:
        find_rule(parts.call.layer)
    # What holds for a divisor, as its constraint, does not for its inverse.
    return _multiply(parts, edge, array, 1.0 / values_of(array), {"trainable": trains(array)})


def decompose_matmul(parts):
    """Take a product with a matrix apart: a dense layer."""
    edge, array, is_first = _operands(parts)
    if is_first or len(array.shape) != 2 or getattr(parts.call.layer, "axes", 1) != 1:
        find_rule(parts.call.layer)

    def make(**options):
        return layers.Dense(array.shape[1], use_bias=False, **options)

    return _kernel(parts, edge, array, make)


def decompose_kernel_equation(parts):
    """Take an equation over a tensor and an array apart: a dense layer over several axes."""
    edges = [leaf for leaf in parts.call.args if is_edge(leaf)]
    (array,) = (leaf for leaf in parts.call.args if is_array(leaf))
    terms, outputs = parts.call.layer.subscripts.replace(" ", "").split("->")
    terms = terms.split(",")
    terms = terms if is_edge(parts.call.args[0]) else terms[::-1]
    equation, shape = f"{','.join(terms)}->{outputs}", parts.call.output.shape[1:]
    return _kernel(
        parts, edges[0], array, lambda **options: layers.EinsumDense(equation, shape, **options)
    )


def decompose_conv(by_rank, sizes_of, prefix):
    """Return how a convolution with an array as kernel is taken apart.

    Args:
        by_rank: the layer that it becomes, by the number of axes of its input.
        sizes_of: `(window, last)`, arguments of the layer for the first axes and the last axis of
            the kernel.
        prefix: of what the layer calls its kernel.
    """

    def decompose(parts):
        edge, array, _ = _operands(parts)
        if len(edge.shape) not in by_rank:
            find_rule(parts.call.layer)
        conv = by_rank[len(edge.shape)]
        *window, _, last = array.shape
        names = ("strides", "padding", "dilation_rate", "data_format")
        fixed = {name: getattr(parts.call.layer, name) for name in names}
        fixed |= {"use_bias": False, **sizes_of(window, last)}
        return _kernel(parts, edge, array, lambda **options: conv(**fixed, **options), prefix)

    return decompose


def decompose_take(parts):
    """Take the lookup of rows of a matrix apart: an embedding."""
    operation, args = parts.call.layer, parts.call.args
    is_lookup = len(args) >= 2 and is_array(args[0]) and is_edge(args[1])
    if not is_lookup or len(args[0].shape) != 2 or operation.axis != 0:
        find_rule(operation)
    rows = tuple(args[0].shape)
    return _kernel(
        parts, args[1], args[0], lambda **options: layers.Embedding(*rows, **options), "embeddings_"
    )


def _operands(parts):
    """Return the edge, the array, and whether the array comes first.

    Raises:
        ValueError: if the operation has other operands.
    """
    operands = keras.tree.flatten((parts.call.args, parts.call.kwargs))[:2]
    kinds = [is_edge(leaf) for leaf in operands]
    if sum(kinds) != 1 or not any(map(is_array, operands)):
        find_rule(parts.call.layer)  # it raises for every operation
    edge, array = operands if kinds[0] else operands[::-1]
    return edge, array, kinds[1]


def _kernel(parts, edge, array, make, prefix="kernel_"):
    """Add the layer whose kernel an array is; calls with the same variable share it."""
    fixed = _options(array, prefix)
    return parts.add("", lambda **options: make(**options | fixed), edge, [array], array)


def _options(array, prefix):
    """Return the arguments of a layer whose weight an array is, named with a prefix."""
    return {
        "trainable": trains(array),
        f"{prefix}regularizer": getattr(array, "regularizer", None),
        f"{prefix}constraint": getattr(array, "constraint", None),
    }


def _in_rank(parts, edge, array):
    """Return the shape of an array without the batch, of as many axes as `edge` has.

    Raises:
        ValueError: if it differs from sample to sample.
    """
    shape, rank = tuple(array.shape), len(edge.shape)
    if len(shape) > rank or (len(shape) == rank and shape[0] != 1):
        raise refusal(parts.call.layer, f"its array of shape {shape} must not span the batch")
    shape = shape[1:] if len(shape) == rank else shape
    return (*[1] * (rank - 1 - len(shape)), *shape)


def _weight(parts, edge, array, values, fixed):
    """Add a tensor of weights that comes from an array; calls with the same variable share it."""
    shape = _in_rank(parts, edge, array)
    return parts.add(
        "weight",
        lambda **options: WeightTensor(shape, **options | fixed),
        edge,
        [values.reshape(shape)],
        array,
    )


def _multiply(parts, edge, array, values, fixed):
    """Add the product with values that come from an array, one a channel where they are such."""
    shape, channels = _in_rank(parts, edge, array), edge.shape[-1]
    if shape == (*[1] * (len(shape) - 1), channels) and 1 < channels and len(edge.shape) <= 4:
        gamma = np.reshape(values, (channels,))
        return parts.add(
            "", lambda **options: ChannelScale(**options | fixed), edge, [gamma], array
        )
    weight = _weight(parts, edge, array, values, fixed)
    return parts.add("", lambda **options: layers.Multiply(**options), [edge, weight])


def _as_bias(parts, edge, array):
    """Let an array be the bias of the kernel that alone makes an edge; None where it cannot."""
    call, graph = parts.call, parts.graph
    node = graph.producer(edge)
    if node is None or type(node.layer) not in KERNELS or not graph.is_only_for(edge, call):
        return None
    layer, shape = node.layer, tuple(array.shape)
    is_equation = isinstance(layer, layers.EinsumDense)
    has_bias = layer.bias_axes if is_equation else layer.use_bias
    if not any(layer is made for made in parts.made.values()) or has_bias:
        return None
    if not shape or tuple(edge.shape[-len(shape) :]) != shape or (len(shape) > 1 > is_equation):
        return None
    key = id(layer), id(array)
    if key not in parts.made:
        axes = layer.equation.split("->")[1][-len(shape) :] if is_equation else None
        bias = {"bias_axes": axes} if is_equation else {"use_bias": True}
        bias |= _options(array, "bias_") | {"trainable": layer.trainable}
        biased = type(layer).from_config(layer.get_config() | bias)
        biased.build(node.data_inputs[0].shape)
        biased.set_weights([*layer.get_weights(), values_of(array)])
        parts.made[key] = biased
    node.layer, node.outputs = parts.made[key], call.output
    call.output.name = node.name
    return call.output
