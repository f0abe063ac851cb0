"""`check` on files of one operator: each rule of each target is broken once, and once kept."""

import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tests.targets.files import bias, in_blocks, integers, one_operator, tensor, weights
from tfq_lowbit.targets import TARGETS, check

IMAGE, OTHER = (1, 8, 8, 4), (0.1, 0)
CONV = ("Conv2DOptions", dict(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1))
SOFTMAX_GRID = (1 / 256, -128)


def options(row, **changed):
    return row[0], row[1] | changed


def conv(filters=None, source=None, output=None, options=CONV, version=3):
    inputs = [source or tensor(IMAGE), filters or weights(6, 1, 1, 4), bias(6)]
    return one_operator("CONV_2D", inputs, [output or tensor((1, 8, 8, 6))], options, version)


def depthwise(options, type="INT8", data="INT8"):
    inputs = [tensor(IMAGE, data), weights(1, 3, 3, 4, type=type, axis=3), bias(4)]
    return one_operator("DEPTHWISE_CONV_2D", inputs, [tensor(IMAGE, data)], options, 3)


def dense(filters=None, positions=1, options=("FullyConnectedOptions", {}), version=4, data="INT8"):
    inputs = [tensor((positions, 8), data), filters or weights(6, 8), bias(6)]
    return one_operator("FULLY_CONNECTED", inputs, [tensor((positions, 6), data)], options, version)


def same(code, *inputs, output=None, options=None, version=1):
    return one_operator(code, inputs, [output or tensor(inputs[0]["shape"])], options, version)


def concatenation(second, options=("ConcatenationOptions", {"axis": 3})):
    output = tensor((1, 8, 8, 8))
    return one_operator("CONCATENATION", [tensor(IMAGE), second], [output], options, 2)


def zeros(zero_point):
    return tensor(IMAGE, grid=(0.05, 3), values=np.full(IMAGE, zero_point))


def pool(code, activation=0, window=2, padding=1, stride=2, output=None):
    fields = dict(strideH=stride, strideW=stride, filterHeight=window, filterWidth=window)
    fields |= dict(fusedActivationFunction=activation, padding=padding)
    row = ("Pool2DOptions", fields)
    return one_operator(code, [tensor(IMAGE)], [output or tensor((1, 4, 4, 4))], row, 2)


def reduce(code, axes, channels=4):
    shape = (1, 8, 8, channels)
    inputs = [tensor(shape), integers(*axes)]
    return one_operator(code, inputs, [tensor((1, channels))], ("ReducerOptions", {}), 2)


def pad(channels, output=None):
    inputs = [tensor(IMAGE), integers((0, 0), (1, 1), (0, 0), (0, channels))]
    return one_operator("PAD", inputs, [output or tensor((1, 10, 8, 4 + channels))], None, 2)


def resize(height, width, align=False):
    row = ("ResizeBilinearOptions", {"alignCorners": align})
    output = tensor((1, height, width, 4))
    inputs = [tensor(IMAGE), integers(height, width)]
    return one_operator("RESIZE_BILINEAR", inputs, [output], row, 2)


