"""Every way in which Keras trains: accumulated gradients, data sets, steps of one's own, LoRA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tests.promise import check_promise
from tests.test_training import (
    RECIPES,
    assert_same_codes,
    compiled,
    fit,
    images,
    labels,
    lowers_the_loss,
    quantized,
    residual,
    scores_loss,
    sequential,
)

layers = keras.layers


def test_accumulated_gradients_are_those_of_the_larger_batch():
    # No batch normalization, whose statistics are those of each small batch.
    kernels = []
    for batch_size, steps in ((32, None), (16, 2)):
        keras.utils.set_random_seed(0)
        model = quantized(sequential())
        optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=steps)
        model.compile(optimizer, scores_loss())
        model.fit(images(), labels(), batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
        kernels.append(np.array(model.get_layer("conv").layer.kernel))
    np.testing.assert_allclose(*kernels, rtol=1e-4, atol=1e-6)
    keras.utils.set_random_seed(0)
    assert np.abs(kernels[0] - quantized(sequential()).get_layer("conv").layer.kernel).max() > 1e-3


def batches():
    x, y = images(), labels()
    while True:
        for start in range(0, len(x), 16):
            yield x[start : start + 16], y[start : start + 16]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(16 * index, 16 * index + 16)
        return images()[part], labels()[part]


SOURCES = {
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices((images(), labels())).batch(16),
    "tf.data with weights": lambda: tf.data.Dataset.from_tensor_slices(
        (images(), labels(), np.ones(64, np.float32))
    ).batch(16),
    "generator": batches,
    "PyDataset": Batches,
}


@pytest.mark.parametrize("source", SOURCES)
def test_data_from_anywhere_trains(source):
    data = SOURCES[source]()
    steps = 4 if source == "generator" else None
    model = compiled(quantized(sequential()))
    history = model.fit(data, epochs=3, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert lowers_the_loss(history.history["loss"])


def test_a_data_set_calibrates_as_its_arrays_do():
    float_model = sequential()
    recipe = RECIPES["lsq"]
    from_arrays = tfq.quantize_model(float_model, recipe, images())
    dataset = tf.data.Dataset.from_tensor_slices(images()).batch(len(images()))
    from_dataset = tfq.quantize_model(float_model, recipe, dataset)
    assert_same_codes(tfq.integer_weights(from_arrays), tfq.integer_weights(from_dataset))


class Counting(keras.Model):
    """A model with a training step of its own, which clips gradients."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        self.optimizer.apply(gradients, variables)
        return {"loss": loss, "clipped": tf.linalg.global_norm(gradients)}


def test_a_training_step_of_ones_own_trains_the_quantized_graph():
    qmodel = quantized()
    model = compiled(Counting(qmodel.inputs, qmodel.outputs))
    history = model.fit(images(), labels(), batch_size=16, epochs=3, verbose=0).history
    assert lowers_the_loss(history["loss"])
    assert max(history["clipped"]) <= 1.0 + 1e-5
    check_promise(model, images())


def test_bfloat16_trains_saves_and_exports(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled(quantized())
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("stem").layer.compute_dtype == "bfloat16"
    assert lowers_the_loss(fit(model, epochs=4))
    assert {weight.dtype for weight in model.weights} == {"float32"}
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.get_layer("stem").layer.compute_dtype == "bfloat16"
    assert_same_codes(tfq.integer_weights(restored), tfq.integer_weights(model))


def test_lora_trains_beside_a_frozen_kernel_and_ships_with_it():
    model = quantized(sequential())
    dense = model.get_layer("scores").layer
    dense.enable_lora(2)
    before = np.array(dense.kernel), tfq.integer_weights(model)["scores"].codes
    compiled(model)
    assert lowers_the_loss(fit(model, epochs=4))
    assert np.any(np.array(dense.kernel) != before[0])  # the sum with the product of low rank
    assert np.any(tfq.integer_weights(model)["scores"].codes != before[1])
    assert {each.name for each in dense.trainable_weights} == {
        "bias",
        "lora_kernel_a",
        "lora_kernel_b",
    }
    check_promise(model, images())


def test_a_model_fine_tuned_by_lora_is_quantized_with_what_was_tuned():
    float_model = sequential()
    dense = float_model.get_layer("scores")
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.random.default_rng(0).normal(size=(2, 3)))
    expected = float_model.predict(images(), verbose=0)
    qmodel = tfq.quantize_model(float_model, tfq.Recipe.lsq(8, 8), images())
    scale = np.abs(expected).max()
    assert np.abs(qmodel.predict(images(), verbose=0) - expected).max() < 0.05 * scale
    check_promise(qmodel, images())


def test_a_layer_that_keras_quantized_is_refused():
    model = residual()
    model.get_layer("scores").quantize("int8")
    with pytest.raises(ValueError, match="'scores' .* quantized by Keras .* before"):
        tfq.quantize_model(model, RECIPES["lsq"], images())
