"""Copies of float layers for a quantized model."""

from tfq_lowbit.quantizers import kernel_quantizer
from tfq_lowbit.wrappers import BinaryWrapper, QuantizeWrapper, Shell, channel_axes


def copied(layer, name):
    """Return a layer of the same config under another name, its weights not set."""
    if isinstance(layer, Shell):
        return layer.copy(name)
    return type(layer).from_config(named_config(layer, name))


def named_config(layer, name):
    """Return the config of a layer, named as its first call: in a nested model it has a prefix."""
    return {**layer.get_config(), "name": name}


def copy_weights(layer, copy):
    """Set the weights of a copy; the kernel's step size is set from the kernel."""
    if isinstance(copy, (QuantizeWrapper, BinaryWrapper)):
        copy.layer.set_weights(layer.get_weights())
        copy.kernel_quantizer.initialize(copy.layer.kernel)
    else:
        copy.set_weights(layer.get_weights())


def quantizer_of_kernel(layer, settings):
    """Build the quantizer that `LayerSettings` give the kernel of a layer."""
    axis = channel_axes(layer) if settings.per_channel else None
    return kernel_quantizer(
        settings.weight_quantizer, settings.weight_bits, axis, settings.weight_init
    )
