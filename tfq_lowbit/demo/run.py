"""The demo: train in float, quantize, fine-tune, export, verify and time in LiteRT."""

import dataclasses
import os
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.demo.data import ImageData
from tfq_lowbit.demo.files import require_writable_folder
from tfq_lowbit.demo.model import (
    FINE_TUNING_LEARNING_RATE,
    FLOAT_LEARNING_RATE,
    build_model,
    train,
)
from tfq_lowbit.demo.picture import draw_picture
from tfq_lowbit.demo.results import Results, Row
from tfq_lowbit.export import export_tflite, write_whole
from tfq_lowbit.model import Recipe, quantize_model
from tfq_lowbit.runtime import benchmark, run

DEFAULT_EPOCHS = 5
SCHEMES = {
    "LSQ W8A8": Recipe.lsq(8, 8),
    "LSQ W4A8": Recipe.lsq(4, 8),
    "LSQ W4A4": Recipe.lsq(4, 4),
    "LSQ W2A2": Recipe.lsq(2, 2),
    "PACT W4A4": Recipe.pact(4, 4),
}
NUM_CALIBRATION = 256
BATCH_SIZE = 500
REPETITIONS = 1000
RESULTS_FILE = "results.json"
PICTURE_FILE = "accuracy_vs_size.png"


@dataclasses.dataclass(frozen=True)
class _Trained:
    """A model behind its training, with the file that it became."""

    model: keras.Model
    path: str
    seconds: float
    fidelity: object = None


def run_demo(data: ImageData, output, epochs=DEFAULT_EPOCHS, schemes=None, seed=0, say=print):
    """Run the whole demo and write its files.

    Args:
        data: images and labels, from `load_data`.
        output: folder for results.json, accuracy_vs_size.png and the .tflite files; it is
            created where it does not exist.
        epochs: epochs of the float training and of each fine-tuning, at least 1.
        schemes: dict from name to `Recipe`, None for `SCHEMES`.
        seed: of the random numbers.
        say: takes lines of text that show the progress.

    Returns:
        The `Results`, which print as a table.

    Raises:
        ValueError: if `epochs` is out of range.
        OSError: if `output` cannot be written; this is found before anything is trained.

    Example:
        >>> results = run_demo(load_data(), "demo", epochs=1)  # doctest: +SKIP
        >>> print(results)  # doctest: +SKIP
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(
            f"Argument `epochs` must be an integer of at least 1. Received: {epochs!r}"
        )
    require_writable_folder(output)
    schemes = SCHEMES if schemes is None else schemes
    start = time.perf_counter()
    keras.utils.set_random_seed(seed)
    _say_source(data, say)

    num_steps = len(schemes) + 2
    say(f"[1/{num_steps}] float: train (epochs: {epochs}), convert with the stock converter")
    trained = {"float": _train_float(data, output, epochs, say)}
    for index, (name, recipe) in enumerate(schemes.items(), start=2):
        say(f"[{index}/{num_steps}] {name}: quantize, fine-tune (epochs: {epochs}), export, verify")
        trained[name] = _train_quantized(
            trained["float"].model, name, recipe, data, output, epochs, say
        )
    say(f"[{num_steps}/{num_steps}] run and time every file in LiteRT with one thread")
    rows = _measure(trained, schemes, data)

    seconds = time.perf_counter() - start
    results = Results(
        source=data.source,
        is_substitute=data.is_substitute,
        num_train=len(data.train_labels),
        num_test=len(data.test_labels),
        epochs=epochs,
        seed=seed,
        rows=rows,
        seconds=seconds,
    )
    write_whole(os.path.join(output, RESULTS_FILE), results.to_json().encode())
    draw_picture(results, os.path.join(output, PICTURE_FILE), say)
    say(f"\n{results}\n")
    say(f"{seconds:.0f} s in all; {RESULTS_FILE}, the picture and the files are in {output}")
    return results


def _say_source(data, say):
    text = f"Data: {data.source}"
    if data.is_substitute:
        rule = "!" * len(text)
        notice = "Fashion-MNIST was found nowhere (see --data): these are not its figures."
        text = f"{rule}\n{text}\n{notice}\n{rule}"
    say(f"{text}\n{len(data.train_labels):,} images to train on, {len(data.test_labels):,} to test")


def _train_float(data, output, epochs, say):
    model = build_model()
    start = time.perf_counter()
    train(model, data.train_images, data.train_labels, epochs, FLOAT_LEARNING_RATE, say)
    seconds = time.perf_counter() - start
    path = os.path.join(output, "float.tflite")
    write_whole(path, _convert_float(model))
    return _Trained(model, path, seconds)


def _convert_float(model) -> bytes:
    """Return a float model as the stock converter writes it."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def _train_quantized(model, name, recipe, data, output, epochs, say):
    quantized = quantize_model(model, recipe, data.train_images[:NUM_CALIBRATION])
    start = time.perf_counter()
    train(quantized, data.train_images, data.train_labels, epochs, FINE_TUNING_LEARNING_RATE, say)
    seconds = time.perf_counter() - start
    path = os.path.join(output, name.lower().replace(" ", "_") + ".tflite")
    report = export_tflite(quantized, path, verify_data=data.test_images)
    say("  " + str(report).replace("\n", "\n  "))
    return _Trained(quantized, path, seconds, report.fidelity)


def _measure(trained, schemes, data):
    rows: list[Row] = []
    # Timed one after the other, so that all meet the same machine.
    timings = {
        name: benchmark(each.path, num_threads=1, repetitions=REPETITIONS)
        for name, each in trained.items()
    }
    for name, each in trained.items():
        scores = each.model.predict(data.test_images, batch_size=BATCH_SIZE, verbose=0)
        keras_accuracy = accuracy(scores, data.test_labels)
        float_accuracy = rows[0].keras_accuracy if rows else keras_accuracy
        timing, fidelity = timings[name], each.fidelity
        rows.append(
            Row(
                scheme=name,
                file=os.path.basename(each.path),
                recipe=dataclasses.asdict(schemes[name]) if name in schemes else None,
                float_accuracy=float_accuracy,
                keras_accuracy=keras_accuracy,
                litert_accuracy=accuracy(run(each.path, data.test_images), data.test_labels),
                equal_fraction=fidelity and fidelity.equal_fraction,
                max_step_difference=fidelity and fidelity.max_step_difference,
                equals_lowered=fidelity and fidelity.is_exact,
                num_bytes=os.path.getsize(each.path),
                median_ms=timing.median_ms,
                p10_ms=timing.p10_ms,
                p90_ms=timing.p90_ms,
                training_seconds=each.seconds,
            )
        )
    return tuple(rows)


def accuracy(scores, labels) -> float:
    """Return the fraction of samples whose largest score is at their label."""
    return float(np.mean(np.argmax(scores, axis=-1) == labels))
