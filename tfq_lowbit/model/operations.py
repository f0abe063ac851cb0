"""Calls of `keras.ops`, and of `+ - * /`, as the layers that do the same: one row each."""

import math
from collections.abc import Callable
from numbers import Real

import keras

from tfq_lowbit.model.arrays import own_arrays
from tfq_lowbit.wrappers import AxisMean, MatMul, RegisteredFunction, gelu_tanh

layers = keras.layers


def layer_of_operation(node, is_edge: Callable):
    """Return the layer that does what an operation does, and what it is called with.

    Args:
        node: a call of the graph whose `layer` is a `keras.Operation` and no layer.
        is_edge: tells whether an argument is an edge.

    Returns:
        A layer and its first argument, an edge or a list of edges; None where no layer does it.
    """
    # The class of an operation is private to Keras; its name and its config are not.
    kind = type(node.layer).__name__
    if not type(node.layer).__module__.startswith("keras."):
        return None
    if kind == "Matmul" and all(is_edge(each) for each in node.args[:2]):
        left, right = node.args[:2]
        is_batch = len(left.shape) == len(right.shape) > 2 and left.shape[:-2] == right.shape[:-2]
        return (MatMul(name=node.name), [left, right]) if is_batch else None
    if kind in _MERGING or kind in _RESCALING:
        return _with_two_operands(kind, node, is_edge)
    if kind not in _LAYERS or own_arrays(node):
        return None
    layer = _LAYERS[kind](node, node.layer.get_config(), node.data_inputs[0].shape)
    return None if layer is None else (layer, node.args[0])


def rescaling_after(before, after):
    """Return the `Rescaling` that does what two of them do, one behind the other."""
    return layers.Rescaling(
        before.scale * after.scale, before.offset * after.scale + after.offset, name=after.name
    )


def _with_two_operands(kind, node, is_edge):
    first, second = node.args[:2]
    if is_edge(first) and is_edge(second):
        if kind not in _MERGING:
            return None
        return _MERGING[kind](name=node.name), [first, second]
    if is_edge(second) and kind in ("Add", "Multiply"):
        first, second = second, first
    if is_edge(second) and isinstance(first, Real) and kind == "Subtract":
        return layers.Rescaling(-1.0, float(first), name=node.name), second
    if not is_edge(first) or not isinstance(second, Real) or kind not in _RESCALING:
        return None
    scale, offset = _RESCALING[kind](second)
    return layers.Rescaling(scale, offset, name=node.name), first


def _concatenate(node, config, shape):
    return layers.Concatenate(config["axis"], name=node.name)


def _reshape(node, config, shape):
    target = node.output.shape
    if None in (*shape[1:], *target[1:]) or math.prod(shape[1:]) != math.prod(target[1:]):
        return None  # it mixes images, or a size is unknown
    return layers.Reshape(target[1:], name=node.name)


def _transpose(node, config, shape):
    axes = config["axes"] or tuple(reversed(range(len(shape))))
    return layers.Permute(axes[1:], name=node.name) if axes[0] == 0 else None


def _reduce(pooling, other=None):
    """Return how a reduction over all positions becomes a pooling of all, by rank, or another."""

    def make(node, config, shape):
        axis = config["axis"]
        axes = [axis] if isinstance(axis, int) else [] if axis is None else list(axis)
        is_all = sorted(each % len(shape) for each in axes) == list(range(1, len(shape) - 1))
        if config.get("initial") is not None:
            return None
        if not is_all or len(shape) not in pooling:
            is_batch = not axes or any(each % len(shape) == 0 for each in axes)
            return None if other is None or is_batch else other(axes, config["keepdims"], node.name)
        return pooling[len(shape)](keepdims=config["keepdims"], name=node.name)

    return make


def _pool(by_rank):
    def make(node, config, shape):
        if len(shape) not in by_rank:
            return None
        names = ("pool_size", "strides", "padding", "data_format")
        return by_rank[len(shape)](**{name: config[name] for name in names}, name=node.name)

    return make


def _pad(node, config, shape):
    value, width = node.kwargs.get("constant_values"), config["pad_width"]
    padding = {4: layers.ZeroPadding2D, 5: layers.ZeroPadding3D}.get(len(shape))
    if padding is None or config["mode"] != "constant" or value not in (None, 0):
        return None
    if isinstance(width, int) or any(width[0]) or any(width[-1]):
        return None
    return padding(width[1:-1], name=node.name)


