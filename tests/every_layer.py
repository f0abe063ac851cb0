"""docs/layers.md: what becomes of every layer class of Keras.

    python -m tests.every_layer     # writes the page

Each class is tried in a model of its own: quantized, lowered and written, or refused with a reason.
"""

import inspect
import os
import pathlib
import re
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfq_lowbit import Recipe, quantize_model
from tfq_lowbit.export import lower, write_tflite
from tfq_lowbit.targets import TARGETS

layers = keras.layers
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "layers.md"
NUM_SAMPLES = 4
IMAGE, SEQUENCE, VECTOR, VOLUME = (8, 8, 4), (6, 8), (8,), (4, 4, 4, 3)
STEPS = (2, 8)  # each is written out
BORDER = ("QUANTIZE", "DEQUANTIZE")
INTRODUCTION = """# Layers

Written by `python -m tests.every_layer`; a test makes the rows again and compares. Each public
layer class of Keras {version} stands in a small model of its own, which is quantized and lowered,
with common arguments. Others may be refused; the error names the layer and says why.

- **quantized**: computed in integers, by the operators given.
- **passed through**: does nothing in inference.
- **float island**: refused by default; with `on_unsupported="float"` it stays in float between
  DEQUANTIZE and QUANTIZE, for runtimes that have its float operators.
- **refused**: no file is written."""


class Outcome(NamedTuple):
    """What became of a layer."""

    kind: str
    detail: str


