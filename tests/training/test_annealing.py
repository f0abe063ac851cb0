import math

import keras
import numpy as np
import pytest

from tfq_lowbit.training import IRNetAnnealing, binary_layers


class Record(keras.callbacks.Callback):
    """Notes t of every annealed quantizer in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.seen.append(
                [
                    float(quantizer.t)
                    for layer in binary_layers(self.model)
                    for quantizer in (layer.kernel_quantizer, layer.input_quantizer)
                    if hasattr(quantizer, "t")
                ]
            )


def formula(epoch, epochs, t_min=0.1, t_max=10.0):
    return t_min * 10 ** (epoch / epochs * math.log10(t_max / t_min))


@pytest.mark.parametrize(("t_min", "t_max"), [(0.1, 10.0), (0.01, 2.0)])
def test_t_grows_evenly_on_a_logarithmic_scale(t_min, t_max):
    annealing = IRNetAnnealing(7, t_min, t_max)
    for epoch in range(8):
        assert annealing.sharpness(epoch) == pytest.approx(formula(epoch, 7, t_min, t_max))
    assert annealing.sharpness(0) == pytest.approx(t_min)
    assert annealing.sharpness(7) == pytest.approx(t_max)


def test_every_quantizer_is_set_in_every_epoch(build, fit):
    record = Record()
    fit(build("ir_net"), epochs=3, callbacks=[IRNetAnnealing(), record])
    expected = [formula(epoch, 3) for epoch in range(3)]
    assert len(record.seen) == 3
    for seen, t in zip(record.seen, expected):
        np.testing.assert_allclose(seen, [t] * 4, rtol=1e-6)  # kernel and input of two layers


def test_training_that_goes_on_goes_on_with_the_annealing(build, fit):
    record = Record()
    callbacks = [IRNetAnnealing(epochs=8), record]
    fit(build("ir_net"), epochs=6, initial_epoch=5, callbacks=callbacks)
    assert record.seen[0][0] == pytest.approx(formula(5, 8))


def test_t_is_saved_with_the_model(build, fit, tmp_path):
    model = build("ir_net")
    fit(model, epochs=2, callbacks=[IRNetAnnealing()])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    quantizer = binary_layers(loaded)[0].kernel_quantizer
    assert float(quantizer.t) == pytest.approx(formula(1, 2))


def test_a_model_of_another_scheme_is_refused(build, fit):
    with pytest.raises(ValueError, match="IRNetAnnealing needs IR-Net's quantizers.*'net'"):
        fit(build("xnor"), callbacks=[IRNetAnnealing()])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "`epochs` must be None or positive. Received: 0"),
        ({"t_min": 0.0}, "`t_min` must be positive and below `t_max`"),
        ({"t_min": 2.0, "t_max": 1.0}, "Received: t_min=2.0, t_max=1.0"),
    ],
)
def test_a_number_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        IRNetAnnealing(**arguments)
