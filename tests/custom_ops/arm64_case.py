"""A model of custom operators alone, and what they must give: what the emulated runtime can try.

    python -m tests.custom_ops.arm64_case FOLDER

writes FOLDER/model.tflite and FOLDER/expected.npz, which arm64_run.py compares with.
"""

import sys
from pathlib import Path

import numpy as np

from tests.custom_ops import models, reference

HEIGHT, WIDTH, CHANNELS = 13, 11, 40
F = np.float32


def build_case():
    """Returns (bytes of the file, input, list of expected outputs in the model's order).

    A chain through every operator, whose every tensor is an output.
    """
    rng = np.random.default_rng(11)
    builder = models.ModelBuilder()
    x = rng.normal(size=(1, HEIGHT, WIDTH, CHANNELS)).astype(F)
    tensor = builder.input(x.shape, F)
    expected, outputs = [], []

    def add(name, constants, options, result):
        nonlocal tensor
        output = builder.tensor(result.shape, result.dtype)
        tensor = builder.custom(name, [tensor, *constants], output, options)
        expected.append(result)
        outputs.append(output)

    limits = rng.normal(size=CHANNELS).astype(F)
    values = np.where(x < limits, -1.0, 1.0)
    add("TfqBitpack", [limits], models.BITPACK, reference.pack(values))

    # Padded by +1, thresholds behind it.
    weights = rng.choice([-1, 1], (3, 3, CHANNELS, 70))
    acc, _ = reference.convolve(values, weights, pad_value=1)
    thresholds = rng.integers(-20, 20, 70).astype(np.int32)
    flips = rng.random(70) < 0.5
    values = np.where((acc < thresholds) ^ flips, -1.0, 1.0)
    options = models.BCONV2D | {
        "channels_in": CHANNELS,
        "kernel_height": 3,
        "kernel_width": 3,
        "padding": 1,
    }
    flip_words = reference.pack(np.where(flips, -1.0, 1.0))
    constants = [reference.pack_filter(weights), thresholds, flip_words]
    add("TfqBconv2d", constants, options, reference.to_words(acc, thresholds, flips))

    # Values are +1 or -1: the largest of a window of +1 padding is not what SAME means, so VALID.
    values = reference.windows(values, (2, 2), strides=(2, 2)).max(axis=(3, 4))
    add("TfqBmaxpool", [], models.BMAXPOOL, reference.pack(values))

    # Ternary weights, two groups, stride 2, padded by 0, int8 out.
    weights = rng.choice([-1, 0, 1], (3, 3, 35, 48))
    acc, _ = reference.convolve(values, weights, groups=2, strides=(2, 2), pad_value=0)
    multiplier = rng.normal(size=48).astype(F)
    bias = rng.integers(-40, 40, 48).astype(np.int32)
    y = reference.scale(acc, multiplier, integer_bias=bias)
    options = models.BCONV2D | {
        "channels_in": 70,
        "kernel_height": 3,
        "kernel_width": 3,
        "stride_height": 2,
        "stride_width": 2,
        "groups": 2,
        "padding": 2,
        "zero_point": -3,
        "low": -128,
        "high": 127,
    }
    codes = reference.to_int8(y, -3, -128, 127)
    constants = [reference.pack_filter(weights, is_ternary=True), multiplier, bias]
    add("TfqBconv2d", constants, options, codes)

    knee = rng.integers(-30, 30, 48).astype(np.int32)
    slopes = [rng.normal(size=48).astype(F) for _ in range(4)]
    above, below = (codes.astype(F) * m + b for m, b in (slopes[:2], slopes[2:]))
    codes = np.clip(np.rint(np.where(codes > knee, above, below)), -100, 100).astype(np.int8)
    add("TfqPrelu", [knee, *slopes], models.PRELU | {"low": -100, "high": 100}, codes)

    codes = np.clip(codes.astype(int) + 2, 0, 3)
    words = reference.pack_planes(codes, 2)
    add("TfqBitpack", [], models.BITPACK | {"planes": 2, "lowest": -2}, words)

    # Two planes of codes, float out with everything optional.
    weights = rng.choice([-1, 1], (48, 33))
    acc, sums = reference.convolve(codes.astype(float), weights[None, None])
    transform = {
        "multiplier": rng.normal(size=33).astype(F),
        "bias": rng.normal(size=33).astype(F),
        "lower": rng.normal(size=33).astype(F) - 10,
        "upper": rng.normal(size=33).astype(F) + 10,
        "sum_multiplier": rng.normal(size=33).astype(F),
    }
    y = reference.scale(acc, window_sum=sums, **transform)
    options = models.BDENSE | {"channels_in": 48, "planes": 2, "codes": 1}
    filters = reference.pack_filter(weights)
    add("TfqBdense", [filters, *transform.values()], options, y)
    return builder.build(*outputs), x, expected


def main(folder):
    """Writes the case into a folder."""
    model, x, expected = build_case()
    Path(folder, "model.tflite").write_bytes(model)
    arrays = {f"output_{index}": each for index, each in enumerate(expected)}
    np.savez(Path(folder, "expected.npz"), x=x, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
