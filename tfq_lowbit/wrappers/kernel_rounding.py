"""What is pending before a quantizer, rounded as the integer kernel rounds it.

Keras computes a convolution in reals, multiplying by the scales of input, kernel, batch
normalization and output one after the other. The kernel multiplies its integer sum by their
product. Last bits then decide where a value lies in the middle between two codes. With the integers
that the kernel rounds known, a quantizer in evaluation computes what the kernel computes.

An *origin* says how a tensor was computed: a dict from an operation to the tensors that it needs,
which a Keras model can hold as a call argument. Grids are `[step_size, q_min, q_max]`.

- `{"accumulate": s}`: sums of products of codes and a bias, in units of `s[0] * s[1]`, or such sums
  rectified or pooled: a convolution or dense layer, normalized or not. `"bounded"`: likewise, but
  between bounds other than 0.
- `{"multiply": {"1.0": [g_1, g_2]}}`: products of two tensors of codes on these grids, or sums of
  such products, and a factor.
- `{"add": [[x_1, g_1], [x_2, g_2]]}`, `"subtract"`, `"average"`: two tensors and their grids.
- `{"mean": {"49": g}}`: means of so many codes on a grid.
- `{"keep": g}`: codes on a grid of their own.
- `{"concatenate": {"3": [[x_1, o_1], ...]}}`: the axis, tensors and the origin of each.
"""

import tensorflow as tf

from tfq_lowbit.quantizers.grid import step_size_of, zero_point_of
from tfq_lowbit.same_bits import reciprocal, rounded
from tfq_lowbit.wrappers.accumulator import SMALLEST_UNIT

# The larger of the two multipliers of a sum has 21 bits.
MULTIPLIER_BITS = 20
# How far from an integer a value may lie, in its unit, that is a sum of integers but for rounding
# errors. A bound, as that of a ReLU6, may lie anywhere.
NEARLY = 0.125
# Of a step, what takes the place of a unit of 0.
FINE_UNIT = 2.0**-16


def round_as_kernel(values, origin, grid):
    """Return values as multiples of a step, each the one that the integer kernel computes.

    Args:
        values: float32 tensor.
        origin: how it was computed, see above.
        grid: of the result.

    Returns:
        A float32 tensor, not clipped.
    """
    ((operation, tensors),) = origin.items()
    return _OPERATIONS[operation](values, tensors, grid)


def sum_on_grid(left, right, step_size, sign=1):
    """Return `x_1 + x_2`, or `x_1 - x_2`, as multiples of a step.

    XNNPACK's ADD multiplies the codes by integers and shifts once, ties up:
    `y = step * ((c_1 * m_1 + sign * c_2 * m_2 + 2^(k-1)) >> k)` with
    `m_j = rint(s_j / step * 2^k)` and `k = 20 - floor(log2(max(s_1, s_2) / step))`. A multiplier is
    off by up to 2^-21 of itself, so that about one code in 100,000 is another than that of the sum
    of the reals.

    Args:
        left: a tensor and its grid.
        right: likewise; their shapes broadcast.
        step_size: float32 scalar, of the result.
        sign: of the second operand, 1 or -1.

    Returns:
        A float32 tensor, not clipped.
    """
    operands, grids = zip(left, right, strict=True)
    signs = (1, sign)
    steps = [step_size_of(grid) for grid in grids]
    ratios = [step / step_size for step in steps]
    # The exponent of a float32 stands above its 23 bits of fraction, that of a float64 above 52.
    exponent = tf.bitwise.right_shift(tf.bitcast(tf.maximum(*ratios), tf.int32), 23) - 127
    shift = MULTIPLIER_BITS - exponent
    total = tf.constant(0.5, tf.float64)
    for operand, step, ratio, factor in zip(operands, steps, ratios, signs, strict=True):
        codes = tf.round(tf.cast(operand, tf.float32) * reciprocal(step))
        multiplier = tf.round(tf.cast(ratio, tf.float64) * _power_of_two(shift))
        # A power of two divides exactly, and the sums stay below 2^53.
        total += factor * tf.cast(codes, tf.float64) * (multiplier * _power_of_two(-shift))
    return tf.cast(tf.floor(total), tf.float32) * step_size