# Classes that stand in no model, or need what a test has not.
NOT_TRIED = {
    "FlaxLayer": "needs Flax",
    "GRUCell": "a cell: see RNN",
    "InputLayer": "an input, quantized at the model's border",
    "JaxLayer": "needs JAX",
    "LSTMCell": "a cell: see RNN",
    "Layer": "the base of all; subclasses of it: see README",
    "MaxNumBoundingBoxes": "works on labels",
    "SimpleRNNCell": "a cell: see RNN",
    "StackedRNNCells": "a cell: see RNN",
    "TFSMLayer": "needs a SavedModel, whose layers are unknown",
    "TorchModuleWrapper": "needs PyTorch",
    "Wrapper": "the base of wrappers",
}
# Shape of the input (without the batch) and arguments, by class; several shapes are several inputs.
EXAMPLES = {
    "Activation": (IMAGE, ("relu",)),
    "ActivityRegularization": IMAGE,
    "AdaptiveAveragePooling1D": (SEQUENCE, (2,)),
    "AdaptiveAveragePooling2D": (IMAGE, (2,)),
    "AdaptiveAveragePooling3D": (VOLUME, (2,)),
    "AdaptiveMaxPooling1D": (SEQUENCE, (2,)),
    "AdaptiveMaxPooling2D": (IMAGE, (2,)),
    "AdaptiveMaxPooling3D": (VOLUME, (2,)),
    "Add": [IMAGE, IMAGE],
    "AdditiveAttention": [SEQUENCE, SEQUENCE],
    "AlphaDropout": (VECTOR, (0.5,)),
    "Attention": [SEQUENCE, SEQUENCE],
    "AugMix": IMAGE[:2] + (3,),
    "AutoContrast": IMAGE[:2] + (3,),
    "Average": [IMAGE, IMAGE],
    "AveragePooling1D": (SEQUENCE, (2,)),
    "AveragePooling2D": (IMAGE, (2,)),
    "AveragePooling3D": (VOLUME, (2,)),
    "BatchNormalization": IMAGE,
    "Bidirectional": (STEPS, (layers.LSTM(3),)),
    "CategoryEncoding": ((3,), (10,), "int32"),
    "CenterCrop": (IMAGE, (4, 4)),
    "Concatenate": [IMAGE, IMAGE],
    "ContrastLimitedAdaptiveHistogramEqualization": IMAGE[:2] + (3,),
    "Conv1D": (SEQUENCE, (4, 3)),
    "Conv1DTranspose": (SEQUENCE, (4, 3)),
    "Conv2D": (IMAGE, (4, 3)),
    "Conv2DTranspose": (IMAGE, (4, 3)),
    "Conv3D": (VOLUME, (4, 3)),
    "Conv3DTranspose": (VOLUME, (4, 3)),
    "ConvLSTM1D": ((3, *SEQUENCE), (2, 3)),
    "ConvLSTM2D": ((3, *IMAGE), (2, 3)),
    "ConvLSTM3D": ((3, *VOLUME), (2, 3)),
    "Cropping1D": SEQUENCE,
    "Cropping2D": (IMAGE, (1,)),
    "Cropping3D": VOLUME,
    "CutMix": IMAGE[:2] + (3,),
    "Dense": (VECTOR, (4,)),
    "DepthwiseConv1D": (SEQUENCE, (3,)),
    "DepthwiseConv2D": (IMAGE, (3,)),
    "Discretization": (VECTOR, ([0.0, 1.0],)),
    "Dot": ([VECTOR, VECTOR], (1,)),
    "Dropout": (VECTOR, (0.5,)),
    "ELU": IMAGE,
    "EinsumDense": (SEQUENCE, ("abc,cd->abd", (6, 4))),
    "Embedding": ((6,), (10, 4), "int32"),
    "Equalization": IMAGE[:2] + (3,),
    "Flatten": IMAGE,
    "GRU": (STEPS, (3,)),
    "GaussianDropout": (VECTOR, (0.5,)),
    "GaussianNoise": (VECTOR, (0.5,)),
    "GlobalAveragePooling1D": SEQUENCE,
    "GlobalAveragePooling2D": IMAGE,
    "GlobalAveragePooling3D": VOLUME,
    "GlobalMaxPooling1D": SEQUENCE,
    "GlobalMaxPooling2D": IMAGE,
    "GlobalMaxPooling3D": VOLUME,
    "GroupNormalization": (IMAGE, (2,)),
    "GroupQueryAttention": ([SEQUENCE, SEQUENCE], (4, 4, 2)),
    "HashedCrossing": ([(1,), (1,)], (5,), "int32"),
    "Hashing": ((3,), (5,), "int32"),
    "Identity": IMAGE,
    "IntegerLookup": ((3,), (), "int32", dict(vocabulary=[1, 2])),
    "LSTM": (STEPS, (3,)),
    "Lambda": (VECTOR, (lambda x: x * x - x,)),
    "LayerNormalization": SEQUENCE,
    "LeakyReLU": IMAGE,
    "Masking": SEQUENCE,
    "MaxPooling1D": SEQUENCE,
    "MaxPooling2D": IMAGE,
    "MaxPooling3D": VOLUME,
    "Maximum": [IMAGE, IMAGE],
    "MelSpectrogram": ((400,), (), "float32", dict(fft_length=64, sequence_stride=32)),
    "Minimum": [IMAGE, IMAGE],
    "MixUp": IMAGE[:2] + (3,),
    "MultiHeadAttention": ([SEQUENCE, SEQUENCE], (2, 4)),
    "Multiply": [IMAGE, IMAGE],
    "Normalization": (IMAGE, (), "float32", dict(mean=[0.1] * 4, variance=[2.0] * 4)),
    "PReLU": (IMAGE, (), "float32", dict(shared_axes=[1, 2])),
    "Permute": (SEQUENCE, ((2, 1),)),
    "Pipeline": (IMAGE, ([layers.CenterCrop(4, 4)],)),
    "RMSNormalization": SEQUENCE,
    "RNN": (SEQUENCE, (layers.GRUCell(3),)),
    "RandAugment": IMAGE[:2] + (3,),
    "RandomBrightness": (IMAGE[:2] + (3,), (0.1,)),
    "RandomColorDegeneration": (IMAGE[:2] + (3,), (0.1,)),
    "RandomColorJitter": IMAGE[:2] + (3,),
    "RandomContrast": (IMAGE[:2] + (3,), (0.1,)),
    "RandomCrop": (IMAGE[:2] + (3,), (4, 4)),
    "RandomElasticTransform": IMAGE[:2] + (3,),
    "RandomErasing": IMAGE[:2] + (3,),
    "RandomFlip": IMAGE[:2] + (3,),
    "RandomGaussianBlur": IMAGE[:2] + (3,),
    "RandomGrayscale": IMAGE[:2] + (3,),
    "RandomHue": (IMAGE[:2] + (3,), (0.1,)),
    "RandomInvert": IMAGE[:2] + (3,),
    "RandomPerspective": IMAGE[:2] + (3,),
    "RandomPosterization": (IMAGE[:2] + (3,), (4,)),
    "RandomRotation": (IMAGE[:2] + (3,), (0.1,)),
    "RandomSaturation": (IMAGE[:2] + (3,), (0.1,)),
    "RandomSharpness": (IMAGE[:2] + (3,), (0.1,)),
    "RandomShear": IMAGE[:2] + (3,),
    "RandomTranslation": (IMAGE[:2] + (3,), (0.1, 0.1)),
    "RandomZoom": (IMAGE[:2] + (3,), (0.1,)),
    "ReLU": IMAGE,
    "RepeatVector": (VECTOR, (3,)),
    "Rescaling": (IMAGE, (0.5,)),
    "Reshape": (IMAGE, ((16, 16),)),
    "Resizing": (IMAGE, (16, 16)),
    "ReversibleEmbedding": ((6,), (10, 4), "int32"),
    "STFTSpectrogram": ((400, 1), (), "float32", dict(frame_length=64, frame_step=32)),
    "SeparableConv1D": (SEQUENCE, (4, 3)),
    "SeparableConv2D": (IMAGE, (4, 3)),
    "SimpleRNN": (STEPS, (3,)),
    "Softmax": VECTOR,
    "Solarization": IMAGE[:2] + (3,),
    "SpatialDropout1D": (SEQUENCE, (0.5,)),
    "SpatialDropout2D": (IMAGE, (0.5,)),
    "SpatialDropout3D": (VOLUME, (0.5,)),
    "SpectralNormalization": (IMAGE, (layers.Conv2D(4, 3),)),
    "StringLookup": ((3,), (), "string", dict(vocabulary=["a", "b"])),
    "Subtract": [IMAGE, IMAGE],
    "TextVectorization": ((1,), (), "string", dict(vocabulary=["a", "b"])),
    "TimeDistributed": (SEQUENCE, (layers.Dense(4),)),
    "UnitNormalization": SEQUENCE,
    "UpSampling1D": SEQUENCE,
    "UpSampling2D": IMAGE,
    "UpSampling3D": VOLUME,
    "ZeroPadding1D": SEQUENCE,
    "ZeroPadding2D": IMAGE,
    "ZeroPadding3D": VOLUME,
}