def _activation(name, **fixed):
    """Return how an activation with these parameters, and no others, becomes a layer."""

    def make(node, config, shape):
        if any(config.get(key) != value for key, value in fixed.items()):
            return None
        return layers.Activation(name, name=node.name)

    return make


def _unchanged(node, config, shape):
    if node.data_inputs[0].dtype != node.output.dtype:
        return None
    return layers.Activation("linear", name=node.name)


def _gelu(node, config, shape):
    function = gelu_tanh if config["approximate"] else "gelu"
    return layers.Activation(function, name=node.name)


def _elu(node, config, shape):
    return layers.ELU(config["alpha"], name=node.name)


def _function(sign):
    """Return how a function of single values, of this sign, becomes a layer around it."""

    def make(node, config, shape):
        return RegisteredFunction(node.layer, sign, name=node.name)

    return make


def _clip(node, config, shape):
    lower, upper = config["x_min"], config["x_max"]
    if not all(isinstance(bound, (int, float)) for bound in (lower, upper)):
        return None
    if lower == 0 and upper > 0:
        return layers.ReLU(upper, name=node.name)
    return RegisteredFunction(node.layer, "nonnegative" if lower > 0 else "signed", name=node.name)


def _negative(node, config, shape):
    return layers.Rescaling(-1.0, name=node.name)


def _leaky_relu(node, config, shape):
    return layers.LeakyReLU(config["negative_slope"], name=node.name)


_MERGING = {
    "Add": layers.Add,
    "Subtract": layers.Subtract,
    "Multiply": layers.Multiply,
    "Maximum": layers.Maximum,
    "Minimum": layers.Minimum,
}
# Scale and offset of a number behind a tensor.
_RESCALING = {
    "Add": lambda value: (1.0, float(value)),
    "Subtract": lambda value: (1.0, -float(value)),
    "Multiply": lambda value: (float(value), 0.0),
    "TrueDivide": lambda value: (1.0 / value, 0.0),
    "Divide": lambda value: (1.0 / value, 0.0),
}
_LAYERS: dict[str, Callable] = {
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "ExpandDims": _reshape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Mean": _reduce(
        {
            3: layers.GlobalAveragePooling1D,
            4: layers.GlobalAveragePooling2D,
            5: layers.GlobalAveragePooling3D,
        },
        lambda axes, keepdims, name: AxisMean(axes, keepdims, name=name),
    ),
    "Max": _reduce(
        {
            3: layers.GlobalMaxPooling1D,
            4: layers.GlobalMaxPooling2D,
            5: layers.GlobalMaxPooling3D,
        }
    ),
    "AveragePool": _pool(
        {
            3: layers.AveragePooling1D,
            4: layers.AveragePooling2D,
            5: layers.AveragePooling3D,
        }
    ),
    "MaxPool": _pool({3: layers.MaxPooling1D, 4: layers.MaxPooling2D, 5: layers.MaxPooling3D}),
    "Pad": _pad,
    "ConvertToTensor": _unchanged,
    "Cast": _unchanged,
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Silu": _activation("silu"),
    "HardSilu": _activation("hard_silu"),
    "HardSigmoid": _activation("hard_sigmoid"),
    "Gelu": _gelu,
    "Elu": _elu,
    "Selu": _activation("selu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Exp": _activation("exponential"),
    "Negative": _negative,
    "HardTanh": _activation("hard_tanh"),
    "Clip": _clip,
    "Absolute": _function("nonnegative"),
    "Square": _function("nonnegative"),
    "Squareplus": _function("nonnegative"),
    "SparsePlus": _function("nonnegative"),
    "SparseSigmoid": _function("nonnegative"),
    "Celu": _function("skewed"),
    "LogSigmoid": _function("skewed"),
    "SoftShrink": _function("signed"),
    "HardShrink": _function("signed"),
    "TanhShrink": _function("signed"),
    "Erf": _function("signed"),
    "Arctan": _function("signed"),
    "Softmax": _activation("softmax", axis=-1),
    "LeakyRelu": _leaky_relu,
}
