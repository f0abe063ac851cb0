"""Binary layers until their consumer is known: signs by thresholds, codes by one product."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.operators import Bconv2D, Bdense, MaxPool, ToCodes, ToSigns
from tfq_lowbit.export.pending_binary import BinarySpec, PendingBinary, PendingMaxPool
from tfq_lowbit.export.program import Grid, PackedTensor, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

RELU, RELU6 = Clamp(0.0, None), Clamp(0.0, 6.0)
INPUT_GRID, OUTPUT_GRID = Grid(np.float32(0.1), 3), Grid(np.float32(0.37), -5)
IMAGE, CHANNELS_OUT = (7, 6, 40), 36  # neither is a multiple of 32

GEOMETRIES = {
    "valid": BinarySpec(),
    "padded with one": BinarySpec(padding="SAME_ONE"),
    "padded with zero": BinarySpec(padding="SAME_ZERO"),
    "strided": BinarySpec(strides=(2, 3), padding="SAME_ONE"),
    "dilated": BinarySpec(dilation=(2, 1), padding="SAME_ZERO"),
    "grouped": BinarySpec(groups=4, padding="SAME_ONE"),
}


class Net:
    """A program of one int8 input whose signs a binary layer takes."""

    def __init__(self, shape=IMAGE, seed=0):
        self.random = np.random.default_rng(seed)
        self.input = Tensor("input", (None, *shape), INPUT_GRID)
        self.program = Program("test", inputs=[self.input], input_names=["input"])
        self.emitter = Emitter(self.program, LITERT)
        self.source = self.emitter.pack_signs(self.input, np.full(1, 3, np.int32))

    def signs(self, *shape):
        return self.random.choice([-1, 1], shape).astype(np.int8)

    def affine(self, channels=CHANNELS_OUT):
        """Returns multipliers of either sign, and 0, and shifts."""
        multiplier = self.random.normal(0, 0.1, channels)
        multiplier[::9] = 0
        return multiplier.astype(np.float32), self.random.normal(0, 2, channels).astype(np.float32)

    def convolution(self, spec, **options):
        kernel = self.signs(3, 2, IMAGE[2] // spec.groups, CHANNELS_OUT)
        sizes = [
            -(-size // step)
            if spec.padding.startswith("SAME")
            else (size - (each - 1) * spread - 1) // step + 1
            for size, step, each, spread in zip(
                IMAGE[:2], spec.strides, (3, 2), spec.dilation, strict=True
            )
        ]
        scale = self.random.uniform(0.02, 0.2, CHANNELS_OUT).astype(np.float32)
        shape = (None, *sizes, CHANNELS_OUT)
        return PendingBinary(
            "conv", shape, spec, self.source, kernel, scale, self.affine()[1], **options
        )

    def run(self, output, batch=3):
        """Returns what program, evaluator and LiteRT compute of random codes, and the codes."""
        self.program.outputs, self.program.output_names = [output], ["output"]
        codes = self.random.integers(-128, 128, (batch, *self.input.shape[1:])).astype(np.int8)
        computed = self.program.run([codes])[output].numpy()
        content = write_tflite(self.program, LITERT)
        for (made,) in (evaluate(content, [codes]), run_litert(content, [codes])):
            made = output.unpack(made) if isinstance(output, PackedTensor) else made
            np.testing.assert_array_equal(made, computed)
        return computed, codes


def products(codes, kernel, spec):
    """Returns the accumulators of the signs of codes, in float64."""
    values = np.where(codes < 3, -1.0, 1.0)
    padding = "VALID" if spec.padding == "VALID" else "SAME"
    # A convolution of what exceeds the padding's value, plus that of the padding alone.
    fill = 1.0 if spec.padding == "SAME_ONE" else 0.0

    def convolve(image):
        parts = zip(np.split(image, spec.groups, 3), np.split(kernel, spec.groups, 3), strict=True)
        return np.concatenate(
            [
                tf.nn.conv2d(
                    part, weights.astype(float), spec.strides, padding, None, spec.dilation
                )
                for part, weights in parts
            ],
            axis=3,
        )

    constant = fill * kernel.astype(float).sum((0, 1, 2))
    return convolve(values - fill) + constant


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_product_becomes_codes_and_signs(geometry):
    spec = GEOMETRIES[geometry]
    net = Net()
    pending = net.convolution(spec)
    multiplier, shift = net.affine()
    pending.fold(multiplier, shift)
    chain, kernel = pending._chain, pending.kernel
    codes, taken = net.run(pending.emit(net.emitter, OUTPUT_GRID))
    reals = chain(products(taken, kernel, spec)) / OUTPUT_GRID.scale
    np.testing.assert_allclose(codes, np.clip(np.rint(reals) - 5, -128, 127), atol=1)
    assert np.mean(codes == np.clip(np.rint(reals) - 5, -128, 127)) > 0.999

    net = Net()
    pending = net.convolution(spec)
    pending.fold(multiplier, shift)
    thresholds = net.random.normal(0, 1, CHANNELS_OUT).astype(np.float32)
    signs, taken = net.run(pending.emit_signs(net.emitter, thresholds))
    expected = np.where(pending._chain(products(taken, pending.kernel, spec)) < thresholds, -1, 1)
    np.testing.assert_array_equal(signs, expected)
    assert len(np.unique(signs)) == 2


def test_a_relu_before_batch_norm_bounds_the_accumulator():
    net = Net()
    pending = net.convolution(GEOMETRIES["padded with zero"])
    multiplier, shift = net.affine()
    pending.clamp(RELU6)
    pending.fold(multiplier, shift)
    pending.clamp(RELU)
    output = pending.emit(net.emitter, OUTPUT_GRID)
    transform = net.program.operators[-1].transform
    assert transform.lower is not None and transform.upper is not None
    assert (transform.low, transform.high) == (-5, 127)
    codes, taken = net.run(output)
    reals = pending._chain(products(taken, pending.kernel, pending.spec)) / OUTPUT_GRID.scale
    assert np.mean(codes == np.clip(np.rint(reals) - 5, -5, 127)) > 0.999
    assert len(np.unique(codes)) > 10


def test_only_what_is_needed_is_written():
    net = Net()
    pending = net.convolution(GEOMETRIES["valid"])
    pending.clamp(RELU)
    pending.emit(net.emitter, OUTPUT_GRID)
    operator = net.program.operators[-1]
    assert [each and each.type for each in operator.inputs[1:]] == ["UINT8", "FLOAT32", "FLOAT32"]
    net = Net()
    sums = np.ones(CHANNELS_OUT, np.float32)
    net.convolution(GEOMETRIES["valid"], sum_scale=sums).emit(net.emitter, OUTPUT_GRID)
    inputs = net.program.operators[-1].inputs
    assert [each is None for each in inputs] == [False, False, False, False, True, True, False]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_window_sum_is_added(geometry):
    spec, net = GEOMETRIES[geometry], Net()
    sums = net.random.normal(0, 0.1, CHANNELS_OUT).astype(np.float32)
    pending = net.convolution(spec, sum_scale=sums)
    multiplier, shift = net.affine()
    pending.fold(multiplier, shift)
    pending.clamp(RELU)
    assert not pending.can_fold
    codes, taken = net.run(pending.emit(net.emitter, OUTPUT_GRID))
    ones = np.ones_like(pending.kernel)
    # The chain ends in the ReLU, which goes last here.
    affine = pending._chain.fold()
    y = products(taken, pending.kernel, spec) * affine.multiplier + affine.bias
    y = np.maximum(y + products(taken, ones, spec) * sums * multiplier, 0) / OUTPUT_GRID.scale
    assert np.mean(codes == np.clip(np.rint(y) - 5, -128, 127)) > 0.999
    with pytest.raises(ValueError, match="'conv' adds a sum over each window.*QuantizeActivation"):
        net.convolution(spec, sum_scale=sums).emit_signs(net.emitter, 0.0)


def pooled(net, spec=GEOMETRIES["valid"]):
    before = net.convolution(spec)
    shape = (None, before.shape[1] // 2, before.shape[2] // 2, CHANNELS_OUT)
    window = (2, 2), (2, 2), "VALID"
    return before, PendingMaxPool(
        "pool", shape, before, lambda *ends: MaxPool("pool", *ends, *window), *window
    )


def test_max_pooling_passes_signs_and_a_batch_norm_behind_it():
    net = Net()
    before, pending = pooled(net)
    multiplier, shift = net.affine()
    assert pending.can_fold and (multiplier < 0).any()
    inner = copy.deepcopy(before._chain)
    pending.fold(multiplier, shift)
    signs, taken = net.run(pending.emit_signs(net.emitter, np.float32(0.5)))
    assert [each.code for each in net.program.operators] == [
        "TfqBitpack",
        "TfqBconv2d",
        "TfqBmaxpool",
        "BITWISE_XOR",
    ]
    y = inner(products(taken, before.kernel, before.spec))
    y = tf.nn.max_pool2d(y, 2, 2, "VALID").numpy() * multiplier + shift
    np.testing.assert_array_equal(signs, np.where(y < 0.5, -1, 1))


def test_max_pooling_refuses_codes_behind_a_negative_multiplier():
    net = Net()
    _, pending = pooled(net)
    pending.fold(*net.affine())
    with pytest.raises(ValueError, match="'pool' has .* negative multiplier.*QuantizeActivation"):
        pending.emit(net.emitter, OUTPUT_GRID)
    _, pending = pooled(net)
    pending.fold(np.abs(net.affine()[0]), net.affine()[1])
    pending.emit(net.emitter, OUTPUT_GRID)
    assert net.program.operators[-1].code == "MAX_POOL_2D"


@pytest.mark.parametrize("wants", ["codes", "signs"])
def test_a_dense_layer_reads_vectors(wants):
    net = Net(shape=(45,))
    kernel = net.signs(45, CHANNELS_OUT)
    scale, shift = net.affine()
    pending = PendingBinary("dense", (None, CHANNELS_OUT), None, net.source, kernel, scale, shift)
    if wants == "codes":
        output = pending.emit(net.emitter, OUTPUT_GRID)
    else:
        output = pending.emit_signs(net.emitter, 0.0)
    made, taken = net.run(output, batch=50)
    assert isinstance(net.program.operators[-1], Bdense)
    y = pending._chain(np.where(taken < 3, -1, 1) @ kernel.astype(int))
    if wants == "codes":
        assert np.mean(made == np.clip(np.rint(y / OUTPUT_GRID.scale) - 5, -128, 127)) > 0.999
    else:
        np.testing.assert_array_equal(made, np.where(y < 0, -1, 1))


@pytest.mark.parametrize("wants", ["codes", "signs"])
def test_a_dense_layer_reads_an_image_as_one_window(wants):
    net = Net()
    kernel = net.signs(int(np.prod(IMAGE)), CHANNELS_OUT)
    scale, shift = net.affine()
    pending = PendingBinary("dense", (None, CHANNELS_OUT), None, net.source, kernel, scale, shift)
    if wants == "codes":
        output = pending.emit(net.emitter, OUTPUT_GRID)
    else:
        output = pending.emit_signs(net.emitter, 0.0)
    made, taken = net.run(output, batch=50)
    assert made.shape == (50, CHANNELS_OUT)
    assert isinstance(net.program.operators[-2], Bconv2D)
    y = pending._chain(np.where(taken < 3, -1, 1).reshape(50, -1) @ kernel.astype(int))
    if wants == "codes":
        assert np.mean(made == np.clip(np.rint(y / OUTPUT_GRID.scale) - 5, -128, 127)) > 0.999
    else:
        np.testing.assert_array_equal(made, np.where(y < 0, -1, 1))


def test_what_is_shipped_is_recorded():
    net = Net()
    net.convolution(GEOMETRIES["valid"]).emit(net.emitter, OUTPUT_GRID)
    shipped = net.program.weights["conv"]
    assert shipped.num_bits == 1 and set(np.unique(shipped.codes)) == {-1, 1}
    assert isinstance(shipped.transform, ToCodes)
    net.convolution(GEOMETRIES["valid"]).emit_signs(net.emitter, 0.0)
    assert isinstance(net.program.weights["conv"].transform, ToSigns)


def test_a_value_is_emitted_one_way():
    net = Net()
    pending = net.convolution(GEOMETRIES["valid"])
    signs = pending.emit_signs(net.emitter, 0.0)
    assert pending.emit_signs(net.emitter, np.float32(0)) is signs
    for emit in (
        lambda: pending.emit_signs(net.emitter, 1.0),
        lambda: pending.emit(net.emitter, OUTPUT_GRID),
    ):
        with pytest.raises(ValueError, match="'conv' quantize its output on different grids"):
            emit()


def test_a_scale_that_is_not_finite_is_refused():
    net = Net()
    pending = net.convolution(GEOMETRIES["valid"])
    pending.fold(np.full(CHANNELS_OUT, np.inf, np.float32), np.zeros(CHANNELS_OUT, np.float32))
    with pytest.raises(ValueError, match="'conv' has a scale or bias that is not finite"):
        pending.emit(net.emitter, OUTPUT_GRID)
