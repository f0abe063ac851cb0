"""The second table of docs/models.md: deep networks, trained a little, and how often all agree.

python -m benchmarks.trained_models            # all of them, most of an hour on two cores
python -m benchmarks.trained_models ResNet50   # rows of these only, the others as they are

Networks of keras.applications learn Fashion-MNIST for a few hundred steps, so that their logits say
something, are quantized without further training, and are compared on test images: Keras in
evaluation, the lowered graph, LiteRT. Float weights are kept in the folder, so that a second run
does not train.
"""

import argparse
import os
import pathlib
import tempfile
from dataclasses import dataclass

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfq_lowbit as tfq
from benchmarks.models import RECIPES
from benchmarks.report import markdown_table
from tfq_lowbit.demo import load_data
from tfq_lowbit.export import KERAS_LITERT, LOWERED_LITERT
from tfq_lowbit.runtime import run

# By name of the class in keras.applications: steps of training, and the rate it starts from.
NETWORKS = {
    "MobileNetV2": (500, 2e-3),
    "ResNet50": (300, 1e-3),
    "EfficientNetB0": (500, 2e-3),
    "DenseNet121": (300, 1e-3),
}
SIZE, MARGIN, NUM_CLASSES, BATCH_SIZE = 32, 2, 10, 64
NUM_CALIBRATION, NUM_IMAGES = 256, 1000
# The default of 0.99 or 0.999 lags behind in a run this short.
MOMENTUM = 0.9
HEADINGS = (
    *("model", "recipe", "float", "Keras", "LiteRT", "LiteRT = lowered", "LiteRT = Keras"),
    *("codes equal", "margin lost"),
)


@dataclass(frozen=True)
class Compared:
    """A row: what was found of one network with one recipe."""

    model: str
    recipe: str
    cells: tuple = ()

    def row(self):
        return (self.model, self.recipe, *(self.cells or ["not measured"]))


def build(name):
    """Return an untrained network for images of 32 pixels and ten classes."""
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        input_shape=(SIZE, SIZE, 3), weights=None, classes=NUM_CLASSES, classifier_activation=None
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return model


def images_for(model, images):
    """Return images of 28 pixels as a network takes them: 32 pixels, three channels, its range."""
    images = np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    images = np.repeat(images, 3, axis=-1)
    rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    return np.rint(images * 255) if rescales else images


def trained(name, data, folder):
    """Return a network with the weights in the folder, or trained and put there."""
    model, path = build(name), pathlib.Path(folder, f"{name}.weights.h5")
    if path.exists():
        model.load_weights(path)
        return model
    steps, rate = NETWORKS[name]
    count = steps * BATCH_SIZE
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        images_for(model, data.train_images[:count]),
        data.train_labels[:count],
        batch_size=BATCH_SIZE,
        verbose=0,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(path)
    return model


def compare(name, recipe_name, data, folder):
    """Return a `Compared`."""
    model = trained(name, data, folder)
    calibration = images_for(model, data.train_images[-NUM_CALIBRATION:])
    images, labels = images_for(model, data.test_images), data.test_labels
    quantized = tfq.quantize_model(model, RECIPES[recipe_name], calibration)
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "model.tflite")
        tfq.export_tflite(quantized, path, verify_data=images[:1])
        (pairs,) = tfq.verify(quantized, path, images).outputs.values()
        shipped = run(path, images, batch_size=100)
    scores = {
        "float": model.predict(images, verbose=0),
        "Keras": quantized.predict(images, batch_size=100, verbose=0),
        "LiteRT": shipped,
    }
    accuracies = [100 * np.mean(each.argmax(-1) == labels) for each in scores.values()]
    return Compared(
        name,
        recipe_name,
        (
            *(f"{accuracy:.1f} %" for accuracy in accuracies),
            "all bits" if pairs[LOWERED_LITERT].is_exact else "NO",
            f"{pairs[KERAS_LITERT].same_top1} of {len(images)}",
            f"{100 * pairs[KERAS_LITERT].equal_fraction:.2f} %",
            _margin(scores["Keras"], shipped),
        ),
    )


def _margin(left, right):
    """Return by how much the winners led where the two differ, as parts of the range of scores."""
    parted = np.flatnonzero(left.argmax(-1) != right.argmax(-1))
    if not parted.size:
        return ""
    first, second = right[parted].max(-1), right[parted, left[parted].argmax(-1)]
    step = np.diff(np.unique(right)).min()
    return f"{(first - second).max() / step:.0f} steps"


def main():
    parser = argparse.ArgumentParser(description="Compare trained deep networks.")
    parser.add_argument("models", nargs="*", default=list(NETWORKS))
    parser.add_argument("--folder", default="build/trained_models", help="of float weights")
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    args = parser.parse_args()
    data = load_data().first(None, args.images)
    for name in args.models:
        for recipe in RECIPES:
            keras.backend.clear_session()
            found = compare(name, recipe, data, args.folder)
            print(*found.row(), flush=True)


if __name__ == "__main__":
    main()
