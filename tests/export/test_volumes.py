"""A convolution of volumes as one of images: the same sums."""

import keras
import numpy as np
import pytest

from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.layers.kernel_forms import kernel_form
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.targets import TARGETS

layers = keras.layers
VOLUME = (5, 4, 6, 4)
LAYERS = {
    "plain": lambda: layers.Conv3D(6, 3),
    "same": lambda: layers.Conv3D(6, (3, 2, 2), padding="same"),
    "even window same": lambda: layers.Conv3D(6, (4, 1, 3), padding="same"),
    "same strided": lambda: layers.Conv3D(6, (3, 2, 1), strides=2, padding="same"),
    "stride beyond window": lambda: layers.Conv3D(6, (1, 2, 2), strides=(3, 1, 1)),
    "dilated": lambda: layers.Conv3D(6, 2, dilation_rate=(3, 2, 1)),
    "dilated same": lambda: layers.Conv3D(6, (3, 1, 2), dilation_rate=(2, 1, 2), padding="same"),
    "one image": lambda: layers.Conv3D(6, (1, 3, 3)),
    "whole depth": lambda: layers.Conv3D(6, (5, 1, 1)),
    "grouped": lambda: layers.Conv3D(6, (3, 2, 2), groups=2),
    "grouped, one image": lambda: layers.Conv3D(6, (1, 2, 2), groups=2),
    "transposed": lambda: layers.Conv3DTranspose(6, (3, 2, 3)),
    "transposed same": lambda: layers.Conv3DTranspose(6, (4, 2, 3), strides=2, padding="same"),
    "transposed within the stride": lambda: layers.Conv3DTranspose(6, (1, 2, 2), strides=(3, 1, 2)),
    "transposed same, within the stride": lambda: layers.Conv3DTranspose(
        6, (2, 2, 2), strides=(3, 1, 2), padding="same"
    ),
    "a group each": lambda: layers.Conv3D(8, 2, groups=4, padding="same"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_images_of_a_window_are_convolved_to_the_same_sums(name):
    layer, random = LAYERS[name](), np.random.default_rng(0)
    layer.build((None, *VOLUME))
    layer.kernel.assign(random.integers(-7, 8, layer.kernel.shape))
    codes = random.integers(-128, 128, (2, *VOLUME)).astype(np.int8)
    grid = Grid(np.float32(0.1), -20)
    source = Tensor("input", (None, *VOLUME), grid)
    program = Program("test", [source], input_names=["input"], output_names=["output_0"])
    form = kernel_form(layer, 8, 5)
    gathered = form.take(Emitter(program, TARGETS["litert"]), "conv", source)
    program.outputs = [gathered]
    assert all(len(operator.output.shape) == 4 for operator in program.operators)
    images = program.run([codes])[gathered].numpy().astype(np.float32) - grid.zero_point
    kernel, strides = form.to_operator(np.asarray(layer.kernel)), form.spec.strides
    padding = form.spec.padding.lower()
    if form.spec.operator == "CONV_2D":
        rates = form.spec.dilation
        found = keras.ops.conv(images, kernel, strides, padding, dilation_rate=rates)
    else:
        found = keras.ops.conv_transpose(images, np.swapaxes(kernel, 2, 3), strides, padding)
    expected = layer(codes.astype(np.float32) - grid.zero_point)
    np.testing.assert_array_equal(found, np.reshape(expected, (-1, *expected.shape[2:])))
