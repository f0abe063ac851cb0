"""docs/models.md: models that people build, quantized, exported and verified, or what was refused.

python -m benchmarks.models            # all of them, most of an hour on two cores
python -m benchmarks.models MobileNet U-Net     # rows of these only, the others as they are
"""

import argparse
import os
import pathlib
import tempfile
from dataclasses import dataclass

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import tfq_lowbit as tfq
from benchmarks import zoo
from benchmarks.report import markdown_table
from tfq_lowbit.export import KERAS_LITERT
from tfq_lowbit.model import read_graph
from tfq_lowbit.model.rules import find_rule

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "models.md"
RECIPES = {"W8A8": tfq.Recipe.lsq(8, 8), "W4A8": tfq.Recipe.lsq(4, 8)}
NUM_IMAGES, NUM_COMPARED = 8, 4
HEADINGS = (
    *("model", "recipe", "layers", "exact", "Keras, by layer", "worst layer"),
    *("top-1", "bytes", "ms"),
)
TRAINED_HEADING = "## Trained networks"  # `benchmarks.trained_models` writes what follows
INTRODUCTION = f"""# Models

Written by `python -m benchmarks.models`; a slow test makes rows again and compares all but the
milliseconds.

Models of keras.applications with random weights (images of 64 pixels, or the fewest that the class
takes; a thousand logits as outputs), and small ones of other kinds (`benchmarks/zoo.py`),
calibrated on {NUM_IMAGES} random inputs and compared on {NUM_COMPARED} others.

- **layers**: those with a kernel, all of which are quantized.
- **exact**: LiteRT equals the lowered graph bit for bit, in every tensor of the file.
- **Keras, by layer**: codes equal to LiteRT's, of all layers, each fed the same codes.
- **worst layer**: the smallest fraction of any layer, and the largest difference.
- **top-1**: inputs whose largest output is at the same place in Keras (`predict`) and LiteRT, end
  to end. A thousand random logits lie close together, and in a deep network of random weights a
  single code that parts grows from layer to layer.
- **bytes**: of the file, smallest; **ms**: LiteRT, one thread, one input, on a busy machine."""


@dataclass(frozen=True)
class Measured:
    """A row: what was found of one model with one recipe, or why it was refused."""

    model: str
    recipe: str
    cells: tuple = ()
    refused: str = ""

    @property
    def is_measured(self):
        """Whether there are figures."""
        return bool(self.cells)

    def row(self):
        if self.refused:
            return (self.model, self.recipe, "refused, see below", *["" for _ in HEADINGS[3:]])
        if not self.is_measured:
            return (self.model, self.recipe, "not measured", *["" for _ in HEADINGS[3:]])
        return (self.model, self.recipe, *self.cells)


def measure(name, recipe_name, repetitions=15):
    """Return a `Measured`."""
    keras.backend.clear_session()  # names of layers start anew
    model, data = zoo.build(name, NUM_IMAGES + NUM_COMPARED)
    calibration, compared = data[:NUM_IMAGES], data[NUM_IMAGES:]
    try:
        quantized = tfq.quantize_model(model, RECIPES[recipe_name], calibration)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            report = tfq.export_tflite(quantized, path, verify_data=compared)
            fidelity = tfq.verify(quantized, path, compared, per_layer=True)
            milliseconds = tfq.benchmark(path, 1, repetitions, warmup=5).median_ms
    except ValueError as error:
        return Measured(name, recipe_name, refused=_reasons(model, error))
    return Measured(
        name,
        recipe_name,
        (*_cells(report, fidelity), f"{report.num_bytes:,}", f"{milliseconds:.2f}"),
    )


def _reasons(model, error):
    """Return why layers of a model cannot be quantized, each reason once, else the error."""
    reasons = {}
    for node in read_graph(model).nodes:
        try:
            find_rule(node.layer)
        except ValueError as refusal:
            # Without the list of all classes that can be, which grows.
            reason = str(refusal).partition("cannot be quantized: ")[2]
            reason = reason.partition("the layers that can are ")[0].rstrip(" .;")
            reasons.setdefault(type(node.layer).__name__ + (f" ({reason})" if reason else ""))
    return ", ".join(reasons) or " ".join(str(error).split())


def _cells(report, fidelity):
    pairs = [each[KERAS_LITERT] for each in fidelity.layers.values() if KERAS_LITERT in each]
    equal = sum(each.equal for each in pairs) / sum(each.count for each in pairs)
    worst = min(pairs, key=lambda each: each.equal_fraction)
    steps = max(each.max_step_difference for each in pairs)
    outputs = [each[KERAS_LITERT] for each in fidelity.outputs.values()]
    scores = [each for each in outputs if each.samples]
    same = f"{min(each.same_top1 for each in scores)} of {NUM_COMPARED}" if scores else ""
    return (
        str(len(report.layers)),
        "yes" if fidelity.is_exact else "NO",
        f"{100 * equal:.3f} %",
        f"{100 * worst.equal_fraction:.2f} %, {steps} step{'s' * (steps != 1)}",
        same,
    )


def page(measured, trained=""):
    """Return the page's text, with the part on trained networks as it is."""
    refused = {}
    for each in measured:
        if each.refused:
            refused.setdefault((each.model, each.refused), []).append(each.recipe)
    parts = [INTRODUCTION, markdown_table(HEADINGS, [each.row() for each in measured])]
    if refused:
        lines = [f"- {model}: {reason}" for model, reason in refused]
        parts.append("## Refused\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n" + (f"\n{trained}" if trained else "")


def split_page(text):
    """Return the part on random weights, and that on trained networks, "" where there is none."""
    before, heading, trained = text.partition(TRAINED_HEADING)
    return before.rstrip() + "\n", heading + trained


def read_page(text):
    """Return what a page says, a dict from model and recipe to `Measured`."""
    text, _ = split_page(text)
    _, _, refused = text.partition("## Refused\n\n")
    reasons = dict(
        line.removeprefix("- ").split(": ", 1) for line in refused.splitlines() if line[:2] == "- "
    )
    found = {}
    for line in text.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if len(cells) == len(HEADINGS) and cells[1] in RECIPES:
            reason = reasons[cells[0]] if cells[2].startswith("refused") else ""
            has_figures = bool(cells[3])
            found[cells[:2]] = Measured(*cells[:2], cells[2:] if has_figures else (), reason)
    return found


def main():
    parser = argparse.ArgumentParser(description="Quantize, export and verify models.")
    parser.add_argument("models", nargs="*", default=list(zoo.MODELS))
    args = parser.parse_args()
    for name in args.models:
        for recipe in RECIPES:
            made = measure(name, recipe)
            print(*made.row(), made.refused, flush=True)
            # As it is now: another run may have written other rows.
            text = PAGE.read_text() if PAGE.exists() else ""
            found, trained = read_page(text) | {(name, recipe): made}, split_page(text)[1]
            keys = [(model, recipe) for model in zoo.MODELS for recipe in RECIPES]
            PAGE.write_text(page([found.get(key, Measured(*key)) for key in keys], trained))


if __name__ == "__main__":
    main()
