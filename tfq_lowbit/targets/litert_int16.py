"""What LiteRT takes beside int16 activations: the tables of `litert` that differ.

All of it runs in builtin kernels; XNNPACK takes none of these operators. Each was measured on
LiteRT 2.3 against its arithmetic (`export/arithmetic_int16.py`), all codes and int64 biases.
"""

from tfq_lowbit.targets.litert import Version

# CONV_2D takes int4 filters right (INT2 is refused or garbage), DEPTHWISE_CONV_2D silently garbles
# all but INT8, FULLY_CONNECTED takes the three. (TRANSPOSE_CONV is right, but keeps the batch that
# the file was written for: it has no version here.)
CONTAINERS = {
    "CONV_2D": ("INT4", "INT8"),
    "DEPTHWISE_CONV_2D": ("INT8",),
    "FULLY_CONNECTED": ("INT2", "INT4", "INT8"),
    "TRANSPOSE_CONV": ("INT8",),
}
# Packed filters are unpacked on every call.
FAST_CONTAINERS = {name: ("INT8",) for name in CONTAINERS}
DEPTH_MULTIPLES = {"INT2": 1, "INT4": 1, "INT8": 1}

# The kernels multiply int64 sums of at most 48 bits.
ACCUMULATOR_LIMITS = {"INT2": 2**47, "INT4": 2**47, "INT8": 2**47}
# They shift by less than eight bits to the left.
MAX_MULTIPLIER = 128.0
# Codes of a sum are shifted by 15 bits and scaled to twice the larger scale first.
ADD_RATIOS = (2.0**-16, 2.0**8)
# A product of 31 bits that is shifted to the left may leave its 32.
MUL_RATIOS = (2.0**-30, 1.0)
# One code times the constant 1 or -1 has 16 bits.
RESCALE_RATIOS = (2.0**-16, 2.0**14)

_DENSE = {
    "INT8": Version(7, "2.20.0"),
    "INT4": Version(13, "2.20.0"),
    "INT2": Version(14, "2.21.0"),
}

# As `litert.VERSIONS`. Measured on TensorFlow Lite 2.14 and LiteRT 1.0 to 2.3: QUANTIZE from float
# rounds as here from 2.18 on, int4 convolutions are right and dense layers round as here from 2.20
# on, QUANTIZE from int8 came with LiteRT 2.2. The other rows hold from 2.14 on at least; their
# runtime is that of the schema's table of versions.
VERSIONS = {
    ("ADD", "", ""): Version(3, "2.4.0"),
    ("AVERAGE_POOL_2D", "", ""): Version(3, "2.3.0"),
    ("BATCH_MATMUL", "", ""): Version(3, "2.4.0"),
    ("CAST", "", ""): Version(1, "2.14.0"),
    ("CONCATENATION", "", ""): Version(3, "2.3.0"),
    ("CONV_2D", "INT8", ""): Version(4, "2.3.0"),
    ("CONV_2D", "INT8", "grouped"): Version(6, "2.9.0"),
    ("CONV_2D", "INT4", ""): Version(7, "2.20.0"),
    ("CONV_2D", "INT4", "grouped"): Version(7, "2.20.0"),
    ("DEPTHWISE_CONV_2D", "INT8", ""): Version(5, "2.3.0"),
    ("DEQUANTIZE", "", ""): Version(3, "1.15.0"),
    **{
        ("FULLY_CONNECTED", weights, variant): version
        for weights, version in _DENSE.items()
        for variant in ("", "keep_num_dims", "one scale", "one scale, keep_num_dims")
    },
    ("GATHER", "", ""): Version(4, "2.4.0"),
    ("MAXIMUM", "", ""): Version(4, "2.3.0"),
    ("MAX_POOL_2D", "", ""): Version(3, "2.3.0"),
    ("MEAN", "", ""): Version(3, "2.4.0"),
    ("MINIMUM", "", ""): Version(4, "2.3.0"),
    ("MUL", "", ""): Version(4, "2.3.0"),
    ("MUL", "", "multiplier of 1 and more"): Version(4, "2.3.0"),
    ("PAD", "", ""): Version(3, "2.4.0"),
    ("QUANTIZE", "", ""): Version(2, "2.18.0"),
    ("QUANTIZE", "", "from int8"): Version(2, "2.22.0"),
    ("QUANTIZE", "", "to int8"): Version(1, "1.14.0"),
    ("RESHAPE", "", ""): Version(1, "1.5.0"),
    ("RESIZE_NEAREST_NEIGHBOR", "", ""): Version(4, "2.4.0"),
    ("SLICE", "", ""): Version(4, "2.4.0"),
    ("STRIDED_SLICE", "", ""): Version(4, "2.2.0"),
    ("SUB", "", ""): Version(5, "2.4.0"),
    ("TRANSPOSE", "", ""): Version(5, "2.4.0"),
}
