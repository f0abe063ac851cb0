"""Shipped equals trained, for layers that become other operators than their own.

Sequences as images of height 1, several axes as one, and layers that are taken apart.
"""

import keras
import numpy as np
import pytest
from keras import ops

from tests.networks import images, randomize
from tests.promise import check_promise
from tests.test_fidelity import chain, rows
from tfq_lowbit import Recipe, export_tflite, quantize_model

layers = keras.layers


def sequence(length=20, channels=5):
    return keras.Input((length, channels))


def image(channels=5, size=9):
    return keras.Input((size, size + 1, channels))


def sliced():
    inputs = keras.Input((6, 8))
    x = layers.Dense(9, activation="relu")(inputs)
    a, b, c = ops.split(x, 3, axis=-1)
    d, e = ops.split(layers.Dense(4)(a), [2], axis=1)
    first = layers.Dense(3)(x[:, 0])
    joined = ops.concatenate([b, c], -1)
    return keras.Model(inputs, [joined, layers.Dense(3)(d), e, first, x[:, 1:5:2, 3:]])


def with_states():
    inputs = keras.Input((2, 5))
    _, *states = layers.LSTM(4, return_state=True)(inputs)
    return keras.Model(inputs, layers.LSTM(4)(inputs, initial_state=states))


def averaged():
    inputs = keras.Input((5, 7, 6))
    x = layers.Dense(5)(ops.mean(inputs, axis=(2, 3), keepdims=True))
    return keras.Model(inputs, [x, ops.mean(layers.Dense(4)(inputs), axis=1)])


def encoder(width=16, heads=2, classes=3):
    """Returns a text encoder of one block, on ids of words."""
    ids = keras.Input((9,), dtype="int32")
    x = layers.Embedding(50, width, "random_normal")(ids)
    y = layers.MultiHeadAttention(heads, width // heads)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    return keras.Model(ids, layers.Dense(classes, activation="softmax")(x[:, 0]))


def attending(attend):
    """Returns the builder of a block: attention beside a shortcut."""

    def build():
        inputs = sequence(7, 12)
        x = layers.Add()([inputs, attend(inputs)])
        return keras.Model(inputs, layers.Dense(4)(x))

    return build


def by_equations(x):
    """Returns attention of two heads as people write it out."""
    query, key, value = (
        ops.einsum("bsc,chd->bshd", x, draw(12, 2, 6) / 4) + draw(2, 6) for _ in range(3)
    )
    scores = ops.einsum("bqhd,bkhd->bhqk", query, key) / 2.4
    summed = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), value)
    return ops.einsum("bqhd,hdc->bqc", summed, draw(2, 6, 12) / 4)


def of_patches():
    inputs = keras.Input((8, 6, 3))
    patches = ops.reshape(ops.image.extract_patches(inputs, 2), (-1, 12, 12))
    x = ops.matmul(patches, draw(12, 8)) + draw(8)
    x = (x + draw(1, 12, 8) / 4) * draw(12, 1)
    return keras.Model(inputs, layers.Dense(4)(ops.relu(x) - draw(8)))


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


