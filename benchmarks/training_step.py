"""Time of a quantized training step, as a multiple of the float step.

The model is the 32-64-128 CNN (convolution 3x3, batch normalization, ReLU, max pooling; three
times; flatten, dense) on batches of 128 images of 28x28. Every variant runs in one process, in
blocks of a few steps, each beside a block of float steps, so that a change in the machine's load
falls on both; the ratio is the median over these pairs. The ratio of CPU times, summed over
threads, moves less on a busy machine.

    python -m benchmarks.training_step
    python -m benchmarks.training_step --jit --variants "LSQ W4A4"
    <venv of the peer>/bin/python benchmarks/training_step.py --peer qkeras

A peer runs in an environment of its own (`pip install tensorflow qkeras-v3`, or `HGQ2`), against
float in that same environment.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

FILTERS = (32, 64, 128)
INPUT_SHAPE = (28, 28, 1)
NUM_CLASSES = 10
# Enough batches that a step's input is not in the cache from the step before.
NUM_BATCHES = 8
WARM_UP_STEPS = 5


def chain(layers):
    inputs = outputs = keras.Input(INPUT_SHAPE)
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def float_model():
    layers = []
    for filters in FILTERS:
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    return chain([*layers, keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)])


def quantized(scheme, **bits):
    """Return a function that quantizes a float model with one of our recipes."""

    def build(images):
        from tfq_lowbit.model import Recipe, quantize_model

        recipe = getattr(Recipe, scheme)(**bits)
        return quantize_model(float_model(), recipe, calibration_data=images[:256])

    return build


def qkeras_model(images):
    """Return the model with 4-bit weights and activations, the quantizer behind the ReLU."""
    del images
    import qkeras

    layers = []
    for filters in FILTERS:
        layers += [
            qkeras.QConv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_quantizer=qkeras.quantized_bits(4, 0, 1, alpha="auto_po2"),
            ),
            keras.layers.BatchNormalization(),
            qkeras.QActivation(qkeras.quantized_relu(4, 2)),
            keras.layers.MaxPooling2D(),
        ]
    dense = qkeras.QDense(
        NUM_CLASSES,
        kernel_quantizer=qkeras.quantized_bits(8, 0, 1),
        bias_quantizer=qkeras.quantized_bits(8, 0, 1),
    )
    return chain([*layers, keras.layers.Flatten(), dense])


def hgq2_model(images):
    """Return the model in HGQ2's layers with its default quantizers (learned widths)."""
    del images
    import hgq.layers

    layers = []
    for filters in FILTERS:
        layers += [
            hgq.layers.QConv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten(), hgq.layers.QDense(NUM_CLASSES)])


OURS = {
    "LSQ W4A4": quantized("lsq", weight_bits=4, activation_bits=4),
    "LSQ W2A2": quantized("lsq", weight_bits=2, activation_bits=2),
    "PACT W4A4": quantized("pact", weight_bits=4, activation_bits=4),
    "DoReFa W4A4": quantized("dorefa", weight_bits=4, activation_bits=4),
}
PEERS = {
    "qkeras": ("qkeras-v3", {"qkeras-v3 W4A4": qkeras_model}),
    "hgq2": ("HGQ2", {"HGQ2": hgq2_model}),
}


def training_step(build, batches, jit):
    """Return a function that runs `count` steps of a compiled model."""
    keras.utils.set_random_seed(0)
    model = build(batches[0][0])
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    batches = [(tf.constant(images), tf.constant(labels)) for images, labels in batches]

    def run(count):
        for step in range(count):
            model.train_on_batch(*batches[step % len(batches)])

    return run


def measure(builders, batches, jit, rounds, steps):
    """Return pairs of `(own, float)` times of a step by variant, each `(wall, cpu)` seconds."""
    baseline = training_step(lambda images: float_model(), batches, jit)
    runs = {name: training_step(build, batches, jit) for name, build in builders.items()}
    for run in (baseline, *runs.values()):
        run(WARM_UP_STEPS)
    pairs = {name: [] for name in runs}
    for index in range(rounds):
        for name, run in runs.items():
            if index % 2:
                own, base = timed(run, steps), timed(baseline, steps)
            else:  # the order turns: nobody always comes second
                base, own = timed(baseline, steps), timed(run, steps)
            pairs[name].append((own, base))
    return pairs


def timed(run, steps):
    """Return wall and CPU seconds of a step."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(steps)
    return (time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps


def summarize(pairs):
    """Return one row a variant: median milliseconds, ratios to float and quartiles."""
    rows = []
    for name, times in pairs.items():
        low, wall, high = statistics.quantiles([own[0] / base[0] for own, base in times], n=4)
        cpu = statistics.median(own[1] / base[1] for own, base in times)
        rows.append(
            {
                "name": name,
                "ms": round(statistics.median(own[0] for own, base in times) * 1e3, 2),
                "float_ms": round(statistics.median(base[0] for own, base in times) * 1e3, 2),
                "ratio": round(wall, 3),
                "quartiles": [round(low, 3), round(high, 3)],
                "cpu_ratio": round(cpu, 3),
            }
        )
    return rows


def random_batches(batch_size):
    rng = np.random.default_rng(0)
    return [
        (
            rng.random((batch_size, *INPUT_SHAPE), np.float32),
            rng.integers(0, NUM_CLASSES, batch_size),
        )
        for _ in range(NUM_BATCHES)
    ]


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description="Time of a quantized training step.")
    parser.add_argument("--rounds", type=int, default=60, help="blocks of each variant")
    parser.add_argument("--steps", type=int, default=3, help="training steps in a block")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--peer", choices=PEERS, help="measure this package instead of ours")
    parser.add_argument("--variants", nargs="+", help=f"some of {', '.join(OURS)}")
    args = parser.parse_args()

    packages = ["tensorflow", "keras"]
    builders = OURS
    if args.peer:
        package, builders = PEERS[args.peer]
        packages.append(package)
    if args.variants:
        builders = {name: builders[name] for name in args.variants}

    load_before = os.getloadavg()[0]
    batches = random_batches(args.batch)
    rows = summarize(measure(builders, batches, args.jit, args.rounds, args.steps))
    load_after = os.getloadavg()[0]

    print("| training step | float, ms | own, ms | x float | quartiles | x float, CPU time |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["quartiles"]
        print(
            f"| {row['name']} | {row['float_ms']:.1f} | {row['ms']:.1f} | {row['ratio']:.3f} "
            f"| {low:.3f} to {high:.3f} | {row['cpu_ratio']:.3f} |"
        )
    report = {
        "benchmark": "training_step",
        "batch": args.batch,
        "jit_compile": args.jit,
        "rounds": args.rounds,
        "steps": args.steps,
        "load": [round(load_before, 2), round(load_after, 2)],
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "rows": rows,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
