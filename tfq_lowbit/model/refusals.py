"""Why a layer cannot be quantized: each takes a layer and returns the reason, or None."""

import keras

from tfq_lowbit.model.activations import KNOWN, activation_name
from tfq_lowbit.wrappers import TRANSPOSED, bias_reason, parse_equation

# The cells of an `RNN` that have a form, and the layers that run them.
LAYERS_OF_CELLS = {
    keras.layers.GRUCell: keras.layers.GRU,
    keras.layers.LSTMCell: keras.layers.LSTM,
    keras.layers.SimpleRNNCell: keras.layers.SimpleRNN,
}


def needs_channels_last(layer):
    """Return why a layer of images or sequences cannot be quantized."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"its data_format is {layer.data_format!r}; integer runtimes take channels_last"
    return None


def kernel_layer(layer):
    """Return why a layer with a kernel cannot be quantized."""
    if (mode := getattr(layer.dtype_policy, "quantization_mode", None)) is not None:
        return f"it was quantized by Keras already, as {mode!r}; quantize it as it was before"
    if layer.activity_regularizer is not None:
        return "its activity_regularizer would not be applied; set it to None"
    return unknown_activation(layer) or needs_channels_last(layer)


def unknown_activation(layer):
    """Return why a layer with an activation cannot be quantized."""
    name = activation_name(layer)
    if name in KNOWN:
        return None
    return (
        f"its activation {name!r} has no integer form here; those that have are "
        f"{', '.join(sorted(KNOWN))}"
    )


def transposed(layer):
    """Return why a transposed convolution cannot be quantized."""
    if any(rate != 1 for rate in layer.dilation_rate):
        return f"its dilation_rate must be 1, received {layer.dilation_rate!r}"
    is_wide = all(
        size >= stride for size, stride in zip(layer.kernel_size, layer.strides, strict=True)
    )
    if any(layer.output_padding or ()) and not (is_wide and layer.padding == "same"):
        return (
            "output_padding needs padding='same' and a kernel of at least the strides, received "
            f"output_padding={layer.output_padding!r}, padding={layer.padding!r}, "
            f"kernel_size={layer.kernel_size!r}; pad behind it"
        )
    return kernel_layer(layer)


def einsum_dense(layer):
    """Return why an `EinsumDense` cannot be quantized."""
    try:
        parse_equation(layer.equation)
    except ValueError as error:
        return f"its equation {layer.equation!r} is no dense layer over the last axes: {error}"
    return bias_reason(layer.equation, layer.bias_axes) or kernel_layer(layer)


# More to check in a family than that its activation is known.
KERNEL_LAYERS = {
    **dict.fromkeys(TRANSPOSED, transposed),
    keras.layers.EinsumDense: einsum_dense,
}


def prelu(layer):
    """Return why a `PReLU` cannot be quantized."""
    shared, rank = list(layer.shared_axes or ()), layer.input_spec.ndim
    if shared in ([], list(range(1, rank - 1)), list(range(1, rank))):
        return None
    return f"shared_axes must be none, all axes, or all but the last; received {layer.shared_axes}"


def softmax(layer):
    """Return why a `Softmax` cannot be quantized."""
    return None if layer.axis == -1 else f"axis must be -1, received {layer.axis!r}"


def batch_norm(layer):
    """Return why a batch normalization cannot be quantized."""
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    rank = len(layer.input_spec.axes) and layer.input_spec.ndim
    if axis not in (-1, rank - 1):
        return f"axis must be the last one, received {layer.axis!r}"
    return None


def concatenate(layer):
    """Return why a concatenation cannot be quantized."""
    return "axis 0 is the batch" if layer.axis == 0 else None


def up_sampling(layer):
    """Return why a layer that enlarges images cannot be quantized."""
    if layer.interpolation not in ("nearest", "bilinear"):
        return (
            f"its interpolation must be 'nearest' or 'bilinear', received {layer.interpolation!r}"
        )
    return needs_channels_last(layer)


def resizing(layer):
    """Return why a `Resizing` cannot be quantized."""
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if getattr(layer, name, False):
            return f"{name} has no integer form; set it to False"
    return up_sampling(layer)


def attention(layer):
    """Return why an attention with projections cannot be quantized."""
    config = layer.get_config()
    for name in ("use_gate", "sliding_window", "activity_regularizer"):
        if config.get(name):
            return f"{name} has no form here, received {config[name]!r}"
    if config.get("attention_axes") not in (None, (1,), [1]):
        return f"attention_axes must be None, received {config['attention_axes']!r}"
    if len(config.get("output_shape") or (0,)) != 1:
        return f"output_shape must be one number, received {config['output_shape']!r}"
    return None if layer.built else "it has no weights yet; call the layer once"


def layer_norm(layer):
    """Return why a layer normalization cannot be quantized."""
    if getattr(layer, "rms_scaling", False):
        return "rms_scaling has no form here; use RMSNormalization"
    if layer.center and not layer.scale:
        return "center=True needs scale=True here"
    return None if layer.built else "it has no weights yet; call the layer once"


def rms_norm(layer):
    """Return why an `RMSNormalization` cannot be quantized."""
    return None if layer.built else "it has no weights yet; call the layer once"


def embedding(layer):
    """Return why an embedding cannot be quantized."""
    if layer.mask_zero:
        return "mask_zero=True masks what no integer layer skips; set it to False"
    if layer.lora_enabled:
        return "its LoRA weights would not be applied; merge them first"
    return None


def dot_product_attention(layer):
    """Return why an `Attention` cannot be quantized."""
    if layer.score_mode != "dot":
        return f"score_mode must be 'dot', received {layer.score_mode!r}"
    return None


def normalization(layer):
    """Return why a normalization by fixed statistics cannot be quantized."""
    if layer.invert:
        return "invert=True has no integer form here; use Rescaling"
    if not layer.built or layer.mean is None:
        return "it has no mean yet; call its adapt() first"
    if layer.axis not in ((), (-1,), (len(layer.mean.shape) - 1,)):
        return f"axis must be the last one or None, received {layer.axis!r}"
    return None


def rescaling(layer):
    """Return why a `Rescaling` cannot be quantized."""
    for name in ("scale", "offset"):
        if not isinstance(getattr(layer, name), (int, float)):
            return f"`{name}` must be one number, received {getattr(layer, name)!r}"
    return None if layer.scale else "`scale` is 0, so that its output is one number"


def dot(layer):
    """Return why a `Dot` cannot be quantized."""
    if layer.normalize:
        return "normalize must be False, received True; put UnitNormalization layers before it"
    return None


def recurrent(layer):
    """Return why a recurrent layer cannot be quantized."""
    if layer.stateful:
        return "stateful=True has no form here; give it its initial_state"
    if layer.recurrent_dropout:
        return f"recurrent_dropout must be 0, received {layer.recurrent_dropout!r}"
    if layer.activity_regularizer is not None:
        return "its activity_regularizer would not be applied; set it to None"
    for name in ("activation", "recurrent_activation"):
        known = keras.layers.Activation(getattr(layer, name, None) or "linear")
        reason = unknown_activation(known)
        if reason is not None:
            return reason
    return None if layer.built else "it has no weights yet; call the layer once"


def rnn(layer):
    """Return why an `RNN` cannot be quantized."""
    cell = layer.cell
    cells = cell.cells if isinstance(cell, keras.layers.StackedRNNCells) else [cell]
    for each in cells:
        if type(each) not in LAYERS_OF_CELLS:
            known = ", ".join(known.__name__ for known in LAYERS_OF_CELLS)
            return f"its cells must be of {known}, not {type(each).__name__}"
        if each.recurrent_dropout:
            return f"recurrent_dropout must be 0, received {each.recurrent_dropout!r}"
    if layer.return_state:
        return "return_state=True has no form here; use the layer of its cell"
    if layer.stateful:
        return "stateful=True has no form here"
    return None if layer.built else "it has no weights yet; call the layer once"


def bidirectional(layer):
    """Return why a `Bidirectional` cannot be quantized."""
    for each in (layer.forward_layer, layer.backward_layer):
        if type(each) not in LAYERS_OF_CELLS.values():
            known = ", ".join(known.__name__ for known in LAYERS_OF_CELLS.values())
            return f"its layer must be one of {known}, received {type(each).__name__}"
        if each.return_state:
            return "return_state=True has no form here"
        reason = recurrent(each)
        if reason is not None:
            return reason
    return None


def time_distributed(layer):
    """Return why a `TimeDistributed` cannot be quantized."""
    if isinstance(layer.layer, keras.Model):
        return "its layer is a model; call the layers of that one by one"
    return None
