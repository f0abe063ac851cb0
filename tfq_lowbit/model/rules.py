"""What each layer class does to the grid of its tensors: one row a class."""

import enum
from collections.abc import Callable
from typing import NamedTuple

import keras

from tfq_lowbit.model.functions import (
    ACTIVATIONS,
    PRODUCTS,
    find_activation,
    function_of,
    known_activation,
)
from tfq_lowbit.wrappers import (
    FAMILIES,
    AxisMean,
    CausalMask,
    FloatIsland,
    InverseRoot,
    MatMul,
    RPReLU,
    StaticSlice,
    bias_reason,
    parse_equation,
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
    MEAN = "averages everything; gets a grid of its own"
    AVERAGE_POOL = "averages or mixes codes on the grid of its input"
    MAX_POOL = "picks codes; a quantizer goes behind it"
    SHAPE = "moves codes; keeps the grid of its input"
    RESCALING = "changes the unit of an input"
    FLOAT = "computes in float, between grids"
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


class Clamp(NamedTuple):
    """Real bounds of an activation function."""

    lower: float | None
    upper: float | None


CLAMPS = {
    "linear": Clamp(None, None),
    "relu": Clamp(0.0, None),
    "relu6": Clamp(0.0, 6.0),
    "hard_tanh": Clamp(-1.0, 1.0),
}
# Every name that an Activation, and a layer with a kernel, may have.
KNOWN = (*CLAMPS, "softmax", *ACTIVATIONS, *PRODUCTS)


def activation_name(layer) -> str:
    """Return the name of a layer's activation function ("linear" where it has none)."""
    function = getattr(layer, "activation", None)
    if function is None:
        return "linear"
    for name in KNOWN:
        if function is find_activation(name):
            return name
    # A function of one's own may have the name of another.
    name = getattr(function, "__name__", type(function).__name__)
    return f"own {name}" if name in KNOWN else name


def has_softmax(layer) -> bool:
    """Return whether a layer ends in a softmax."""
    return activation_name(layer) == "softmax"


def is_function(layer) -> bool:
    """Return whether a layer is a function of single values that is more than a clamp."""
    return function_of(layer) is not None or (
        type(layer) is keras.layers.Activation and known_activation(layer) in PRODUCTS
    )


def clamp_of(layer) -> Clamp:
    """Return the bounds that a ReLU, Activation or layer with an activation applies."""
    if function_of(layer) is not None:
        return CLAMPS["linear"]
    if isinstance(layer, keras.layers.ReLU):
        return Clamp(0.0, None if layer.max_value is None else float(layer.max_value))
    return CLAMPS.get(activation_name(layer), CLAMPS["linear"])


def _needs_channels_last(layer):
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"its data_format is {layer.data_format!r}; integer runtimes take channels_last"
    return None


def _kernel_layer(layer):
    if (mode := getattr(layer.dtype_policy, "quantization_mode", None)) is not None:
        return f"it was quantized by Keras already, as {mode!r}; quantize it as it was before"
    if layer.activity_regularizer is not None:
        return "its activity_regularizer would not be applied; set it to None"
    return _unknown_activation(layer) or _needs_channels_last(layer)


def _unknown_activation(layer):
    name = activation_name(layer)
    if name in KNOWN:
        return None
    return (
        f"its activation {name!r} has no integer form here; those that have are "
        f"{', '.join(sorted(KNOWN))}"
    )


def _transposed(layer):
    if any(rate != 1 for rate in layer.dilation_rate):
        return f"its dilation_rate must be 1, received {layer.dilation_rate!r}"
    if layer.output_padding is not None:
        return f"its output_padding must be None, received {layer.output_padding!r}; pad behind it"
    return _kernel_layer(layer)


def _einsum_dense(layer):
    try:
        parse_equation(layer.equation)
    except ValueError as error:
        return f"its equation {layer.equation!r} is no dense layer over the last axes: {error}"
    return bias_reason(layer.equation, layer.bias_axes) or _kernel_layer(layer)


# More to check in a family than that its activation is known.
_KERNEL_LAYERS = {
    keras.layers.Conv1DTranspose: _transposed,
    keras.layers.Conv2DTranspose: _transposed,
    keras.layers.EinsumDense: _einsum_dense,
}


def _prelu(layer):
    shared, rank = list(layer.shared_axes or ()), layer.input_spec.ndim
    if shared in ([], list(range(1, rank - 1)), list(range(1, rank))):
        return None
    return f"shared_axes must be none, all axes, or all but the last; received {layer.shared_axes}"


def _softmax(layer):
    return None if layer.axis == -1 else f"axis must be -1, received {layer.axis!r}"


def _batch_norm(layer):
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    rank = len(layer.input_spec.axes) and layer.input_spec.ndim
    if axis not in (-1, rank - 1):
        return f"axis must be the last one, received {layer.axis!r}"
    return None


def _concatenate(layer):
    return "axis 0 is the batch" if layer.axis == 0 else None


def _up_sampling(layer):
    if layer.interpolation not in ("nearest", "bilinear"):
        return (
            f"its interpolation must be 'nearest' or 'bilinear', received {layer.interpolation!r}"
        )
    return _needs_channels_last(layer)


def _resizing(layer):
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if getattr(layer, name, False):
            return f"{name} has no integer form; set it to False"
    return _up_sampling(layer)


def _attention(layer):
    config = layer.get_config()
    for name in ("use_gate", "sliding_window", "activity_regularizer"):
        if config.get(name):
            return f"{name} has no form here, received {config[name]!r}"
    if config.get("attention_axes") not in (None, (1,), [1]):
        return f"attention_axes must be None, received {config['attention_axes']!r}"
    if len(config.get("output_shape") or (0,)) != 1:
        return f"output_shape must be one number, received {config['output_shape']!r}"
    return None if layer.built else "it has no weights yet; call the layer once"


def _layer_norm(layer):
    if getattr(layer, "rms_scaling", False):
        return "rms_scaling has no form here; use RMSNormalization"
    if layer.center and not layer.scale:
        return "center=True needs scale=True here"
    return None if layer.built else "it has no weights yet; call the layer once"


def _rms_norm(layer):
    return None if layer.built else "it has no weights yet; call the layer once"


def _embedding(layer):
    if layer.mask_zero:
        return "mask_zero=True masks what no integer layer skips; set it to False"
    if layer.lora_enabled:
        return "its LoRA weights would not be applied; merge them first"
    return None


def _dot_product_attention(layer):
    if layer.score_mode != "dot":
        return f"score_mode must be 'dot', received {layer.score_mode!r}"
    return None


def _is_bilinear(layer):
    is_resizing = isinstance(layer, keras.layers.Resizing | keras.layers.UpSampling2D)
    return is_resizing and layer.interpolation == "bilinear"


def _normalization(layer):
    if layer.invert:
        return "invert=True has no integer form here; use Rescaling"
    if not layer.built or layer.mean is None:
        return "it has no mean yet; call its adapt() first"
    if layer.axis not in ((), (-1,), (len(layer.mean.shape) - 1,)):
        return f"axis must be the last one or None, received {layer.axis!r}"
    return None


def _rescaling(layer):
    for name in ("scale", "offset"):
        if not isinstance(getattr(layer, name), (int, float)):
            return f"`{name}` must be one number, received {getattr(layer, name)!r}"
    return None if layer.scale else "`scale` is 0, so that its output is one number"


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
)

