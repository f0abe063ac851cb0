"""What every quantizer shares: the code range, the step size, and how it starts."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.calibration import get_rule
from tfq_lowbit.calibration.rules import SMALLEST_STEP
from tfq_lowbit.same_bits import reciprocal

MIN_BITS, MAX_BITS = 2, 8
# The one width beyond: activations that ride in int16 tensors.
WIDE_BITS = 16


class Encoded(NamedTuple):
    """Codes and what turns them into reals: `value = codes * step_size + offset`.

    Attributes:
        codes: int32 tensor of the shape of the values. Without an offset code 0 is the real 0.
        step_size: float32, broadcastable to `codes`.
        offset: float32, broadcastable to `codes`, None where there is none. Only binary quantizers
            have one.
    """

    codes: tf.Tensor
    step_size: tf.Tensor
    offset: tf.Tensor | None = None


class Quantizer(keras.layers.Layer):
    """Base class: maps reals to `step_size * code` with integer codes in `[q_min, q_max]`.

    Code 0 always is the real 0, so zero padding and ReLU are exact. A call computes in float32
    and returns the type of its input. `BinaryQuantizer` is the base of those without a code 0.

    Attributes:
        widths: the widths that a class has, as (smallest, largest).
        can_be_wide: whether it has 16 bits, too.
        needs_data: whether something is set from the first data.

    Args:
        num_bits: width of the codes, 2 to 8, or 16 for activations.
        signed: True for codes on both sides of 0, False for codes from 0 up, None to decide
            from the first data (signed where a value is negative). Codes of 16 bits are signed:
            the zero of an int16 tensor is code 0.
        narrow_range: leave out the lowest signed code, so that the range is symmetric,
            `-(2^(b-1) - 1) .. 2^(b-1) - 1`. Weights need it: their sign may be flipped when
            batch normalization is folded.
        axis: the channel axis of a per-channel quantizer, or a tuple of axes (a depthwise kernel
            has two), None for one step size a tensor.
        init: rule that sets the step size from data: "lsq", "mse", "min_max", "percentile".

    Raises:
        ValueError: for a width out of range, 16 bits without a sign, or an unknown rule.
    """

    widths = (MIN_BITS, MAX_BITS)
    can_be_wide = True
    needs_data = True

    def __init__(
        self, num_bits=8, signed=True, narrow_range=False, axis=None, init="lsq", **kwargs
    ):
        kwargs = {"dtype": "float32", "autocast": False, **kwargs}
        super().__init__(**kwargs)
        self.num_bits = check_num_bits(num_bits, widths=self.widths, wide=self.can_be_wide)
        if self.num_bits == WIDE_BITS:
            if signed is False:
                raise ValueError(
                    "Argument `signed` must be True or None for 16 bits: an int16 tensor has its "
                    f"zero at code 0. Received: signed={signed!r}"
                )
            signed = True
        self.signed = signed
        self.narrow_range = narrow_range
        self.axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
        self.init = init
        self._rule = get_rule(init)

    # What a new quantizer defines.

    def scheme_build(self, step_shape):
        """Create the variables of the scheme; `step_shape` broadcasts to the values."""
        raise NotImplementedError

    def scheme_initialize(self, values):
        """Set the variables from `values`, float32 of shape `(n, c)`."""
        raise NotImplementedError

    def scheme_quantize(self, values):
        """Return `step_size * codes` of float32 `values`, with the scheme's gradient."""
        raise NotImplementedError

    def scheme_encode(self, values):
        """Return `Encoded` for float32 `values`; float codes are allowed."""
        raise NotImplementedError

    # What it gets.

    @property
    def q_min(self):
        """Smallest code: an int, or a float tensor while `signed` is left to the data."""
        lowest = -(2 ** (self.num_bits - 1)) + (1 if self.narrow_range else 0)
        if self.signed is None:
            return self.is_signed * float(lowest)
        return lowest if self.signed else 0

    @property
    def q_max(self):
        """Largest code: an int, or a float tensor while `signed` is left to the data."""
        signed, unsigned = 2 ** (self.num_bits - 1) - 1, 2**self.num_bits - 1
        if self.signed is None:
            return unsigned + self.is_signed * float(signed - unsigned)
        return signed if self.signed else unsigned

    @property
    def is_calibrated(self):
        """True once the step size was set from data, loaded or trained, or needs no data."""
        return self.built and (not self.needs_data or bool(self.calibrated.numpy() > 0))

    def build(self, input_shape):
        """Create the step size for values of `input_shape`."""
        axes = self.channel_axes(len(input_shape))
        shape = [size if axis in axes else 1 for axis, size in enumerate(input_shape)]
        if self.needs_data:
            self.calibrated = self._flag("calibrated")
        if self.signed is None:
            self.is_signed = self._flag("is_signed")
        self.scheme_build(shape if axes else [])

    def call(self, inputs, training=None):
        """Quantize `inputs`; the first training batch sets the step size if nothing else did."""
        values = tf.cast(inputs, tf.float32)
        if training and self.needs_data:
            self._initialize_once(values)
        return tf.cast(self.scheme_quantize(values), inputs.dtype)

    def initialize(self, values):
        """Set the step size (and sign) from data.

        Args:
            values: float array or tensor of any shape that has the quantizer's axis.

        Raises:
            ValueError: if a value is not finite.
        """
        values = tf.convert_to_tensor(values, tf.float32)
        if not bool(tf.reduce_all(tf.math.is_finite(values))):
            raise ValueError(
                f"Quantizer {self.name!r} can only be initialised from finite values. "
                "Received values with NaN or infinity: remove them from the calibration data."
            )
        if not self.built:
            self.build(values.shape)
        self._initialize(values)

    def encode(self, values):
        """Return the codes and step size of `values`.

        `decode(encode(x))` equals `self(x)` bit for bit.

        Args:
            values: float tensor or array.

        Returns:
            `Encoded(codes, step_size, offset)`, codes as int32.
        """
        encoded = self.scheme_encode(tf.cast(values, tf.float32))
        return encoded._replace(codes=tf.cast(encoded.codes, tf.int32))

    def decode(self, encoded):
        """Return the float32 values of `encoded`: `codes * step_size + offset`."""
        values = tf.cast(encoded.codes, tf.float32) * encoded.step_size
        return values if encoded.offset is None else values + encoded.offset

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "num_bits": self.num_bits,
            "signed": self.signed,
            "narrow_range": self.narrow_range,
            "axis": self.axis,
            "init": self.init,
        }

    # For the schemes.

    def channel_axes(self, rank):
        """Return the channel axes as a tuple of non-negative integers, empty per tensor."""
        if self.axis is None:
            return ()
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        return tuple(sorted(axis % rank for axis in axes))

    def add_step_size(self, name, shape, initial=1.0):
        """Add a positive number that training does not move, `initial` until data sets it."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.Constant(initial),
            trainable=False,
            dtype="float32",
        )

    def initial_step(self, values, shape):
        """Apply the rule to `(n, c)` values; the result has `shape`."""
        return tf.reshape(self._rule(values, self.q_min, self.q_max), shape)

    # Inside.

    def _flag(self, name):
        return self.add_weight(
            name=name, shape=(), initializer="zeros", trainable=False, dtype="float32"
        )

    def _by_channel(self, values):
        axes = self.channel_axes(len(values.shape))
        others = [axis for axis in range(len(values.shape)) if axis not in axes]
        channels = math.prod(values.shape[axis] for axis in axes)
        return tf.reshape(tf.transpose(values, [*others, *axes]), (-1, channels))

    def _initialize(self, values):
        if self.signed is None:
            self.is_signed.assign(tf.cast(tf.reduce_min(values) < 0.0, tf.float32))
        self.scheme_initialize(self._by_channel(values))
        if self.needs_data:
            self.calibrated.assign(1.0)

    def _initialize_once(self, values):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            # Every replica would start from a batch of its own, and stay apart.
            self._require_calibration()
            return

        def initialize():
            self._initialize(values)
            return True

        tf.cond(self.calibrated.value > 0.0, lambda: False, initialize)

    def _require_calibration(self):
        with tf.init_scope():  # the value before training, also while a graph is traced
            is_calibrated = self.is_calibrated
        if not is_calibrated:
            raise ValueError(
                f"Quantizer {self.name!r} has seen no data, and each of the "
                f"{tf.distribute.get_strategy().num_replicas_in_sync} replicas would start from "
                "a batch of its own. Give quantize_model `calibration_data`, or call "
                "tfq.calibrate(model, data) before `fit`."
            )


def positive(step_size):
    """Return `max(step_size, 1e-8)`: whatever was assigned or loaded, a step is positive."""
    return tf.maximum(tf.convert_to_tensor(step_size), SMALLEST_STEP)


def encode_on_grid(values, step_size, q_min, q_max):
    """Return `Encoded` for `clip(round(values / step_size), q_min, q_max)`."""
    codes = tf.round(tf.clip_by_value(values * reciprocal(step_size), q_min, q_max))
    return Encoded(codes, step_size)


def check_num_bits(num_bits, name="num_bits", widths=(MIN_BITS, MAX_BITS), wide=False):
    """Return `num_bits` if it is an integer in a range, from 2 to 8 by default.

    Args:
        num_bits: the width.
        name: of the argument, for the error.
        widths: the smallest and the largest width.
        wide: whether 16 is one as well.

    Raises:
        ValueError: if not.
    """
    is_integer = isinstance(num_bits, (int, np.integer)) and not isinstance(num_bits, bool)
    smallest, largest = widths
    is_wide = wide and num_bits == WIDE_BITS
    if not is_integer or not (smallest <= num_bits <= largest or is_wide):
        rule = f"an integer from {smallest} to {largest}" if smallest < largest else f"{smallest}"
        rule += f", or {WIDE_BITS}" if wide else ""
        raise ValueError(f"Argument `{name}` must be {rule}. Received: {name}={num_bits!r}")
    return int(num_bits)
