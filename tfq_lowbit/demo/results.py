"""What the demo measured: one row a model, as a table and as JSON."""

import dataclasses
import importlib.metadata
import json

PACKAGES = ("tfq_lowbit", "keras", "tensorflow", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the demo.

    Attributes:
        scheme: name of the scheme, "float" for the float model.
        file: name of its .tflite file.
        recipe: the recipe as a dict, None for the float model.
        float_accuracy: accuracy of the float model in Keras, 0..1.
        keras_accuracy: accuracy of this model in Keras.
        litert_accuracy: accuracy of the file in LiteRT.
        equal_fraction: fraction of output codes equal in Keras and LiteRT; None for float.
        max_step_difference: largest difference of two such codes; None for float.
        equals_lowered: whether LiteRT equals the lowered graph bit for bit; None for float.
        num_bytes: size of the file.
        median_ms: median time of one inference in LiteRT with one thread.
        p10_ms: a tenth of the inferences is faster.
        p90_ms: a tenth is slower.
        training_seconds: time of training or fine-tuning.
    """

    scheme: str
    file: str
    recipe: dict | None
    float_accuracy: float
    keras_accuracy: float
    litert_accuracy: float
    equal_fraction: float | None
    max_step_difference: int | None
    equals_lowered: bool | None
    num_bytes: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    training_seconds: float


# Heading, and how a row fills the column.
COLUMNS = (
    ("scheme", lambda row: row.scheme),
    ("Keras float", lambda row: _percent(row.float_accuracy)),
    ("Keras quantized", lambda row: _percent(row.keras_accuracy) if row.recipe else "-"),
    ("LiteRT", lambda row: _percent(row.litert_accuracy)),
    ("equal codes", lambda row: "-" if row.recipe is None else _fraction(row.equal_fraction)),
    ("bytes", lambda row: f"{row.num_bytes:,}"),
    ("ms", lambda row: f"{row.median_ms:.3f}"),
)


@dataclasses.dataclass(frozen=True)
class Results:
    """All of a demo's measurements; prints as a table.

    Attributes:
        source: what the data were.
        is_substitute: whether they were other data than Fashion-MNIST.
        num_train: number of training images.
        num_test: number of test images; accuracies and equal codes are over all of them.
        epochs: epochs of training, and of each fine-tuning.
        seed: of the random numbers.
        rows: one for each model, the float model first.
        seconds: time of the whole demo.
    """

    source: str
    is_substitute: bool
    num_train: int
    num_test: int
    epochs: int
    seed: int
    rows: tuple[Row, ...]
    seconds: float

    def to_json(self) -> str:
        """Return the results as JSON, with the versions of the packages that made them."""
        versions: dict[str, str | None] = {}
        for name in PACKAGES:
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = None  # run from a source tree
        return json.dumps({**dataclasses.asdict(self), "versions": versions}, indent=2) + "\n"

    def __str__(self):
        cells = [[heading for heading, _ in COLUMNS]]
        cells += [[fill(row) for _, fill in COLUMNS] for row in self.rows]
        widths = [max(len(line[index]) for line in cells) for index in range(len(COLUMNS))]
        lines = [
            self.source,
            f"Accuracy in % and equal codes on {self.num_test:,} test images, epochs: "
            f"{self.epochs} each, LiteRT with one thread",
            "",
        ]
        for line in cells:
            first = line[0].ljust(widths[0])
            rest = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            lines.append("  ".join([first, *rest]))
        lines.insert(4, "-" * len(lines[3]))
        return "\n".join(lines)


def _percent(value):
    return f"{100 * value:.2f}"


def _fraction(value):
    # Never rounded up to 100 %.
    return "100 %" if value == 1 else f"{int(1e5 * value) / 1e3:.3f} %"
