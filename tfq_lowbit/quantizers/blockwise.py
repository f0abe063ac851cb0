"""Learned step sizes for blocks of inputs (weights of dense layers, rows of tables)."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, Quantizer, encode_on_grid
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.ste import learned_step_ste, short_float_ste

BLOCK_MULTIPLE = 32
MAX_BLOCK_BITS = 4


@keras.saving.register_keras_serializable("tfq_lowbit")
class BlockwiseLSQ(Quantizer):
    """Quantizer of weights with a trained step size for every block of inputs of every channel.

    The axes of the values that are no channel axes, in their order, are the inputs; each
    `block_size` neighbours among them share a step, so that a large weight makes the steps of its
    block coarse and no others.

    Forward: `q(v) = s * clip(round(v / s), q_min, q_max)` with the `s` of the block of `v`, rounded
    to eight significant bits in the range of float16: what a file holds and every kernel computes
    with (the builtin kernels of LiteRT take scales as float16, XNNPACK rounds them to bfloat16).
    Backward: as `LSQ` in each block; the rounding of `s` passes the gradient on.

    Args:
        num_bits: width of the codes, 2 to 4.
        block_size: number of inputs in a block, a multiple of 32 that divides the inputs.
        narrow_range: see `Quantizer`.
        axis: the channel axis, or axes.
        init: rule for the first step sizes.

    Raises:
        ValueError: for a width or block size out of range, or inputs that are no whole blocks.

    Example:
        >>> import numpy as np
        >>> quantizer = BlockwiseLSQ(num_bits=4, block_size=32, axis=-1, init="min_max")
        >>> quantizer.initialize(np.repeat([0.7, 70.0], 32)[:, None])  # 64 inputs, one channel
        >>> quantizer.step_sizes().numpy().reshape(-1).tolist()
        [0.10009765625, 10.0]

    References:
        Esser, McKinstry, Bablani, Appuswamy, Modha, "Learned Step Size Quantization",
        ICLR 2020, https://arxiv.org/abs/1902.08153
        Dettmers, Lewis, Shleifer, Zettlemoyer, "8-bit Optimizers via Block-wise Quantization",
        ICLR 2022, https://arxiv.org/abs/2110.02861
    """

    widths = (2, MAX_BLOCK_BITS)

    def __init__(
        self,
        num_bits=4,
        block_size=32,
        narrow_range=True,
        axis=-1,
        init="mse",
        signed=True,
        **kwargs,
    ):
        super().__init__(num_bits, True, narrow_range, axis, init, **kwargs)
        if axis is None or not signed:
            raise ValueError(
                "Blocks belong to channels and their codes are signed. Received: "
                f"axis={axis!r}, signed={signed!r}"
            )
        self.block_size = check_block_size(block_size)

    def scheme_build(self, step_shape):
        """Create the trained step sizes, of shape (blocks, 1, channels)."""
        self._num_channels = math.prod(step_shape)
        inputs = self._num_inputs
        if inputs % self.block_size:
            raise ValueError(
                f"Quantizer {self.name!r} needs inputs in whole blocks. Received: {inputs} inputs, "
                f"block_size={self.block_size}. Take a block size that divides them, or none."
            )
        shape = (inputs // self.block_size, 1, self._num_channels)
        self.step_size = RelativeVariable(self, "step_size", shape)

    def build(self, input_shape):
        """Create the step sizes for values of `input_shape`."""
        axes = self.channel_axes(len(input_shape))
        sizes = [size for axis, size in enumerate(input_shape) if axis not in axes]
        self._num_inputs = math.prod(sizes)
        super().build(input_shape)

    def scheme_initialize(self, values):
        """Set the step sizes by the rule."""
        blocks = tf.reshape(values, (-1, self.block_size, self._num_channels))
        blocks = tf.reshape(tf.transpose(blocks, (1, 0, 2)), (self.block_size, -1))
        self.step_size.assign(short_float_ste(self.initial_step(blocks, self.step_size.shape)))

    def scheme_quantize(self, values):
        """Return the nearest grid values, with LSQ's gradients."""
        gradient_scale = (float(self.block_size) * self.q_max) ** -0.5
        blocks = learned_step_ste(
            self._to_blocks(values), self.step_sizes(), self.q_min, self.q_max, gradient_scale
        )
        return self._from_blocks(blocks, values.shape)

    def scheme_encode(self, values):
        """Return the nearest codes, and a step size for each of them."""
        blocks = self._to_blocks(values)
        steps = self.step_sizes()
        codes = encode_on_grid(blocks, steps, self.q_min, self.q_max).codes
        steps = tf.broadcast_to(steps, blocks.shape)
        return Encoded(
            self._from_blocks(codes, values.shape), self._from_blocks(steps, values.shape)
        )

    def step_sizes(self):
        """Return the rounded step sizes, float32 of shape (blocks, 1, channels)."""
        return short_float_ste(self.step_size.value)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "block_size": self.block_size}

    def _to_blocks(self, values):
        """Return values as (blocks, block_size, channels)."""
        return tf.reshape(
            tf.transpose(values, self._order(values.shape)),
            (-1, self.block_size, self._num_channels),
        )

    def _from_blocks(self, blocks, shape):
        order = self._order(shape)
        moved = tf.reshape(blocks, [shape[axis] for axis in order])
        return tf.transpose(moved, [order.index(axis) for axis in range(len(order))])

    def _order(self, shape):
        """Return all axes, those of the channels last."""
        axes = self.channel_axes(len(shape))
        return [*(axis for axis in range(len(shape)) if axis not in axes), *axes]


def check_block_size(block_size):
    """Return `block_size` if it is a positive multiple of 32.

    Raises:
        ValueError: if not.
    """
    is_integer = isinstance(block_size, (int, np.integer)) and not isinstance(block_size, bool)
    if not is_integer or block_size <= 0 or block_size % BLOCK_MULTIPLE:
        raise ValueError(
            f"Argument `block_size` must be a positive multiple of {BLOCK_MULTIPLE}, as kernels "
            f"take blocks. Received: block_size={block_size!r}"
        )
    return int(block_size)
