"""The custom operators of `custom_ops/README.md` in NumPy, for `tests/evaluator.py`.

Written from that text alone: words, filters and options are read here, products are plain sums over
a window, so that nothing is shared with the exporter, `tfq_lowbit.packing` or the kernels.
"""

import numpy as np

from tests.evaluator_nodes import F32, require

PADDINGS = {0: None, 1: 1, 2: 0}  # what is padded with
OPTIONS = {
    "TfqBitpack": {"version", "planes", "lowest"},
    "TfqBconv2d": {
        *("version", "channels_in", "planes", "codes", "zero_point", "low", "high"),
        *("kernel_height", "kernel_width", "stride_height", "stride_width"),
        *("dilation_height", "dilation_width", "groups", "padding"),
    },
    "TfqBdense": {"version", "channels_in", "planes", "codes", "zero_point", "low", "high"},
    "TfqBmaxpool": {
        *("version", "kernel_height", "kernel_width", "stride_height", "stride_width", "padding"),
    },
    "TfqPrelu": {"version", "low", "high"},
}


def read_bits(words, channels, planes):
    """Bits [..., plane, channel] of words; padding bits must be clear."""
    count = -(-channels // 32)
    require(words.dtype == np.int32 and words.shape[-1] == planes * count, "words of wrong shape")
    shaped = words.reshape(*words.shape[:-1], planes, count).astype(np.int64)
    bits = (shaped[..., None] >> np.arange(32)) & 1
    bits = bits.reshape(*shaped.shape[:-1], count * 32)
    require(not bits[..., channels:].any(), "padding bits are set")
    return bits[..., :channels]


def read_values(words, channels, planes, has_codes):
    bits = read_bits(words, channels, planes)
    if not has_codes:
        require(planes == 1, "values +1 and -1 have one plane")
        return 1 - 2 * bits[..., 0, :]
    return sum((1 - bits[..., plane, :]) << plane for plane in range(planes))


def write_words(bits):
    """Words of bits [..., channel]."""
    channels = bits.shape[-1]
    count = -(-channels // 32)
    full = np.zeros((*bits.shape[:-1], count * 32), np.int64)
    full[..., :channels] = bits
    words = (full.reshape(*bits.shape[:-1], count, 32) << np.arange(32)).sum(-1)
    return words.astype(np.uint32).view(np.int32)


def read_filter(stored, size):
    """Weights [output, size] of -1, 0, 1 from bytes."""
    require(stored.dtype == np.uint8 and stored.shape[-1] == -(-size // 8), "filter of wrong shape")
    bits = (stored[..., None].astype(np.int64) >> np.arange(8)) & 1
    bits = bits.reshape(*stored.shape[:-1], -1)
    require(not bits[..., size:].any(), "padding bits of the filter are set")
    bits = bits[..., :size]
    if bits.ndim == 2:
        return 1 - 2 * bits
    signs, mask = bits
    require(not (signs & (1 - mask)).any(), "a weight of 0 has a sign")
    return (1 - 2 * signs) * mask


def finish(node, total, window_sum):
    """The output transform of a kernel: int8 codes, float32 values or words."""
    first, second, *optional = node.inputs[2:]
    kind = node.output.type
    if kind == "INT32":
        require(not optional, f"{node.name}: further inputs of a packed output")
        flips = read_bits(second.data, total.shape[-1], 1)[0]
        return write_words((total < first.data) ^ (flips == 1))
    lower, upper, sum_multiplier = [*optional, None, None, None][:3]
    is_integer = second is not None and second.type == "INT32"
    y = (total + second.data if is_integer else total).astype(F32)
    y = y if lower is None else np.maximum(y, lower.data)
    y = y if upper is None else np.minimum(y, upper.data)
    y = y * first.data
    y = y if is_integer or second is None else y + second.data
    if sum_multiplier is not None:
        y = y + window_sum.astype(F32) * sum_multiplier.data
    require(y.dtype == F32, f"{node.name}: constants must be float32")
    if kind == "FLOAT32":
        return y
    options, zero = node.options, node.output.grid[1]
    require(options["zero_point"] == zero, f"{node.name}: zero points differ")
    low, high = options["low"] - zero, options["high"] - zero
    return (np.minimum(np.maximum(np.rint(y), low), high) + zero).astype(np.int8)


def same_pads(size, kernel, stride, dilation):
    missing = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return missing // 2, missing - missing // 2


def pick_windows(data, kernel, stride, dilation, fill):
    """Windows [batch, out height, out width, row, column, channel]; unpadded if `fill` is None."""
    if fill is not None:
        sizes = zip(data.shape[1:3], kernel, stride, dilation, strict=True)
        pads = [(0, 0), *(same_pads(*each) for each in sizes), (0, 0)]
        data = np.pad(data, pads, constant_values=fill)
    counts = [
        (size - (extent - 1) * spread - 1) // step + 1
        for size, extent, step, spread in zip(
            data.shape[1:3], kernel, stride, dilation, strict=True
        )
    ]
    rows, columns = (
        np.arange(count)[:, None] * step + np.arange(extent) * spread
        for count, extent, step, spread in zip(counts, kernel, stride, dilation, strict=True)
    )
    return data[:, rows[:, None, :, None], columns[None, :, None, :]]


def pair(options, name):
    return options[f"{name}_height"], options[f"{name}_width"]


def bitpack(node):
    source, options = node.inputs[0], node.options
    data = source.data.astype(F32 if source.type == "FLOAT32" else np.int64)
    if options["planes"] == 1:
        thresholds = node.inputs[1]
        expected = {"FLOAT32": "FLOAT32", "INT8": "INT32"}[source.type]
        require(thresholds.type == expected, f"{node.name}: thresholds of {thresholds.type}")
        require(thresholds.data.size in (1, data.shape[-1]), f"{node.name}: count of thresholds")
        return write_words(data < thresholds.data)
    top = 2 ** options["planes"] - 1
    codes = np.clip(data - options["lowest"], 0, top)
    bits = [1 - (codes >> plane & 1) for plane in range(options["planes"])]
    return np.concatenate([write_words(plane) for plane in bits], axis=-1)


def bconv2d(node):
    options, channels = node.options, node.options["channels_in"]
    has_codes, groups = bool(options["codes"]), options["groups"]
    values = read_values(node.inputs[0].data, channels, options["planes"], has_codes)
    kernel = pair(options, "kernel")
    fill = PADDINGS[options["padding"]]
    fill = 0 if has_codes and fill is not None else fill
    windows = pick_windows(values, kernel, pair(options, "stride"), pair(options, "dilation"), fill)
    weights = read_filter(node.inputs[1].data, kernel[0] * kernel[1] * channels // groups)
    outputs = len(weights) // groups
    totals, sums = [], []
    for group in range(groups):
        part = np.array_split(windows, groups, axis=-1)[group]
        part = part.reshape(*part.shape[:3], -1)
        totals.append(part @ weights[group * outputs : (group + 1) * outputs].T)
        sums.append(np.repeat(part.sum(-1, keepdims=True), outputs, axis=-1))
    return finish(node, np.concatenate(totals, -1), np.concatenate(sums, -1))


def bdense(node):
    options, channels = node.options, node.options["channels_in"]
    has_codes = bool(options["codes"])
    values = read_values(node.inputs[0].data, channels, options["planes"], has_codes)
    weights = read_filter(node.inputs[1].data, channels)
    return finish(node, values @ weights.T, values.sum(-1, keepdims=True))


def bmaxpool(node):
    kernel = pair(node.options, "kernel")
    fill = -1 if node.options["padding"] else None  # all bits set: padding never wins
    windows = pick_windows(node.inputs[0].data, kernel, pair(node.options, "stride"), (1, 1), fill)
    return np.bitwise_and.reduce(windows, axis=(3, 4))


def prelu(node):
    x, knee, *parameters = (each.data for each in node.inputs)
    m_above, b_above, m_below, b_below = parameters
    is_above, x = x.astype(np.int64) > knee, x.astype(F32)
    y = np.where(is_above, x * m_above + b_above, x * m_below + b_below)
    require(y.dtype == F32, f"{node.name}: constants must be float32")
    return np.clip(np.rint(y), node.options["low"], node.options["high"]).astype(np.int8)


FUNCTIONS = {"TfqBitpack": bitpack, "TfqBconv2d": bconv2d, "TfqBdense": bdense}
FUNCTIONS |= {"TfqBmaxpool": bmaxpool, "TfqPrelu": prelu}


def checked(function, node):
    """Run a custom operator whose options are all there, and of version 1."""
    missing = OPTIONS[node.name] ^ set(node.options)
    require(not missing, f"{node.name}: options missing or unknown: {sorted(missing)}")
    require(node.options["version"] == 1, f"{node.name}: version {node.options['version']}")
    return function(node)


CUSTOM = {
    name: lambda node, function=function: checked(function, node)
    for name, function in FUNCTIONS.items()
}