NETS = {
    "convolutions of sequences": lambda: chain(
        layers.Conv1D(8, 3, padding="causal", activation="relu"),
        layers.Conv1D(6, 5, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv1D(4, 2, dilation_rate=3, activation="relu6"),
        layers.Dense(4),
        inputs=sequence(),
    ),
    "dilated and grouped of sequences": lambda: chain(
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2),
        layers.Conv1D(8, 3, groups=2),
        layers.Conv1D(16, 3, groups=8, padding="causal"),
        layers.Conv1D(4, 3, strides=2, padding="same"),
        inputs=sequence(),
    ),
    "depthwise of sequences": lambda: chain(
        layers.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same", activation="relu"),
        layers.DepthwiseConv1D(3, dilation_rate=2),
        layers.BatchNormalization(),
        layers.Conv1D(4, 1),
        inputs=sequence(),
    ),
    "separable of sequences": lambda: chain(
        layers.SeparableConv1D(8, 3, strides=2, padding="same", activation="relu"),
        layers.SeparableConv1D(4, 3, depth_multiplier=2),
        inputs=sequence(),
    ),
    "separable": lambda: chain(
        layers.SeparableConv2D(8, 3, strides=2, padding="same", activation="relu6"),
        layers.SeparableConv2D(4, 3, depth_multiplier=2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        inputs=image(),
    ),
    "transposed": lambda: chain(
        layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", use_bias=False),
        layers.Conv2DTranspose(6, (3, 2), strides=(1, 3), activation="relu6"),
        layers.Conv2DTranspose(
            4, (2, 4), strides=2, padding="same", use_bias=False, output_padding=1
        ),
        layers.BatchNormalization(),
        layers.Conv2D(3, 1),
        inputs=image(size=4),
    ),
    "transposed of sequences": lambda: chain(
        layers.Conv1DTranspose(
            8, 3, strides=2, padding="same", activation="relu", output_padding=1
        ),
        layers.Conv1DTranspose(6, 2, strides=3),
        layers.Conv1D(3, 1),
        inputs=sequence(11),
    ),
    "dense over several axes": lambda: chain(
        layers.EinsumDense("abc,cde->abde", (7, 3, 4), bias_axes="e"),
        layers.BatchNormalization(),
        layers.EinsumDense("abde,edf->abf", (7, 5), activation="relu"),
        layers.EinsumDense("...x,xy->...y", 4, bias_axes="y"),
        layers.BatchNormalization(),
        layers.EinsumDense("abc,bcd->ad", 4),
        inputs=sequence(7),
    ),
}
NETS |= {
    "pooling of sequences": lambda: chain(
        layers.Conv1D(8, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.Conv1D(8, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.AveragePooling1D(3, 2, "same"),
        layers.MaxPooling1D(3, 1, "same"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3),
        inputs=sequence(),
    ),
    "maxima of everything": lambda: chain(
        layers.Conv2D(8, 3),
        layers.GlobalMaxPooling2D(),
        layers.RepeatVector(4),
        layers.Dense(5, activation="relu"),
        layers.GlobalMaxPooling1D(keepdims=True),
        layers.Dense(3),
        inputs=image(),
    ),
    "larger images": lambda: chain(
        layers.Conv2D(8, 3, activation="relu"),
        layers.UpSampling2D((2, 3)),
        layers.Conv2D(4, 3, padding="same"),
        layers.UpSampling2D((3, 2), interpolation="bilinear"),
        layers.Conv2D(4, 1),
        inputs=image(size=5),
    ),
    "resized images": lambda: chain(
        layers.Resizing(7, 13, interpolation="nearest"),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Resizing(6, 4),
        layers.Conv2D(4, 3, padding="same"),
        layers.Resizing(5, 11),
        inputs=image(),
    ),
    "moved sequences": lambda: chain(
        layers.Conv1D(8, 3, activation="relu"),
        layers.UpSampling1D(3),
        layers.ZeroPadding1D((1, 2)),
        layers.Cropping1D((2, 0)),
        layers.Permute((2, 1)),
        layers.Conv1D(4, 3),
        inputs=sequence(9),
    ),
    "cropped images": lambda: chain(
        layers.CenterCrop(7, 8),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Cropping2D(((1, 0), (0, 2))),
        layers.Permute((3, 1, 2)),
        layers.Dense(4),
        inputs=image(),
    ),
    "random images": lambda: chain(
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.Rescaling(1 / 127.5, -1),
        layers.GaussianNoise(0.1),
        layers.Conv2D(8, 3, activation="relu"),
        layers.SpatialDropout2D(0.2),
        layers.Identity(),
        layers.Conv2D(4, 3),
        inputs=image(),
    ),
    "random images without a unit": lambda: chain(
        layers.RandomContrast(0.1), layers.Conv2D(8, 3), layers.ActivityRegularization(1e-3)
    ),
    "normalized by numbers": lambda: chain(
        layers.Normalization(axis=None, mean=0.3, variance=4.0), layers.Conv2D(8, 3)
    ),
    "normalized by channel": lambda: chain(
        layers.Dense(3, activation="relu"),
        layers.Normalization(mean=[0.3, 1.0, -1.0], variance=[4.0, 1.0, 0.5]),
        layers.Dense(4),
        inputs=sequence(),
    ),
    "slices": sliced,
    "layer normalization": lambda: chain(
        layers.LayerNormalization(),
        layers.Dense(9, activation="relu"),
        layers.LayerNormalization(epsilon=1e-6, center=False),
        layers.Flatten(),
        layers.Dense(5),
        layers.LayerNormalization(),
        inputs=sequence(7, 12),
    ),
    "other normalizations": lambda: chain(
        layers.RMSNormalization(),
        layers.Conv2D(6, 1),
        layers.UnitNormalization(),
        layers.LayerNormalization(center=False, scale=False),
        inputs=image(size=4),
    ),
    "means": lambda: averaged(),
    "recurrent": lambda: chain(
        layers.SimpleRNN(5, activation="relu", return_sequences=True, go_backwards=True),
        layers.SimpleRNN(4, use_bias=False),
        layers.Dense(3),
        inputs=sequence(2),
    ),
    "LSTM": lambda: chain(
        layers.LSTM(4, return_sequences=True, dropout=0.1), layers.Dense(3), inputs=sequence(2)
    ),
    "GRU": lambda: chain(layers.GRU(4), layers.Dense(3), inputs=sequence(2)),
    "GRU that resets before": lambda: chain(
        layers.GRU(4, reset_after=False), layers.Dense(3), inputs=sequence(2)
    ),
    "states passed on": lambda: with_states(),
    "both ways": lambda: chain(
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.Bidirectional(layers.SimpleRNN(4), merge_mode="sum"),
        inputs=sequence(2),
    ),
    "step by step": lambda: chain(
        layers.TimeDistributed(layers.SeparableConv2D(4, 3, activation="relu")),
        layers.TimeDistributed(layers.GlobalAveragePooling2D()),
        layers.TimeDistributed(layers.Dense(3)),
        inputs=keras.Input((4, 6, 7, 3)),
    ),
    "attention": attending(lambda x: layers.MultiHeadAttention(3, 4)(x, x)),
    "attention, causal": attending(
        lambda x: layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x, use_causal_mask=True)
    ),
    "attention across": attending(
        lambda x: layers.MultiHeadAttention(2, 4, output_shape=12)(
            x, layers.Dense(5)(x)[:, :3], layers.Dense(8, activation="relu")(x)[:, 1:4]
        )
    ),
    "attention in groups": attending(lambda x: layers.GroupQueryAttention(4, 6, 3)(x, x)),
    "dot-product attention": attending(
        lambda x: layers.Attention()([x, layers.Dense(12, activation="relu")(x)])
    ),
    "attention by equations": attending(by_equations),
    "patches and positions": lambda: of_patches(),
    "products": attending(
        lambda x: ops.matmul(ops.matmul(x, layers.Permute((2, 1))(layers.Dense(12)(x))), x)
    ),
}
RECIPES = {
    "W4A4": Recipe.lsq(4, 4, first_last_bits=None),
    "W8A8": Recipe.lsq(8, 8),
    "W2A8": Recipe.lsq(2, 8, first_last_bits=None),
}


# Written out, the steps of these are many layers, which take long to build.
LONG = ["GRU", "GRU that resets before", "states passed on", "both ways", "recurrent"]


@pytest.mark.parametrize("net", rows(NETS, set(NETS) - set(LONG)))
@pytest.mark.parametrize("recipe", rows(RECIPES, ["W4A4"]))
def test_a_layer_ships_what_was_trained(net, recipe):
    model = randomize(NETS[net]())
    quantized = quantize_model(model, RECIPES[recipe], images(model, 64))
    check_promise(quantized, images(model, 64, seed=1))


@pytest.mark.parametrize("recipe", rows(RECIPES, ["W4A4"]))
def test_an_encoder_of_text_ships_what_was_trained(recipe):
    model = encoder()
    model.get_layer(index=1).embeddings.assign(keras.random.normal((50, 16), seed=0))
    draws = np.random.default_rng(0).integers(0, 50, (2, 64, 9)).astype(np.int32)
    quantized = quantize_model(model, RECIPES[recipe], draws[0])
    fidelity = check_promise(quantized, draws[1])
    expected = np.argmax(model.predict(draws[1], verbose=0), axis=1)
    found = np.argmax(quantized.predict(draws[1], verbose=0), axis=1)
    least = 0.7 if recipe.startswith("W2") else 0.8  # of random weights, in two bits
    assert np.mean(found == expected) > least and fidelity.num_samples == 64


@pytest.mark.slow
def test_an_encoder_of_text_is_exported_saved_and_trained(tmp_path):
    ids = np.random.default_rng(0).integers(0, 50, (32, 9)).astype(np.int32)
    quantized = quantize_model(encoder(), RECIPES["W4A4"], ids)
    quantized.compile("adam", "sparse_categorical_crossentropy")
    losses = quantized.fit(ids, ids[:, 0] % 3, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    quantized.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(ids, verbose=0), quantized.predict(ids, verbose=0))
    report = export_tflite(loaded, tmp_path / "m.tflite")  # on random ids
    assert report.fidelity.is_exact


def test_a_normalization_behind_a_maximum_of_everything_folds_into_a_binary_layer():
    net = chain(
        layers.Conv2D(16, 3),
        layers.Conv2D(16, 3),
        layers.GlobalMaxPooling2D(),
        layers.BatchNormalization(),
        layers.Dense(16),
        layers.Dense(4),
        inputs=image(8),
    )
    quantized = quantize_model(randomize(net), Recipe.binary(), images(net, 64))
    check_promise(quantized, images(net, 64, seed=1))


@pytest.mark.parametrize("custom_ops", ["binary", "lowbit"])
def test_a_convolution_of_a_sequence_runs_on_bits(custom_ops):
    recipe = Recipe.lsq(2, 2, first_last_bits=None)
    net = chain(
        layers.Conv1D(8, 3, activation="relu"),
        layers.Conv1D(6, 3, padding="causal", activation="relu"),
        layers.Conv1DTranspose(6, 3, activation="relu"),
        layers.Conv1D(4, 3, padding="same"),
        inputs=sequence(channels=8),
    )
    quantized = quantize_model(randomize(net), recipe, images(net, 64))
    check_promise(quantized, images(net, 64, seed=1), custom_ops=custom_ops)
