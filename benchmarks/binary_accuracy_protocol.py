"""What is trained for `benchmarks/binary_accuracy.md`, how, and where results go.

Every network trains from scratch for the same number of epochs, with Adam, a cosine decay to 0 and
batches of 128; the images come in the same order for all networks of a seed. First layer, last
layer and the 1x1 convolutions of shortcuts have eight bits; all other kernels and their inputs
have one. "float" is the same network with ReLU, not quantized.
"""

import json
import os
import time

import keras

import tfq_lowbit as tfq
from benchmarks.accuracy_protocol import BATCH_SIZE, FILTERS, NUM_CLASSES, build_float
from examples.binary_blocks import (
    MOMENTUM,
    bi_real_block,
    keep_shortcuts,
    react_block,
    residual_net,
)

LEARNING_RATE = 3e-3
EPOCHS = 6
SEEDS = (0, 1, 2)
SCHEMES = ("ste_sign", "xnor", "bi_real", "ir_net", "ada_bin", "react_net")
PLAIN, RESIDUAL, FLOAT = "plain", "residual", "float"
# Schemes whose authors put a trained bend behind each block: RPReLU, and AdaBin's Maxout, which is
# one without the shifts.
BENT = ("react_net", "ada_bin")
NETWORKS = tuple(f"{net} {scheme}" for net in (PLAIN, RESIDUAL) for scheme in (FLOAT, *SCHEMES))
TRAINED_FILE, EXPORTED_FILE = "trained.jsonl", "exported.jsonl"

layers = keras.layers


def is_float(name):
    return name.endswith(FLOAT)


def build(name):
    """Return the untrained network of a name in `NETWORKS`."""
    net, scheme = name.split()
    if scheme == FLOAT:
        return build_float() if net == PLAIN else residual_net(float_block)
    block = react_block if scheme in BENT else bi_real_block
    model = build_plain(scheme) if net == PLAIN else residual_net(block)
    recipe = tfq.Recipe.binary(scheme=scheme)
    model = tfq.quantize_model(model, recipe if net == PLAIN else keep_shortcuts(recipe))
    tfq.training.clip_latent_weights(model)
    return model


def build_plain(scheme):
    """Return the 16-32-64 CNN with the pool before batch normalization, as Larq advises.

    A sign follows batch normalization instead of a ReLU, whose output has but one sign; ReActNet
    has its RPReLU there.
    """
    inputs = outputs = keras.Input((28, 28, 1))
    for index, filters in enumerate(FILTERS, start=1):
        outputs = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, name=f"convolution_{index}"
        )(outputs)
        outputs = layers.MaxPooling2D(name=f"pool_{index}")(outputs)
        outputs = layers.BatchNormalization(momentum=MOMENTUM, name=f"batch_norm_{index}")(outputs)
        if scheme == "react_net":
            outputs = tfq.RPReLU(name=f"rprelu_{index}")(outputs)
    if scheme != "react_net":
        outputs = layers.ReLU(name="relu")(outputs)
    outputs = layers.Flatten(name="flatten")(outputs)
    return keras.Model(inputs, layers.Dense(NUM_CLASSES, name="dense")(outputs))


def float_block(inputs, filters, strides=1, name="block"):
    """Return the Bi-Real block, followed by a ReLU."""
    return layers.ReLU(name=f"{name}_relu")(bi_real_block(inputs, filters, strides, name))


def train(name, seed, epochs, images, labels):
    """Return a trained network and the seconds it took."""
    keras.utils.set_random_seed(seed)
    model = build(name)
    keras.utils.set_random_seed(1000 + seed)  # decides the order of the images
    start = time.perf_counter()
    steps = -(-len(images) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [tfq.training.IRNetAnnealing()] if name.endswith("ir_net") else []
    model.fit(images, labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=callbacks)
    return model, time.perf_counter() - start


def model_path(folder, name, seed, epochs):
    return os.path.join(folder, f"{name.replace(' ', '_')}_{epochs}_epochs_seed_{seed}.keras")


def read_results(folder, file, epochs):
    """Return the results so far: a dict from (name, seed) to a dict."""
    path = os.path.join(folder, file)
    if not os.path.exists(path):
        return {}
    with open(path) as lines:
        rows = [json.loads(line) for line in lines]
    return {(row["name"], row["seed"]): row for row in rows if row["epochs"] == epochs}


def add_result(folder, file, **row):
    """Append one result; lines of this length are written whole by several processes at once."""
    with open(os.path.join(folder, file), "a") as lines:
        lines.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
