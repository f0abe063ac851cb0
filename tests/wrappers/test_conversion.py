"""Where tensors change between eight and sixteen bits, in Keras."""

import keras
import numpy as np
import pytest

from tfq_lowbit.quantizers import LSQ, UniformAffine
from tfq_lowbit.quantizers.grid import pack_grid, zero_point_of
from tfq_lowbit.wrappers import WIDENING, Narrow, QuantizeWrapper, Widen


@pytest.mark.parametrize(("q_min", "q_max"), [(0, 255), (-128, 127), (0, 3), (-2, 1), (-255, 0)])
def test_widening_keeps_every_value_on_the_finer_grid(q_min, q_max):
    step = np.float32(0.037)
    values = np.arange(q_min, q_max + 1, dtype=np.float32) * step
    widened, grid = Widen()(values, input_grid=pack_grid(step, q_min, q_max))
    np.testing.assert_array_equal(widened, values)
    codes = np.rint(values / np.float32(grid[0]))
    np.testing.assert_array_equal(codes, np.arange(q_min, q_max + 1) * WIDENING)
    assert codes.min() >= grid[1] and codes.max() <= grid[2]


def test_both_layers_come_back_from_a_file(tmp_path):
    inputs, grid = keras.Input((3,)), keras.Input((3,), batch_size=None, name="grid")
    widened, _ = Widen(name="wide")(inputs, input_grid=grid[0])
    model = keras.Model([inputs, grid], Narrow(name="narrow")(widened))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    data = [np.ones((1, 3), np.float32), np.ones((1, 3), np.float32)]
    np.testing.assert_array_equal(loaded(data), data[0])


def test_an_int16_tensor_has_its_zero_at_code_0():
    assert [zero_point_of(q_max) for q_max in (255, 127, 1, 32767)] == [-128, 0, 126, 0]
    assert float(zero_point_of(keras.ops.array(255.0))) == -128
    assert float(zero_point_of(keras.ops.array(32767.0))) == 0


def test_codes_of_16_bits_are_signed():
    quantizer = UniformAffine(16, signed=None)
    assert (quantizer.signed, quantizer.q_min, quantizer.q_max) == (True, -32768, 32767)
    with pytest.raises(ValueError, match="`signed` must be True or None for 16 bits"):
        UniformAffine(16, signed=False)
    with pytest.raises(ValueError, match="`asymmetric` must be False for 16 bits"):
        UniformAffine(16, asymmetric=True)


def test_a_kernel_has_at_most_8_bits():
    with pytest.raises(ValueError, match="'dense' cannot have a kernel quantizer of 16 bits"):
        QuantizeWrapper(keras.layers.Dense(2, name="dense"), LSQ(16, narrow_range=True))
