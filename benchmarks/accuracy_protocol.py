"""What all of `benchmarks/accuracy.md` has in common: network, training, and where results go.

It needs Keras and NumPy only, so that a peer in an environment of its own shares it.

The protocol, for each seed:

1. The float network trains for E epochs from scratch.
2. From those weights everything trains for E more epochs, with a new optimizer: the float network
   itself (the reference), and each quantized network. So all have seen 2 E epochs.
3. Both parts use Adam, a cosine decay to 0 and batches of 128; part 2 starts at a lower rate.
   The order of the images is the same for all networks of a seed.
"""

import json
import os
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

FILTERS = (16, 32, 64)
NUM_CLASSES = 10
BATCH_SIZE = 128
FLOAT_LEARNING_RATE = 3e-3
# The demo's; LSQ's authors fine-tune 2 to 4 bits at a tenth of the float rate.
FINE_TUNING_LEARNING_RATE = 5e-4
EPOCHS = 5
SEEDS = (0, 1, 2)
NUM_CALIBRATION = 256
RESULTS_FILE = "results.jsonl"
IMAGES_FILE = "images.npz"
FLOAT_NAME, REFERENCE_NAME = "float, E epochs", "float, 2 E epochs"


def build_float():
    """Return the untrained 16-32-64 CNN."""
    inputs = outputs = keras.Input((28, 28, 1))
    for index, filters in enumerate(FILTERS, start=1):
        outputs = keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, name=f"convolution_{index}"
        )(outputs)
        # The default momentum of 0.99 lags behind in a run this short.
        outputs = keras.layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{index}")(outputs)
        outputs = keras.layers.ReLU(name=f"relu_{index}")(outputs)
        outputs = keras.layers.MaxPooling2D(name=f"pool_{index}")(outputs)
    outputs = keras.layers.Flatten(name="flatten")(outputs)
    return keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, name="dense")(outputs))


def train(model, images, labels, epochs, learning_rate, seed):
    """Train in place; return the seconds it took."""
    keras.utils.set_random_seed(1000 + seed)  # decides the order of the images
    start = time.perf_counter()
    steps = -(-len(images) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    return time.perf_counter() - start


def evaluate(model, images, labels):
    """Return the accuracy in Keras, 0..1."""
    return accuracy(model.predict(images, batch_size=500, verbose=0), labels)


def accuracy(scores, labels):
    """Return the fraction of samples whose largest score is at their label."""
    return float(np.mean(np.argmax(scores, axis=-1) == labels))


def float_weights_path(folder, seed, epochs):
    return os.path.join(folder, f"float_{epochs}_epochs_seed_{seed}.npz")


def load_float(folder, seed, epochs):
    """Return the float network of part 1."""
    model = build_float()
    with np.load(float_weights_path(folder, seed, epochs)) as arrays:
        model.set_weights([arrays[f"arr_{index}"] for index in range(len(arrays))])
    return model


def load_images(folder):
    """Return the arrays that `accuracy` wrote: images in 0..1 and labels, for training and test."""
    with np.load(os.path.join(folder, IMAGES_FILE)) as arrays:
        return [arrays[f"arr_{index}"] for index in range(len(arrays))]


def read_results(folder, epochs):
    """Return the results so far: a dict from (name, seed) to a dict."""
    path = os.path.join(folder, RESULTS_FILE)
    results = {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                row = json.loads(line)
                if row["epochs"] == epochs:
                    results[row["name"], row["seed"]] = row
    return results


def add_result(folder, **row):
    """Append one result; lines of this length are written whole by several processes at once."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, RESULTS_FILE), "a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