def classes():
    """Returns the public layer classes by name, each under one that is its own."""
    names = {}
    for name in dir(layers):
        each = getattr(layers, name)
        if inspect.isclass(each) and issubclass(each, layers.Layer):
            if each not in names or name == each.__name__:
                names[each] = name
    return {name: each for each, name in sorted(names.items(), key=lambda item: item[1])}


def build(name):
    """Returns a model of the one layer, and data."""
    example = EXAMPLES[name]
    is_bare = isinstance(example, list) or not isinstance(example[0], (tuple, list))
    shapes, arguments, dtype, options = (example, (), "float32", {})
    if not is_bare:
        shapes, arguments, dtype, options = (*example, *(((), "float32", {})[len(example) - 1 :]))
    keras.utils.set_random_seed(0)
    shapes = shapes if isinstance(shapes, list) else [shapes]
    # A layer in a wrapper is made anew: it may be built once only.
    arguments = [_renewed(each) for each in arguments]
    inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
    layer = classes()[name](*arguments, **options)
    takes_two = name in ("MultiHeadAttention", "GroupQueryAttention")
    output = layer(*inputs) if takes_two else layer(inputs if len(inputs) > 1 else inputs[0])
    random = np.random.default_rng(0)
    data = [_draw(random, (NUM_SAMPLES, *shape), dtype) for shape in shapes]
    return keras.Model(inputs, output), data if len(data) > 1 else data[0]


def _renewed(value):
    if isinstance(value, list):
        return [_renewed(each) for each in value]
    if isinstance(value, layers.Layer):
        return type(value).from_config(value.get_config())
    return value


def _draw(random, shape, dtype):
    if dtype == "float32":
        return random.normal(size=shape).astype(dtype)
    if dtype == "string":
        return np.full(shape, "a")
    return random.integers(0, 3, shape).astype(dtype)


def make(name, **options):
    """Returns the quantized model, its program and data."""
    model, data = build(name)
    quantized = quantize_model(model, Recipe.lsq(8, 8), data, **options)
    program = lower(quantized)
    write_tflite(program, TARGETS["litert"])
    return quantized, program, data


def find_outcome(name):
    """Tries a class; returns its `Outcome`."""
    if name in NOT_TRIED:
        return Outcome("not tried", NOT_TRIED[name])
    try:
        _, program, _ = make(name)
    except ValueError as error:
        reason = _reason(str(error))
    else:
        codes = dict.fromkeys(each.code for each in program.operators if each.code not in BORDER)
        return Outcome("quantized" if codes else "passed through", ", ".join(codes))
    try:
        make(name, on_unsupported="float")
    except ValueError as error:
        island = _reason(str(error))
        return Outcome("refused", reason if island == reason else f"{reason}; as island: {island}")
    return Outcome("float island", reason)


def _reason(text):
    """Returns what an error says of a layer, without the list of those that can be quantized."""
    # Names are numbered, tensors on their way through Keras too.
    text = re.sub(r"<KerasTensor[^>]*>", "of its own", text)
    text = re.sub(r"_\d+'", "'", text)
    text = " ".join(text.split()).partition(" The reason: ")[0]  # the converter's, at length
    for begin in (" cannot be quantized: ", " cannot be exported as a float island: "):
        text = text.partition(begin)[2] or text
    text = text.partition("the layers that can are ")[0].rstrip(" .:;")
    return text.replace("its class has no integer form here", "") or "no integer form"


def page(outcomes):
    """Returns the page of outcomes by class."""
    lines = [INTRODUCTION.format(version=keras.__version__), ""]
    lines += ["| layer | what becomes of it | operators, or why |", "|---|---|---|"]
    for name, (kind, detail) in outcomes.items():
        lines.append(f"| {name} | {kind} | {detail.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def read_version(text):
    """Returns the version of Keras that a page is of."""
    return text.partition("class of Keras ")[2].split()[0]


def read_page(text):
    """Returns the outcomes of a page."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    return {row[0]: Outcome(row[1], row[2] if len(row) > 2 else "") for row in rows[1:]}


def main():
    PAGE.write_text(page({name: find_outcome(name) for name in classes()}))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
