"""DoReFa-Net: weights through tanh, activations clipped to a fixed range."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, Quantizer, encode_on_grid, positive
from tfq_lowbit.same_bits import range_step
from tfq_lowbit.ste import clipped_round_ste, round_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class DoReFaWeights(Quantizer):
    """Weight quantizer on `[-c, c]` behind a tanh.

    Forward: `t = tanh(w) / max(abs(tanh(w)))`, then
    `q(w) = c * (2 * round((2^b - 1) * (t / 2 + 1/2)) / (2^b - 1) - 1)`: the paper's `2^b` levels,
    none of them 0, as odd codes with step `c / (2^b - 1)`. With `narrow_range=True` the
    `2^b - 1` levels around 0, `q(w) = c * round(n * t) / n` with `n = 2^(b-1) - 1`, whose codes fit
    b bits. Backward: rounding passes gradients through; tanh and the maximum keep theirs.

    Args:
        num_bits: width, 2 to 8.
        signed: must be True.
        narrow_range: which of the two grids, see above.
        axis: must be None: the maximum is the tensor's.
        init: unused, kept for a uniform signature.
        keep_scale: False gives the paper's `c = 1`; True sets c once, to the least squares fit
            of `c * q` to the first weights, so that a trained float model keeps its scale.

    Raises:
        ValueError: for a width out of range, unsigned weights or an axis.

    Example:
        >>> quantizer = DoReFaWeights(num_bits=2)
        >>> [round(float(value), 4) for value in quantizer(keras.ops.array([-1.0, 0.1, 2.0]))]
        [-1.0, 0.3333, 1.0]

    References:
        Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low
        Bitwidth Gradients", 2016, https://arxiv.org/abs/1606.06160
    """

    def __init__(
        self,
        num_bits=8,
        signed=True,
        narrow_range=False,
        axis=None,
        init="lsq",
        keep_scale=False,
        **kwargs,
    ):
        if not signed or axis is not None:
            raise ValueError(
                "DoReFaWeights is signed and has one range a tensor: leave out `signed` and "
                f"`axis`. Received: signed={signed!r}, axis={axis!r}"
            )
        super().__init__(num_bits, True, narrow_range, None, init, **kwargs)
        self.keep_scale = keep_scale

    @property
    def q_min(self):
        """Smallest code."""
        return -self.q_max

    @property
    def q_max(self):
        """Largest code: `2^b - 1` on the paper's grid (odd codes), `2^(b-1) - 1` if narrow."""
        return 2 ** (self.num_bits - 1) - 1 if self.narrow_range else 2**self.num_bits - 1

    def scheme_build(self, step_shape):
        """Create the scale `c`, 1 unless data sets it."""
        self.scale = self.add_step_size("scale", step_shape)

    def scheme_initialize(self, values):
        """Fit `c`, where asked for."""
        if self.keep_scale:
            unit = self._codes(values)
            norm = tf.maximum(tf.reduce_sum(unit * unit), 1.0)
            fitted = tf.reduce_sum(values * unit) / norm * float(self.q_max)
            self.scale.assign(tf.where(fitted > 0.0, fitted, 1.0))

    def scheme_quantize(self, values):
        """Return the nearest levels, with straight-through rounding."""
        return self._codes(values) * self._step_size()

    def scheme_encode(self, values):
        """Return the nearest codes."""
        return Encoded(self._codes(values), self._step_size())

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "keep_scale": self.keep_scale}

    def _step_size(self):
        return range_step(positive(self.scale), self.q_max)

    def _codes(self, values):
        squashed = tf.tanh(values)
        largest = tf.reduce_max(tf.abs(squashed))
        scaled = tf.math.divide_no_nan(squashed, largest) * float(self.q_max)
        if self.narrow_range:
            return round_ste(scaled)
        return 2.0 * round_ste((scaled + self.q_max) / 2.0) - float(self.q_max)


@keras.saving.register_keras_serializable("tfq_lowbit")
class DoReFaActivations(Quantizer):
    """Activation quantizer on a fixed range.

    Forward: `q(x) = c * round((2^b - 1) * clip(x / c, 0, 1)) / (2^b - 1)`.
    Backward: `dq/dx = 1` for `0 <= x <= c`, else 0.
    Signed: `[-c, c]` with `2^(b-1) - 1` steps on each side.

    Args:
        num_bits: width of the codes, 2 to 8, or 16.
        signed: see `Quantizer`.
        narrow_range: see `Quantizer`.
        axis: must be None.
        init: rule for `c` where it is not given.
        clip_value: `c`; 1 in the paper, None to set it once from data.

    Raises:
        ValueError: for a width out of range or an axis.

    Example:
        >>> quantizer = DoReFaActivations(num_bits=2)
        >>> [round(float(value), 4) for value in quantizer(keras.ops.array([0.4, 3.0]))]
        [0.3333, 1.0]

    References:
        Zhou et al., "DoReFa-Net", 2016, https://arxiv.org/abs/1606.06160
    """

    def __init__(
        self,
        num_bits=8,
        signed=False,
        narrow_range=True,
        axis=None,
        init="min_max",
        clip_value=1.0,
        **kwargs,
    ):
        if axis is not None:
            raise ValueError(
                f"DoReFaActivations has one range a tensor: `axis` must be None. Received: {axis!r}"
            )
        super().__init__(num_bits, signed, narrow_range, None, init, **kwargs)
        self.clip_value = clip_value

    def scheme_build(self, step_shape):
        """Create the clipping value."""
        initial = 1.0 if self.clip_value is None else self.clip_value
        self.range = self.add_step_size("range", step_shape, initial=initial)

    def scheme_initialize(self, values):
        """Set the clipping value, where none was given."""
        if self.clip_value is None:
            self.range.assign(self.initial_step(values, self.range.shape) * self.q_max)

    def scheme_quantize(self, values):
        """Return the nearest grid values."""
        return clipped_round_ste(values, self._step_size(), self.q_min, self.q_max)

    def scheme_encode(self, values):
        """Return the nearest codes."""
        return encode_on_grid(values, self._step_size(), self.q_min, self.q_max)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "clip_value": self.clip_value}

    def _step_size(self):
        return range_step(positive(self.range), self.q_max)
