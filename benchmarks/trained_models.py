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
from benchmarks.models import PAGE, RECIPES, TRAINED_HEADING, split_page
from benchmarks.report import markdown_table
from tfq_lowbit.demo import load_data
from tfq_lowbit.runtime import run

# By name of the class in keras.applications: steps of training, images a step, the first rate. The
# larger networks take minutes for a hundred steps.
NETWORKS = {
    "MobileNetV2": (500, 64, 2e-3),
    "ResNet50": (120, 16, 1e-3),
    "EfficientNetB0": (150, 64, 2e-3),
    "DenseNet121": (120, 16, 1e-3),
}
SIZE, MARGIN, NUM_CLASSES, BATCH_SIZE = 32, 2, 10, 32
NUM_CALIBRATION, NUM_VERIFIED, NUM_IMAGES = 256, 64, 1000
# The default of 0.99 or 0.999 lags behind in a run this short.
MOMENTUM = 0.9
HEADINGS = (
    *("model", "recipe", "float", "Keras", "LiteRT", "LiteRT = lowered", "LiteRT = Keras"),
    *("codes equal", "largest step", "margin lost"),
)
NOT_MEASURED = ("not measured", *[""] * (len(HEADINGS) - 3))
INTRODUCTION = f"""Written by `python -m benchmarks.trained_models`. Networks of keras.applications
for {SIZE} pixels and {NUM_CLASSES} classes learn Fashion-MNIST for some hundred steps, are
quantized without further training ({NUM_CALIBRATION} images to calibrate) and compared on
{NUM_IMAGES} test images.

- **float**, **Keras**, **LiteRT**: accuracy of the float model, of the quantized one in Keras, and
  of the file.
- **LiteRT = lowered**: whether the scores of LiteRT are those of the lowered graph, bit for bit, on
  the first {NUM_VERIFIED} images.
- **LiteRT = Keras**: images whose largest score is at the same place.
- **codes equal**, **largest step**: of all scores, LiteRT against Keras, and the largest difference
  in steps of their grid.
- **margin lost**: where the largest score is at another place, by how many steps LiteRT prefers its
  own to that of Keras, at most.

The promise is the same largest score on 99.5 % of inputs and accuracies within 0.1 points. All
scores are equal, because Keras in evaluation finds the integers again that the kernel rounds, and
rounds them with the same factor (docs/decisions.md, 37 and 38). A network of 50 layers has some
200,000 codes an image, and batch normalization behind every layer carries on what parts: while one
code in a million did, 986 images of ResNet50 agreed at W8A8."""


@dataclass(frozen=True)
class Compared:
    """A row: what was found of one network with one recipe."""

    model: str
    recipe: str
    cells: tuple = ()

    def row(self):
        return (self.model, self.recipe, *(self.cells or NOT_MEASURED))


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
    steps, batch_size, rate = NETWORKS[name]
    count = steps * batch_size
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(
        images_for(model, data.train_images[:count]),
        data.train_labels[:count],
        batch_size=batch_size,
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
        tfq.export_tflite(quantized, path, verify_data=images[:BATCH_SIZE])
        fidelity = tfq.verify(quantized, path, images[:NUM_VERIFIED])
        shipped = run(path, images, batch_size=BATCH_SIZE)
    trained_scores = quantized.predict(images, batch_size=BATCH_SIZE, verbose=0)
    scores = (model.predict(images, batch_size=BATCH_SIZE, verbose=0), trained_scores, shipped)
    same = np.count_nonzero(trained_scores.argmax(-1) == shipped.argmax(-1))
    step = float(quantized.layers[-1].quantizer.step_size.value)
    steps = np.rint(np.abs(trained_scores - shipped) / step)
    return Compared(
        name,
        recipe_name,
        (
            *(f"{100 * np.mean(each.argmax(-1) == labels):.1f} %" for each in scores),
            "all bits" if fidelity.is_exact else "NO",
            f"{same} of {len(images)}",
            f"{100 * np.mean(steps == 0):.2f} %",
            f"{steps.max():.0f}",
            _margin(trained_scores, shipped, step),
        ),
    )


def _margin(left, right, step):
    """Return by how many steps, at most, winners of the one lead in the other where they differ."""
    parted = np.flatnonzero(left.argmax(-1) != right.argmax(-1))
    leads = right[parted].max(-1) - right[parted, left[parted].argmax(-1)]
    return f"{leads.max() / step:.0f}" if parted.size else ""


def section(compared):
    """Return the part of the page on trained networks."""
    table = markdown_table(HEADINGS, [each.row() for each in compared])
    return f"{TRAINED_HEADING}\n\n{INTRODUCTION}\n\n{table}\n"


def read_section(text):
    """Return what a page says, a dict from model and recipe to `Compared`."""
    found = {}
    for line in split_page(text)[1].splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if len(cells) == len(HEADINGS) and cells[1] in RECIPES:
            found[cells[:2]] = Compared(*cells[:2], cells[2:])
    return found


def main():
    parser = argparse.ArgumentParser(description="Compare trained deep networks.")
    parser.add_argument("models", nargs="*", default=list(NETWORKS))
    parser.add_argument("--folder", default="build/trained_models", help="of float weights")
    args = parser.parse_args()
    data = load_data().first(None, NUM_IMAGES)
    for name in args.models:
        for recipe in RECIPES:
            keras.backend.clear_session()
            made = compare(name, recipe, data, args.folder)
            print(*made.row(), flush=True)
            text = PAGE.read_text()  # as it is now: another run may have written other rows
            found = read_section(text) | {(name, recipe): made}
            keys = [(model, each) for model in NETWORKS for each in RECIPES]
            rows = [found.get(key, Compared(*key)) for key in keys]
            PAGE.write_text(f"{split_page(text)[0]}\n{section(rows)}")


if __name__ == "__main__":
    main()