def strided(stride):
    inputs = [tensor(IMAGE), *[integers(*row) for row in ([0] * 4, IMAGE, [1, stride, 1, 1])]]
    output = tensor((1, 8 // stride, 8, 4))
    return one_operator("STRIDED_SLICE", inputs, [output], ("StridedSliceOptions", {}), 2)


def border(code, types):
    tensors = [tensor((1, 4), type, None if type == "FLOAT32" else OTHER) for type in types]
    return one_operator(code, tensors[:1], tensors[1:])


def transposed(stride, type="INT8", offsets=None):
    row = ("TransposeConvOptions", dict(strideH=stride, strideW=stride))
    inputs = [integers(1, 24, 24, 6), weights(6, 3, 3, 4, type=type), tensor(IMAGE)]
    inputs.append(offsets or bias(6))
    return one_operator("TRANSPOSE_CONV", inputs, [tensor((1, 24, 24, 6))], row, 3)


def matmul(scales):
    inputs = [tensor((1, 4, 8)), weights(1, 8, 6, scales=scales, axis=2)]
    return one_operator("BATCH_MATMUL", inputs, [tensor((1, 4, 6))], ("BatchMatMulOptions", {}), 3)


def real_dense(filters, activation=0):
    inputs, output = [tensor((3, 8), "FLOAT32", None), filters], tensor((3, 6), "FLOAT32", None)
    row = ("FullyConnectedOptions", {"fusedActivationFunction": activation})
    return one_operator("FULLY_CONNECTED", inputs, [output], row, 14)


def lookup(table):
    inputs = [tensor((3,), "INT32", None), table]
    output = tensor((3, table["shape"][1]), "FLOAT32", None)
    return one_operator("EMBEDDING_LOOKUP", inputs, [output], None, 4)


SIX = (0.02,) * 5 + (0.03,)
SHUFFLED = ("FullyConnectedOptions", {"weightsFormat": 1})
ADD, MUL = ("AddOptions", {}), ("MulOptions", {})

# Target, words of the rule: a file that breaks it, and one that does not.
BROKEN = {
    ("edgetpu", "not among the operators"): (
        border("GELU", ("INT8", "INT8")),
        border("TANH", ("INT8", "INT8")),
    ),
    ("edgetpu", "Floats are quantized on the CPU"): (
        border("QUANTIZE", ("FLOAT32", "INT8")),
        border("QUANTIZE", ("INT8", "INT8")),
    ),
    ("edgetpu", "Data must be int8"): (conv(source=tensor(IMAGE, "INT16")), conv()),
    ("edgetpu", "Weights must be int8"): (conv(weights(6, 1, 1, 4, type="INT4")), conv()),
    ("edgetpu", "Sizes must be fixed"): (conv(source=tensor(IMAGE, free=True)), conv()),
    ("edgetpu", "three inner dimensions"): (conv(source=tensor((2, 8, 8, 4))), conv()),
    ("edgetpu", "Parameters must be constant"): (conv(tensor((6, 1, 1, 4))), conv()),
    ("edgetpu", "Dilation must be the same"): (
        conv(options=options(CONV, dilationHFactor=2)),
        conv(options=options(CONV, dilationHFactor=2, dilationWFactor=2)),
    ),
    ("edgetpu", "default format"): (dense(options=SHUFFLED), dense()),
    ("edgetpu", "one vector"): (dense(positions=5), dense()),
    ("edgetpu", "Weights must have one scale"): (dense(weights(6, 8, scales=SIX)), dense()),
    ("edgetpu", "no fused activation"): (pool("MAX_POOL_2D", 1), pool("MAX_POOL_2D")),
    ("edgetpu", "joined only as zeros"): (concatenation(zeros(4)), concatenation(zeros(3))),
    ("edgetpu", "runs over height and width"): (
        reduce("MEAN", (1, 2, 3), channels=5),
        reduce("MEAN", (1, 2, 3)),
    ),
    ("edgetpu", "not run over the batch"): (reduce("SUM", (0,)), reduce("SUM", (-1,))),
    ("edgetpu", "Only height and width are padded"): (pad(2), pad(0)),
    ("edgetpu", "one vector of at most"): (
        same("SOFTMAX", tensor((1, 20_000)), output=tensor((1, 20_000), grid=SOFTMAX_GRID)),
        same("SOFTMAX", tensor((1, 10)), output=tensor((1, 10), grid=SOFTMAX_GRID)),
    ),
    ("edgetpu", "Strides must be 1"): (strided(2), strided(1)),
    ("edgetpu", "one slope a channel"): (
        same("PRELU", tensor(IMAGE), weights(8, 8, 4)),
        same("PRELU", tensor(IMAGE), weights(1, 1, 4)),
    ),
    ("edgetpu", "not split the batch"): (
        one_operator("SPLIT", [integers(0), tensor(IMAGE)], [tensor(IMAGE)]),
        one_operator("SPLIT", [integers(3), tensor(IMAGE)], [tensor(IMAGE)]),
    ),
    ("edgetpu", "one subgraph"): (
        one_operator("TANH", [tensor(IMAGE)], [tensor(IMAGE)], copies=2),
        one_operator("TANH", [tensor(IMAGE)], [tensor(IMAGE)]),
    ),
    ("edgetpu", "read from the host"): (dense(weights(1100, 8000)), dense()),
    ("edgetpu", "up to version"): (conv(version=6), conv(version=5)),
    ("ethos-u", "not among the operators"): (
        border("DEQUANTIZE", ("INT8", "FLOAT32")),
        border("QUANTIZE", ("INT8", "INT8")),
    ),
    ("ethos-u", "Data must be int8 or int16"): (border("TANH", ("FLOAT32", "FLOAT32")), conv()),
    ("ethos-u", "Weights must be int8"): (conv(weights(6, 1, 1, 4, type="INT4")), conv()),
    ("ethos-u", "bias must be constant"): (
        one_operator(
            "CONV_2D",
            [tensor(IMAGE), weights(6, 1, 1, 4), tensor((6,), "INT32")],
            [tensor((1, 8, 8, 6))],
            CONV,
            3,
        ),
        conv(),
    ),
    ("ethos-u", "A bias must be constant"): (
        transposed(2, offsets=tensor((6,), "INT32")),
        transposed(2),
    ),
    ("ethos-u", "Strides beyond 3"): (
        depthwise(("DepthwiseConv2DOptions", dict(strideH=4, strideW=4, padding=1))),
        conv(options=options(CONV, strideH=4, strideW=4, padding=1)),
    ),
    ("ethos-u", "window with padding"): (
        pool("AVERAGE_POOL_2D", window=9, padding=0),
        pool("AVERAGE_POOL_2D", window=9, padding=1),
    ),
    ("ethos-u", "share scale and zero point"): (
        same("MAXIMUM", tensor(IMAGE), tensor(IMAGE, grid=OTHER)),
        same("MAXIMUM", tensor(IMAGE), tensor(IMAGE)),
    ),
    ("ethos-u", "grow alike"): (resize(16, 24), resize(16, 16)),
    ("ethos-u", "grow alike, 2"): (resize(29, 29), resize(29, 29, align=True)),
    ("ethos-u", "1 or 2 in both"): (transposed(3), transposed(2)),
    ("tflm", "not among the operators"): (
        border("GELU", ("INT8", "INT8")),
        border("TANH", ("INT8", "INT8")),
    ),
    ("tflm", "type that the kernel computes"): (
        dense(weights(6, 8, type="INT2")),
        dense(weights(6, 8, type="INT4")),
    ),
    ("tflm", "Packed weights must have one scale"): (
        dense(weights(6, 8, type="INT4", scales=SIX)),
        dense(weights(6, 8, scales=SIX)),
    ),
    ("tflm", "one scale for each operand"): (matmul(SIX), matmul((0.02,))),
    ("tflm", "table must have one scale"): (
        lookup(weights(6, 8, scales=SIX)),
        lookup(weights(6, 8)),
    ),
    ("tflm", "left free"): (conv(source=tensor(IMAGE, free=True)), conv()),
    ("litert", "Weights in blocks are INT4"): (
        real_dense(in_blocks(6, 64, type="INT2")),
        real_dense(in_blocks(6, 64)),
    ),
    ("litert", "Weights in blocks are INT4 for FULLY_CONNECTED"): (
        one_operator("DEQUANTIZE", [in_blocks(6, 64)], [tensor((6, 64), "FLOAT32", None)], None, 6),
        lookup(in_blocks(6, 64, type="INT2")),
    ),
    ("litert", "4 channels or more"): (
        real_dense(in_blocks(3, 64)),
        real_dense(in_blocks(4, 64)),
    ),
    ("litert", "must not be fused"): (
        real_dense(in_blocks(6, 64), activation=1),
        real_dense(weights(6, 64, type="INT4"), activation=1),
    ),
    ("litert", "whole bytes"): (
        lookup(weights(6, 7, type="INT4")),
        lookup(weights(6, 8, type="INT4")),
    ),
    ("litert", "XNNPACK takes blocks"): (
        real_dense(in_blocks(6, 64, block=16)),
        real_dense(in_blocks(6, 64)),
    ),
    ("litert", "type that the kernel computes"): (
        conv(weights(6, 1, 1, 4, type="INT2")),
        conv(weights(6, 1, 1, 4, type="INT4")),
    ),
    ("litert", "type that the kernel computes rightly"): (
        depthwise(("DepthwiseConv2DOptions", {}), "INT4", "INT16"),
        depthwise(("DepthwiseConv2DOptions", {}), "INT4"),
    ),
    ("litert", "UINT4"): (conv(weights(6, 1, 1, 4, type="UINT4")), conv()),
    ("litert", "zero points of signed weights"): (
        dense(weights(6, 8, zero_points=[1])),
        dense(weights(6, 8)),
    ),
    ("litert", "below 256 output scales"): (
        conv(output=tensor((1, 8, 8, 6), grid=(3e-6, 0))),
        conv(output=tensor((1, 8, 8, 6), grid=(5e-6, 0))),
    ),
    ("litert", "must have a bias"): (
        one_operator("CONV_2D", [tensor(IMAGE), weights(6, 1, 1, 4)], [tensor(IMAGE)], CONV, 3),
        conv(),
    ),
    ("litert", "moves codes"): (
        concatenation(tensor(IMAGE, grid=OTHER)),
        concatenation(tensor(IMAGE)),
    ),
    ("litert", "It moves codes"): (pad(0, output=tensor((1, 10, 8, 4), grid=OTHER)), pad(0)),
    ("litert", "moves codes, so that"): (
        pool("AVERAGE_POOL_2D", output=tensor((1, 4, 4, 4), grid=OTHER)),
        pool("AVERAGE_POOL_2D"),
    ),
    ("litert", "garbage for small quotients"): (
        same("DIV", tensor(IMAGE), tensor(IMAGE)),
        border("DIV", ("FLOAT32", "FLOAT32")),
    ),
    ("litert", "one scale for each operand"): (matmul(SIX), matmul((0.02,))),
    ("litert", "scale 1/256"): (
        same("SOFTMAX", tensor((1, 10))),
        same("SOFTMAX", tensor((1, 10)), output=tensor((1, 10), grid=SOFTMAX_GRID)),
    ),
    ("litert", "less than 128 output scales"): (
        same("HARD_SWISH", tensor(IMAGE), output=tensor(IMAGE, grid=(0.0003, 0))),
        same("HARD_SWISH", tensor(IMAGE)),
    ),
    ("litert", "rounds three times"): (
        same("ADD", tensor(IMAGE), tensor(IMAGE, grid=(20.0, 0)), options=ADD, version=2),
        same("ADD", tensor(IMAGE), tensor(IMAGE, grid=OTHER), options=ADD, version=2),
    ),
    ("litert", "or it rounds twice"): (
        same("MUL", tensor(IMAGE), tensor(IMAGE, grid=(300.0, 0)), options=MUL, version=3),
        same("MUL", tensor(IMAGE), tensor(IMAGE, grid=OTHER), options=MUL, version=2),
    ),
    ("litert", "eight fractional bits"): (
        border("QUANTIZE", ("INT8", "INT8")),
        border("QUANTIZE", ("FLOAT32", "INT8")),
    ),
    ("litert", "unpacks them on every call"): (conv(weights(6, 1, 1, 4, type="INT4")), conv()),
    ("litert", "on every call and rounds twice"): (
        dense(weights(6, 7, type="INT4")),
        dense(weights(6, 8, type="INT4")),
    ),
    ("litert", "needs the library"): (
        one_operator("CUSTOM", [tensor(IMAGE)], [tensor(IMAGE)], custom="TfqBitpack"),
        conv(),
    ),
}


def rules_found(content, target):
    return [finding.rule for finding in check(content, target, run_tools=False).findings]


@pytest.mark.parametrize(("target", "words"), BROKEN)
def test_a_broken_rule_is_found_with_the_operator_and_how_to_mend_it(target, words):
    broken, kept = BROKEN[target, words]
    report = check(broken, target, run_tools=False)
    (finding,) = [each for each in report.findings if words in each.rule]
    assert finding.mend.endswith(".")
    assert finding.mend in str(report) and finding.rule in str(report)
    assert not (finding.is_error and report.is_clean)
    assert not any(words in rule for rule in rules_found(kept, target)), rules_found(kept, target)


def test_every_rule_of_every_target_is_in_the_table():
    for name, target in TARGETS.items():
        tried = [words for wanted, words in BROKEN if wanted == name]
        for rule in (*target.rules.RULES, *target.rules.FILE_RULES):
            assert any(words in rule.rule for words in tried), (name, rule.rule)


def test_each_operator_is_said_to_be_taken_or_not():
    report = check(conv(options=options(CONV, dilationHFactor=2)), "edgetpu")
    assert report.operators == (("CONV_2D", "tensor_3", False),)
    assert "0 of 1 operators are taken" in str(report) and "0 CONV_2D, 1 not" in str(report)
    clean = check(conv(), "edgetpu")
    assert clean.is_clean and clean.operators == (("CONV_2D", "tensor_3", True),)
    assert "static check" in str(clean) and "8 MiB" in str(clean)


def test_the_bytes_of_the_parameters_are_reported():
    filters = weights(16, 1, 1, 4)
    content = one_operator(
        "CONV_2D", [tensor(IMAGE), filters, bias(16)], [tensor((1, 8, 8, 16))], CONV, 3
    )
    assert f"{16 * 4 + 16 * 4:,} bytes of parameters" in str(check(content, "edgetpu"))


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_files_of_other_converters_are_read():
    random = np.random.default_rng(0)
    kernel = tf.constant(random.normal(size=(3, 3, 3, 8)), tf.float32)
    matrix = tf.constant(random.normal(size=(8, 4)), tf.float32)

    def compute(x):
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
        return tf.nn.gelu(tf.matmul(tf.reduce_mean(x, (1, 2)), matrix))

    function = tf.function(compute, autograph=False)
    function = function.get_concrete_function(tf.TensorSpec((1, 8, 8, 3)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    report = check(converter.convert(), "edgetpu")
    assert not report.is_clean
    assert {code for code, _, is_taken in report.operators if not is_taken} >= {"CONV_2D", "GELU"}
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [random.normal(size=(1, 8, 8, 3)).astype(np.float32)] for _ in range(4)
    )
    report = check(converter.convert(), "edgetpu")
    refused = {code for code, _, is_taken in report.operators if not is_taken}
    assert {"QUANTIZE", "DEQUANTIZE", "GELU"} <= refused
    assert not refused & {"CONV_2D", "MEAN"}
    assert "input_type='int8'" in str(report) and "output_type='int8'" in str(report)


def test_what_is_no_file_is_refused(tmp_path):
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match="path_or_bytes.*No such file.*m.tflite"):
        tfq.check(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="must be a .tflite model"):
        tfq.check(str(path))
    with pytest.raises(TypeError, match="path or the bytes.*int"):
        tfq.check(3)
    with pytest.raises(ValueError, match="`target`.*'edgetpu'.*Received: 'toaster'"):
        tfq.check(conv(), target="toaster")
