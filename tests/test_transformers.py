"""Transformers as people write them: blocks, patches and positions in layers of their own."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.promise import check_promise
from tfq_lowbit import Recipe, export_tflite, quantize_model

layers = keras.layers
WORDS, STEPS, WIDTH = 30, 8, 12


class Positions(layers.Layer):
    """Adds a table that is looked up at numbers of its own, behind another layer."""

    def __init__(self, first, steps, width, **kwargs):
        super().__init__(**kwargs)
        self.first, self.steps = first, steps
        self.table = layers.Embedding(steps, width)

    def call(self, inputs):
        numbers = ops.expand_dims(ops.arange(0, self.steps, 1), axis=0)
        return self.first(inputs) + self.table(numbers)


class Block(layers.Layer):
    """Attention and two dense layers, each beside a shortcut."""

    def __init__(self, width, heads, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(heads, width)
        dense = [layers.Dense(2 * width, activation="gelu"), layers.Dense(width)]
        self.dense = keras.Sequential(dense)
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropouts = [layers.Dropout(0.1) for _ in range(2)]

    def call(self, inputs):
        x = self.norms[0](inputs + self.dropouts[0](self.attention(inputs, inputs)))
        return self.norms[1](x + self.dropouts[1](self.dense(x)))


class Patches(layers.Layer):
    """Images as rows of patches, with a shape that it reads itself."""

    def call(self, images):
        batch, height, width, channels = ops.shape(images)
        patches = ops.image.extract_patches(images, size=4)
        return ops.reshape(patches, (batch, height // 4 * (width // 4), 16 * channels))


def of_text():
    inputs = keras.Input((STEPS,), dtype="int32")
    x = Positions(layers.Embedding(WORDS, WIDTH), STEPS, WIDTH, name="words")(inputs)
    x = layers.GlobalAveragePooling1D()(Block(WIDTH, 2, name="block")(x))
    data = np.random.default_rng(0).integers(0, WORDS, (32, STEPS)).astype(np.int32)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x)), data


def of_images():
    inputs = keras.Input((12, 12, 3))
    prepare = keras.Sequential([layers.Resizing(16, 16), layers.RandomFlip("horizontal")])
    x = Patches()(prepare(inputs))
    x = Block(WIDTH, 3)(Positions(layers.Dense(WIDTH), 16, WIDTH)(x))
    x = layers.Flatten()(layers.LayerNormalization()(x))
    data = np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype(np.float32)
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.5)(x))), data


@pytest.mark.parametrize("make", [of_text, pytest.param(of_images, marks=pytest.mark.slow)])
def test_a_transformer_ships_what_was_trained(make):
    model, data = make()
    quantized = quantize_model(model, Recipe.lsq(4, 8), data)
    values, found = model.predict(data, verbose=0), quantized.predict(data, verbose=0)
    assert np.corrcoef(values.ravel(), found.ravel())[0, 1] > 0.98
    check_promise(quantized, data)


@pytest.mark.slow
def test_a_transformer_trains_with_all_its_weights(tmp_path):
    model, data = of_text()
    quantized = quantize_model(model, Recipe.lsq(4, 8), data)
    num_float = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    num_scales = sum(w.shape.num_elements() for w in quantized.trainable_weights if w.ndim == 0)
    num_weights = sum(w.shape.num_elements() for w in quantized.trainable_weights if w.ndim > 0)
    assert num_weights >= num_float and num_scales > 0
    quantized.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    labels = data[:, 0] % 2
    losses = quantized.fit(data, labels, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    report = export_tflite(quantized, tmp_path / "m.tflite", verify_data=data)
    assert report.fidelity.is_exact