# What is taken apart into other layers, and what to check before.
_DECOMPOSED: dict[type, Callable] = {
    keras.layers.Attention: _dot_product_attention,
    keras.layers.AveragePooling1D: _needs_channels_last,
    keras.layers.CenterCrop: _needs_channels_last,
    keras.layers.Cropping1D: lambda layer: None,
    keras.layers.Cropping2D: _needs_channels_last,
    keras.layers.GlobalAveragePooling1D: _needs_channels_last,
    keras.layers.GlobalMaxPooling1D: _needs_channels_last,
    keras.layers.GlobalMaxPooling2D: _needs_channels_last,
    keras.layers.GroupQueryAttention: _attention,
    keras.layers.LayerNormalization: _layer_norm,
    keras.layers.MaxPooling1D: _needs_channels_last,
    keras.layers.MultiHeadAttention: _attention,
    keras.layers.Normalization: _normalization,
    keras.layers.RMSNormalization: _rms_norm,
    keras.layers.RepeatVector: lambda layer: None,
    keras.layers.SeparableConv1D: _kernel_layer,
    keras.layers.SeparableConv2D: _kernel_layer,
    keras.layers.UnitNormalization: lambda layer: None,
    keras.layers.UpSampling1D: lambda layer: None,
}

RULES = (
    *(
        Rule(
            family.layer_class,
            Role.KERNEL,
            _KERNEL_LAYERS.get(family.layer_class, _kernel_layer),
        )
        for family in FAMILIES
    ),
    *(Rule(layer_class, Role.DECOMPOSED, refuse) for layer_class, refuse in _DECOMPOSED.items()),
    *(Rule(layer_class, Role.SHAPE) for layer_class in NO_OPS),
    Rule(keras.layers.BatchNormalization, Role.BATCH_NORM, _batch_norm),
    Rule(keras.layers.ReLU, Role.ACTIVATION),
    Rule(keras.layers.Activation, Role.ACTIVATION, _unknown_activation),
    Rule(keras.layers.LeakyReLU, Role.FUNCTION),
    Rule(keras.layers.PReLU, Role.FUNCTION, _prelu),
    Rule(keras.layers.ELU, Role.FUNCTION),
    Rule(RPReLU, Role.FUNCTION),
    Rule(FloatIsland, Role.FLOAT),
    Rule(keras.layers.Softmax, Role.SOFTMAX, _softmax),
    Rule(keras.layers.Add, Role.COMBINE),
    Rule(keras.layers.Subtract, Role.COMBINE),
    Rule(keras.layers.Multiply, Role.COMBINE),
    Rule(keras.layers.Average, Role.COMBINE),
    Rule(keras.layers.Maximum, Role.CONCATENATE),
    Rule(keras.layers.Minimum, Role.CONCATENATE),
    Rule(AxisMean, Role.MEAN),
    Rule(InverseRoot, Role.FUNCTION),
    Rule(keras.layers.Embedding, Role.EMBEDDING, _embedding),
    Rule(MatMul, Role.COMBINE),
    Rule(CausalMask, Role.ACTIVATION),
    Rule(keras.layers.Concatenate, Role.CONCATENATE, _concatenate),
    Rule(keras.layers.GlobalAveragePooling2D, Role.MEAN, _needs_channels_last),
    Rule(keras.layers.AveragePooling2D, Role.AVERAGE_POOL, _needs_channels_last),
    Rule(keras.layers.MaxPooling2D, Role.MAX_POOL, _needs_channels_last),
    Rule(keras.layers.ZeroPadding2D, Role.SHAPE, _needs_channels_last),
    Rule(keras.layers.Flatten, Role.SHAPE, _needs_channels_last),
    Rule(keras.layers.Permute, Role.SHAPE),
    Rule(keras.layers.Reshape, Role.SHAPE),
    Rule(keras.layers.Resizing, Role.SHAPE, _resizing),
    Rule(keras.layers.UpSampling2D, Role.SHAPE, _up_sampling),
    Rule(keras.layers.ZeroPadding1D, Role.SHAPE, _needs_channels_last),
    Rule(StaticSlice, Role.SHAPE),
    Rule(keras.layers.Rescaling, Role.RESCALING, _rescaling),
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
