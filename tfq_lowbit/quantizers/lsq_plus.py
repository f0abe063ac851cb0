"""LSQ+: a learned step size and a learned offset."""

import keras
import tensorflow as tf

from tfq_lowbit.calibration import get_rule
from tfq_lowbit.quantizers.lsq import LSQ
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.ste import learned_step_and_offset_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class LSQPlus(LSQ):
    """LSQ with a trained offset, for activations that are negative to a small extent.

    Forward: `q(x) = s * clip(round(x / s), -z, 2^b - 1 - z)` with the integer zero point
    `z = clip(round(-beta / s), 0, 2^b - 1)`: the paper's
    `s * round(clip((x - beta) / s, 0, 2^b - 1)) + beta` with the offset beta snapped to the grid,
    so that the real 0 is a code and the model that trains is the one that ships.
    Backward: as LSQ for `x` and `s`; `dq/dbeta = 0` inside the range and 1 outside, scaled by
    LSQ's `g` as well.

    The offset starts at the smallest value (at most 0), the step by the "mse" rule.

    Args:
        num_bits: width of the codes, 2 to 8.
        signed: must be False: the offset decides how far the range goes below 0.
        narrow_range: must be False.
        axis: must be None: an integer kernel has one zero point a tensor.
        init: rule for the first step size.
        num_features: see `LSQ`.
        is_activation: see `LSQ`.

    Raises:
        ValueError: for a width out of range, or `signed`, `narrow_range` or `axis` given.

    Example:
        >>> quantizer = LSQPlus(num_bits=4)
        >>> quantizer.initialize([-0.2, 0.0, 0.4, 1.3])
        >>> float(quantizer(keras.ops.array([0.0]))[0])
        0.0

    References:
        Bhalgat et al., "LSQ+: Improving low-bit quantization through learnable offsets and
        better initialization", CVPR Workshops 2020, https://arxiv.org/abs/2004.09576
    """

    can_be_wide = False

    def __init__(
        self,
        num_bits=8,
        signed=False,
        narrow_range=False,
        axis=None,
        init="mse",
        num_features=None,
        is_activation=True,
        **kwargs,
    ):
        if signed or narrow_range or axis is not None:
            raise ValueError(
                "LSQPlus learns where its range begins, for the whole tensor: leave out `signed`, "
                "`narrow_range` and `axis`, or use LSQ. Received: "
                f"signed={signed!r}, narrow_range={narrow_range!r}, axis={axis!r}"
            )
        super().__init__(num_bits, False, False, None, init, num_features, is_activation, **kwargs)

    @property
    def q_min(self):
        """Smallest code, `-z`: a float tensor."""
        return -self._zero_point()

    @property
    def q_max(self):
        """Largest code, `2^b - 1 - z`: a float tensor."""
        return self._num_steps - self._zero_point()

    def scheme_build(self, step_shape):
        """Create the trained step size and offset."""
        super().scheme_build(step_shape)
        self.offset = RelativeVariable(self, "offset", step_shape, is_positive=False)
        self.offset.assign(tf.zeros(step_shape), reference=tf.ones(step_shape))

    def scheme_initialize(self, values):
        """Set the offset to the minimum and the step size by the rule."""
        minimum = tf.minimum(tf.reduce_min(values), 0.0)
        step = get_rule(self.init)(values - minimum, 0, self._num_steps)
        self.step_size.assign(step)
        self.offset.assign(minimum, reference=step)

    def scheme_quantize(self, values):
        """Return the nearest grid values, with the gradients of LSQ+."""
        return learned_step_and_offset_ste(
            values,
            self.step_size.value,
            self.offset.value,
            self._zero_point(),
            self._num_steps,
            self.gradient_scale(values),
        )

    def gradient_scale(self, values):
        """Return `g = 1 / sqrt(N * (2^b - 1))` for the tensor `values`."""
        return (self.count_features(values) * self._num_steps) ** -0.5

    @property
    def _num_steps(self):
        return 2.0**self.num_bits - 1.0

    def _zero_point(self):
        steps = -self.offset.value / self.step_size.value
        return tf.stop_gradient(tf.clip_by_value(tf.round(steps), 0.0, self._num_steps))