def scaled_on_grid(values, left, right, step_size, is_bounded=False):
    """Return integers in units of `left * right` as multiples of a step.

    XNNPACK rounds a product in float32 once, half to even: `y = step * rint(n * M)` with
    `M = (left * right) / step` and the integer `n = values / (left * right)`.

    Args:
        values: float32 tensor.
        left: float32, broadcastable to `values`: the scale of an input, say.
        right: likewise, that of a kernel. A unit of 0 is none: such values are rounded as they are.
        step_size: float32 scalar, of the result.
        is_bounded: whether values may lie at a bound that is no multiple of the unit.

    Returns:
        A float32 tensor, not clipped.
    """
    unit = left * right
    unit = tf.where(unit > SMALLEST_UNIT, unit, step_size * FINE_UNIT)
    integers = values * reciprocal(unit)
    nearest = tf.round(integers)
    if is_bounded:
        away = nearest - integers
        nearest = integers + away * tf.cast(tf.abs(away) <= NEARLY, tf.float32)
    return tf.round(nearest * rounded(unit / step_size)) * step_size


def mean_on_grid(values, count, source, grid):
    """Return means of codes as multiples of a step.

    XNNPACK rounds `sum * c + Z` in float32, half to even, with the sum of raw codes,
    `c = (s_in / s_out) * (1 / n)` and `Z = z_out - n * z_in * c`.

    Args:
        values: float32 tensor, the means.
        count: `n`, how many values a mean has.
        source: the grid of these.
        grid: that of the result.

    Returns:
        A float32 tensor, not clipped.
    """
    step_in, step_out = step_size_of(source), step_size_of(grid)
    zero_in, zero_out = (zero_point_of(each[2]) for each in (source, grid))
    total = tf.round(values * rounded(float(count) / step_in)) + count * zero_in
    factor = rounded(step_in / step_out) * reciprocal(tf.constant(float(count)))
    offset = zero_out - rounded(count * zero_in * factor)
    return (tf.round(rounded(total * factor) + offset) - zero_out) * step_out


def _accumulate(values, scales, grid):
    return scaled_on_grid(values, scales[0], scales[1], step_size_of(grid))


def _bounded(values, scales, grid):
    return scaled_on_grid(values, scales[0], scales[1], step_size_of(grid), is_bounded=True)


def _multiply(values, grids_by_factor, grid):
    ((factor, grids),) = grids_by_factor.items()
    left, right = map(step_size_of, grids)
    left = left * float(factor)
    # A mask may lie behind it.
    return scaled_on_grid(values, left, right, step_size_of(grid), is_bounded=True)


def _keep(values, source, grid):
    return scaled_on_grid(values, step_size_of(source), 1.0, step_size_of(grid))


def _add(values, operands, grid):
    left, right = operands
    return _rectified(values, sum_on_grid(left, right, step_size_of(grid)))


def _subtract(values, operands, grid):
    left, right = operands
    return _rectified(values, sum_on_grid(left, right, step_size_of(grid), -1))


def _average(values, operands, grid):
    """A sum on a grid that is twice as coarse, whose codes are those of the mean."""
    left, right = operands
    return _rectified(values, sum_on_grid(left, right, 2.0 * step_size_of(grid)) / 2.0)


def _mean(values, source_by_count, grid):
    ((count, source),) = source_by_count.items()
    return _rectified(values, mean_on_grid(values, int(count), source, grid))


def _concatenate(values, parts_by_axis, grid):
    ((axis, parts),) = parts_by_axis.items()
    joined = [round_as_kernel(tf.cast(part, tf.float32), origin, grid) for part, origin in parts]
    return _rectified(values, tf.concat(joined, int(axis)))


def _rectified(values, multiples):
    """Return 0 where a ReLU behind what was rounded, or a sum of nothing, left 0."""
    return multiples * tf.cast(values != 0, tf.float32)


def _power_of_two(exponent):
    """Return `2^exponent` as float64, exactly."""
    biased = tf.cast(exponent, tf.int64) + 1023
    return tf.bitcast(tf.bitwise.left_shift(biased, tf.constant(52, tf.int64)), tf.float64)


_OPERATIONS = {
    "accumulate": _accumulate,
    "bounded": _bounded,
    "multiply": _multiply,
    "keep": _keep,
    "add": _add,
    "subtract": _subtract,
    "average": _average,
    "mean": _mean,
    "concatenate": _concatenate,
}
