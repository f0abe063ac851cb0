"""What each layer class does to the grid of its tensors: one row a class."""

import enum
from collections.abc import Callable
from typing import NamedTuple

import keras

from tfq_lowbit.model import refusals
from tfq_lowbit.model.activations import (
    has_softmax,
    is_function,
)
from tfq_lowbit.wrappers import (
    FAMILIES,
    AxisMean,
    CausalMask,
    ChannelScale,
    FloatIsland,
    FoldBatch,
    InverseRoot,
    MatMul,
    RegisteredFunction,
    RegisteredIdentity,
    RPReLU,
    StaticSlice,
    WeightTensor,
)


class Role(enum.Enum):
    """How a layer stands to the grids of its input and output."""

    KERNEL = "multiplies with a kernel; its output is on no grid yet"
    BATCH_NORM = "folds into the kernel before it, or is an own affine layer"
    ACTIVATION = "clamps; keeps the grid of its input"
    FUNCTION = "computes a function of each value; gets a grid of its own"
    SOFTMAX = "has a fixed grid of 1/256"
    COMBINE = "mixes tensors; gets a grid of its own"
    CONCATENATE = "joins tensors on one grid, or takes the largest or smallest"
    EMBEDDING = "looks rows of a table up; gets a grid of its own"
    WEIGHT = "is a tensor of weights; gets a grid of its own"
    MEAN = "averages everything; gets a grid of its own"
    AVERAGE_POOL = "averages or mixes codes on the grid of its input"
    MAX_POOL = "picks codes; a quantizer goes behind it"
    SHAPE = "moves codes; keeps the grid of its input"
    RESCALING = "changes the unit of an input"
    FLOAT = "computes in float, between grids"
    NARROW = "becomes a tensor of eight bits; gets a grid of its own"
    WIDEN = "becomes a tensor of sixteen bits on a finer grid"
    DECOMPOSED = "is taken apart into other layers"


class Rule(NamedTuple):
    """A layer class that can be quantized.

    Attributes:
        layer_class: the Keras class.
        role: what it does to grids.
        refuse: returns why a layer of the class cannot be quantized, None if it can.
    """

    layer_class: type
    role: Role
    refuse: Callable = lambda layer: None


# What does nothing in inference: at a model's input the quantizer goes behind it.
NO_OPS = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomColorDegeneration,
    keras.layers.RandomColorJitter,
    keras.layers.RandomContrast,
    keras.layers.RandomElasticTransform,
    keras.layers.RandomErasing,
    keras.layers.RandomFlip,
    keras.layers.RandomGaussianBlur,
    keras.layers.RandomGrayscale,
    keras.layers.RandomHue,
    keras.layers.RandomInvert,
    keras.layers.RandomPerspective,
    keras.layers.RandomPosterization,
    keras.layers.RandomRotation,
    keras.layers.RandomSaturation,
    keras.layers.RandomSharpness,
    keras.layers.RandomShear,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    RegisteredIdentity,
)

# What is taken apart into other layers, and what to check before.
_DECOMPOSED: dict[type, Callable] = {
    keras.layers.AdaptiveAveragePooling1D: refusals.needs_channels_last,
    keras.layers.AdaptiveAveragePooling2D: refusals.needs_channels_last,
    keras.layers.AdaptiveAveragePooling3D: refusals.needs_channels_last,
    keras.layers.AdaptiveMaxPooling1D: refusals.needs_channels_last,
    keras.layers.AdaptiveMaxPooling2D: refusals.needs_channels_last,
    keras.layers.AdaptiveMaxPooling3D: refusals.needs_channels_last,
    keras.layers.Attention: refusals.dot_product_attention,
    keras.layers.AveragePooling1D: refusals.needs_channels_last,
    keras.layers.AveragePooling3D: refusals.needs_channels_last,
    keras.layers.Bidirectional: refusals.bidirectional,
    keras.layers.CenterCrop: refusals.needs_channels_last,
    keras.layers.Cropping1D: lambda layer: None,
    keras.layers.Cropping2D: refusals.needs_channels_last,
    keras.layers.Cropping3D: refusals.needs_channels_last,
    keras.layers.Dot: refusals.dot,
    keras.layers.GRU: refusals.recurrent,
    keras.layers.GlobalAveragePooling1D: refusals.needs_channels_last,
    keras.layers.GlobalAveragePooling3D: refusals.needs_channels_last,
    keras.layers.GlobalMaxPooling1D: refusals.needs_channels_last,
    keras.layers.GlobalMaxPooling2D: refusals.needs_channels_last,
    keras.layers.GlobalMaxPooling3D: refusals.needs_channels_last,
    keras.layers.GroupQueryAttention: refusals.attention,
    keras.layers.LSTM: refusals.recurrent,
    keras.layers.LayerNormalization: refusals.layer_norm,
    keras.layers.MaxPooling1D: refusals.needs_channels_last,
    keras.layers.MaxPooling3D: refusals.needs_channels_last,
    keras.layers.MultiHeadAttention: refusals.attention,
    keras.layers.Normalization: refusals.normalization,
    keras.layers.RMSNormalization: refusals.rms_norm,
    keras.layers.RNN: refusals.rnn,
    keras.layers.RepeatVector: lambda layer: None,
    keras.layers.SeparableConv1D: refusals.kernel_layer,
    keras.layers.SeparableConv2D: refusals.kernel_layer,
    keras.layers.SimpleRNN: refusals.recurrent,
    keras.layers.TimeDistributed: refusals.time_distributed,
    keras.layers.UnitNormalization: lambda layer: None,
    keras.layers.UpSampling1D: lambda layer: None,
    keras.layers.UpSampling3D: refusals.needs_channels_last,
}

