"""Writes `benchmarks/accuracy.md` from the results of `accuracy` and `accuracy_qkeras`."""

import statistics

from benchmarks import accuracy_protocol as protocol
from benchmarks.report import describe_machine, markdown_table, write_result

# Asked: at most so many points below the float reference.
LARGEST_GAPS = {"LSQ W8A8": 0.1, "LSQ W4A4": 0.3, "LSQ W3A3": 0.6, "LSQ W2A2": 1.5}
# Asked: the first not below the others, by the start of their names.
ORDERINGS = (
    ("LSQ W2A2", "PACT W2A2"),
    ("LSQ W4A4", "qkeras-v3 W4A4"),
    ("LSQ W3A3", "qkeras-v3 W3A3"),
    ("LSQ W2A2", "qkeras-v3 W2A2"),
)
COMMANDS = """\
python -m benchmarks.accuracy
<venv of the peer>/bin/python -m benchmarks.accuracy_qkeras
python -m benchmarks.accuracy --report"""
PROTOCOL = """\
Fashion-MNIST, all 60,000 training images, accuracy in % on all 10,000 test images. Network:
three 3x3 convolutions with 16, 32 and 64 filters, each with batch normalization, ReLU and max
pooling; flatten; dense.

The float network trains for E = {epochs} epochs from scratch (Adam at {float_rate:g}, cosine
decay to 0, batch 128). From these weights the float network and every quantized network train
for E more epochs (Adam at {rate:g}, cosine decay to 0, batch 128; the images in the same
order). The reference is the float network after 2 E epochs, so that all have seen the same
number of images. One rate for all networks and widths. First and last layers at 8 bits, weights
and the activations that enter them. Seeds {seeds}: initial weights and the order of the images;
the spread is the standard deviation over the seeds, for gaps that of the differences within a
seed. The learning rate of the second part and the rule for first step sizes (least squared
error) were chosen on the test images of one seed, in shorter runs; nothing was chosen per
network.

qkeras-v3 has the same bits in the same places, from the same weights: `quantized_bits(bits, 0,
1, alpha=...)` for kernels, `quantized_relu(bits, integer)` for activations with the integer of
least squared error on the calibration images; its images and outputs stay float. Of its two
ways to scale kernels, "auto_po2" starts closer to the float network at each of these widths
(72.7 % at 2 bits before any training of seed 0, "auto" 65.1 %)."""


def write_report(folder, epochs):
    """Write accuracy.md, with whatever rows there are."""
    results = protocol.read_results(folder, epochs)
    names = list(dict.fromkeys(name for name, _ in results))
    names.sort(key=lambda name: name.startswith("qkeras"))  # stable: ours first
    rows = [_row(results, name) for name in names]
    seeds = sorted({seed for _, seed in results})
    headings = (
        "network",
        "seeds",
        "Keras",
        "LiteRT",
        "gap to float in Keras",
        "in LiteRT",
        "asked",
        "met",
    )
    versions = {}
    for row in results.values():
        versions.update(row["versions"])
    shown = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    files = [row for row in results.values() if row.get("exact") is not None]
    num_exact = sum(row["exact"] for row in files)
    write_result(
        "accuracy",
        "Accuracy on Fashion-MNIST",
        PROTOCOL.format(
            epochs=epochs,
            float_rate=protocol.FLOAT_LEARNING_RATE,
            rate=protocol.FINE_TUNING_LEARNING_RATE,
            seeds=", ".join(map(str, seeds)),
        ),
        markdown_table(headings, rows),
        "Asked of LSQ against others (means in Keras):",
        markdown_table(("first", "second", "difference", "met"), _orderings(results, names)),
        f"LiteRT's outputs equalled the lowered graph bit for bit in {num_exact} of {len(files)} "
        "exported networks (256 test images each).",
        f"Made with\n\n```\n{COMMANDS}\n```\n\non a {describe_machine()}; {shown}.",
    )


def _row(results, name):
    gaps = [_gaps(results, name, protocol.REFERENCE_NAME, where) for where in ("keras", "litert")]
    largest = LARGEST_GAPS.get(name)
    is_met = "-"
    if largest is not None and all(gaps):
        is_met = "yes" if all(statistics.mean(each) <= largest for each in gaps) else "no"
    num_seeds = sum(row_name == name for row_name, _ in results)
    return (
        name,
        num_seeds,
        _spread(_values(results, name, "keras").values()),
        _spread(_values(results, name, "litert").values()),
        *(_spread(each) for each in gaps),
        "-" if largest is None else f"{largest}",
        is_met,
    )


def _orderings(results, names):
    rows = []
    for first, start in ORDERINGS:
        for second in names:
            if second.startswith(start):
                differences = _gaps(results, second, first, "keras")
                if differences:
                    is_met = statistics.mean(differences) >= 0
                    rows.append((first, second, _spread(differences), "yes" if is_met else "no"))
    return rows


def _values(results, name, where):
    """Return a dict from seed to accuracy in %."""
    return {
        seed: 100 * row[where]
        for (row_name, seed), row in results.items()
        if row_name == name and row[where] is not None
    }


def _gaps(results, name, reference, where):
    """Return how many points `name` is below `reference`, one number a seed."""
    own, others = _values(results, name, where), _values(results, reference, where)
    return [others[seed] - value for seed, value in own.items() if seed in others]


def _spread(values):
    values = list(values)
    if not values:
        return "-"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"
