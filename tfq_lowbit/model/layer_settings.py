"""What a recipe says of one layer."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LayerSettings:
    """What a recipe says of one layer.

    Attributes:
        weight_bits: width of the kernel.
        activation_bits: width of the tensors that enter the layer, None for float. A tensor with
            several consumers takes the widest up to 8; at 16 the layer also makes one of 16, and
            what enters it, or takes from it, with another width is converted.
        weight_quantizer: scheme of the kernel, a name in `KERNEL_SCHEMES`.
        activation_quantizer: scheme of the tensors that enter the layer.
        per_channel: one step size for each output channel of the kernel.
        weight_init: rule for the kernel's first step size, None for the scheme's own.
        activation_init: rule for the activations' first step size, None for the scheme's own.
        input_quantizer: what binarizes the input right before a kernel of one bit, a name in
            `INPUT_SCHEMES`; None for an ordinary layer, also where its kernel has one bit.
        pad_values: what a binary convolution pads with, 1 or 0.
        block_size: number of inputs of a channel that share a step size, None for all of them.
    """

    weight_bits: int
    activation_bits: int | None
    weight_quantizer: str
    activation_quantizer: str
    per_channel: bool
    weight_init: str | None
    activation_init: str | None
    input_quantizer: str | None
    pad_values: int
    block_size: int | None

    @property
    def is_binary(self):
        """Whether a layer that can be binarized is to run on signs."""
        return self.weight_bits == 1 and self.input_quantizer is not None


SETTINGS = tuple(field.name for field in dataclasses.fields(LayerSettings))
