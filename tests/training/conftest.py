"""A small binary network and data that it can learn."""

import keras
import numpy as np
import pytest

from tfq_lowbit.wrappers import Binarize


@pytest.fixture
def build():
    """Returns a function that builds a net with two binary layers and one float layer."""

    def build(scheme="ste_sign"):
        return keras.Sequential(
            [
                keras.Input((6, 6, 4), name="image"),
                Binarize(keras.layers.Conv2D(8, 3, use_bias=False, name="conv"), scheme),
                keras.layers.BatchNormalization(name="norm"),
                keras.layers.Flatten(name="flatten"),
                Binarize(keras.layers.Dense(16, use_bias=False, name="dense"), scheme),
                keras.layers.BatchNormalization(name="norm2"),
                keras.layers.Dense(3, name="scores"),
            ],
            name="net",
        )

    return build


@pytest.fixture
def data():
    """Returns noisy patterns, one a class, and their labels."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 96)
    patterns = random.normal(size=(3, 6, 6, 4))
    images = patterns[labels] + 0.3 * random.normal(size=(96, 6, 6, 4))
    return images.astype(np.float32), labels


@pytest.fixture
def fit(data):
    """Returns a function that trains a model and returns its history."""

    def fit(model, optimizer="adam", epochs=2, **options):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model.fit(*data, batch_size=32, epochs=epochs, verbose=0, **options).history

    return fit