RULES = (
    *(
        Rule(
            family.layer_class,
            Role.KERNEL,
            refusals.KERNEL_LAYERS.get(family.layer_class, refusals.kernel_layer),
        )
        for family in FAMILIES
    ),
    *(Rule(layer_class, Role.DECOMPOSED, refuse) for layer_class, refuse in _DECOMPOSED.items()),
    *(Rule(layer_class, Role.SHAPE) for layer_class in NO_OPS),
    Rule(keras.layers.BatchNormalization, Role.BATCH_NORM, refusals.batch_norm),
    Rule(ChannelScale, Role.BATCH_NORM),
    Rule(keras.layers.ReLU, Role.ACTIVATION),
    Rule(keras.layers.Activation, Role.ACTIVATION, refusals.unknown_activation),
    Rule(keras.layers.LeakyReLU, Role.FUNCTION),
    Rule(keras.layers.PReLU, Role.FUNCTION, refusals.prelu),
    Rule(keras.layers.ELU, Role.FUNCTION),
    Rule(RPReLU, Role.FUNCTION),
    Rule(FloatIsland, Role.FLOAT),
    Rule(RegisteredFunction, Role.FUNCTION),
    Rule(keras.layers.Softmax, Role.SOFTMAX, refusals.softmax),
    Rule(keras.layers.Add, Role.COMBINE),
    Rule(keras.layers.Subtract, Role.COMBINE),
    Rule(keras.layers.Multiply, Role.COMBINE),
    Rule(keras.layers.Average, Role.COMBINE),
    Rule(keras.layers.Maximum, Role.CONCATENATE),
    Rule(keras.layers.Minimum, Role.CONCATENATE),
    Rule(AxisMean, Role.MEAN),
    Rule(InverseRoot, Role.FUNCTION),
    Rule(keras.layers.Embedding, Role.EMBEDDING, refusals.embedding),
    Rule(WeightTensor, Role.WEIGHT),
    Rule(MatMul, Role.COMBINE),
    Rule(CausalMask, Role.ACTIVATION),
    Rule(keras.layers.Concatenate, Role.CONCATENATE, refusals.concatenate),
    Rule(keras.layers.GlobalAveragePooling2D, Role.MEAN, refusals.needs_channels_last),
    Rule(keras.layers.AveragePooling2D, Role.AVERAGE_POOL, refusals.needs_channels_last),
    Rule(keras.layers.MaxPooling2D, Role.MAX_POOL, refusals.needs_channels_last),
    Rule(keras.layers.ZeroPadding2D, Role.SHAPE, refusals.needs_channels_last),
    Rule(keras.layers.Flatten, Role.SHAPE, refusals.needs_channels_last),
    Rule(keras.layers.Permute, Role.SHAPE),
    Rule(keras.layers.Reshape, Role.SHAPE),
    Rule(keras.layers.Resizing, Role.SHAPE, refusals.resizing),
    Rule(keras.layers.UpSampling2D, Role.SHAPE, refusals.up_sampling),
    Rule(keras.layers.ZeroPadding1D, Role.SHAPE, refusals.needs_channels_last),
    Rule(keras.layers.ZeroPadding3D, Role.SHAPE, refusals.needs_channels_last),
    Rule(StaticSlice, Role.SHAPE),
    Rule(FoldBatch, Role.SHAPE),
    Rule(keras.layers.Rescaling, Role.RESCALING, refusals.rescaling),
)


NO_FORM = "its class has no integer form here;"


def find_rule(layer) -> Rule:
    """Return the rule of a layer.

    Raises:
        ValueError: naming the layer, its class and the reason, if it cannot be quantized.
    """
    for rule in RULES:
        if type(layer) is rule.layer_class:
            reason = rule.refuse(layer)
            if reason is not None:
                raise refusal(layer, reason)
            if _is_bilinear(layer):
                return rule._replace(role=Role.AVERAGE_POOL)
            if rule.role is Role.ACTIVATION and has_softmax(layer):
                return rule._replace(role=Role.SOFTMAX)
            if rule.role is Role.ACTIVATION and is_function(layer):
                return rule._replace(role=Role.FUNCTION)
            return rule
    if not isinstance(layer, keras.layers.Layer):
        raise refusal(
            layer,
            "it is an operation (x + y, keras.ops) and no layer. Use the layer that does the "
            "same, as keras.layers.Add",
        )
    names = ", ".join(sorted({rule.layer_class.__name__ for rule in RULES}))
    raise refusal(
        layer,
        f"{NO_FORM} the layers that can are {names}. "
        "quantize_model(..., on_unsupported='float') leaves others in float",
    )


def refusal(layer, reason) -> ValueError:
    """Return the error that a layer cannot be quantized, naming it, its class and the reason."""
    name = getattr(layer, "name", layer)
    return ValueError(f"Layer {name!r} ({type(layer).__name__}) cannot be quantized: {reason}.")


def is_no_op(layer) -> bool:
    """Return whether a layer does nothing in inference."""
    return type(layer) in NO_OPS


def _is_bilinear(layer):
    is_resizing = isinstance(layer, keras.layers.Resizing | keras.layers.UpSampling2D)
    return is_resizing and layer.interpolation == "bilinear"
