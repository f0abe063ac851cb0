"""What a comparison of Keras, the lowered graph and the runtime found."""

from dataclasses import dataclass, field

import numpy as np

KERAS_LITERT = "keras ~ litert"
KERAS_LOWERED = "keras ~ lowered"
LOWERED_LITERT = "lowered ~ litert"
NO_CODE = 2**15


@dataclass
class Agreement:
    """How far two arrays of codes agree.

    Attributes:
        equal: number of equal codes.
        count: number of codes.
        max_step_difference: largest difference of two codes.
        same_top1: number of samples whose largest code is at the same place.
        samples: number of samples compared so, 0 where the tensor is no vector of scores.
        ties: of the codes that differ, how many stand for a value so close to the middle between
            two codes that float32 cannot tell; counted where that value is known.
    """

    equal: int = 0
    count: int = 0
    max_step_difference: int = 0
    same_top1: int = 0
    samples: int = 0
    ties: int = 0

    @property
    def equal_fraction(self):
        """Fraction of equal codes."""
        return self.equal / max(self.count, 1)

    @property
    def top1_agreement(self):
        """Fraction of samples with the same largest code, None where there are no scores."""
        return self.same_top1 / self.samples if self.samples else None

    @property
    def is_exact(self):
        """Whether every code is equal."""
        return self.equal == self.count

    def update(self, left, right, is_tie=None):
        """Add the codes of one batch, and which of them stand for a tie, if that is known."""
        difference = np.abs(_integers(left) - _integers(right))
        self.equal += int(np.count_nonzero(difference == 0))
        if is_tie is not None:
            self.ties += int(np.count_nonzero(difference[is_tie]))
        self.count += difference.size
        self.max_step_difference = max(self.max_step_difference, int(difference.max(initial=0)))
        if difference.ndim == 2 and difference.shape[1] > 1:
            same = np.argmax(left, axis=1) == np.argmax(right, axis=1)
            self.same_top1 += int(np.count_nonzero(same))
            self.samples += len(same)

    def __str__(self):
        text = f"{100 * self.equal_fraction:.4f} % equal"
        if not self.is_exact:
            text += f", largest difference {self.max_step_difference}"
        if self.ties:
            text += f", {self.ties} of {self.count - self.equal} at ties"
        if self.samples:
            text += f", top-1 {100 * self.same_top1 / self.samples:.2f} %"
        return text


def _integers(codes):
    """Return codes as integers; what is no number, as a float layer may make it, equals none."""
    codes = np.asarray(codes)
    return np.where(codes == codes, codes, NO_CODE).astype(np.int64)


@dataclass
class Fidelity:
    """Whether a file computes what the model computes.

    Attributes:
        outputs: for each output, an `Agreement` for each pair of "keras", "lowered" and "litert".
        layers: for each layer, likewise, each fed the runtime's own input codes; empty unless
            asked for.
        num_samples: how many inputs were compared.
        islands: names of the layers that stayed in float. The float kernels of Keras and of the
            runtime differ in last bits, which may move a code behind them by a step: outputs that
            depend on them need not be equal bit for bit.
    """

    outputs: dict[str, dict[str, Agreement]] = field(default_factory=dict)
    layers: dict[str, dict[str, Agreement]] = field(default_factory=dict)
    num_samples: int = 0
    islands: tuple[str, ...] = ()

    @property
    def equal_fraction(self):
        """Smallest fraction of equal codes of any output, Keras against LiteRT."""
        return min(pairs[KERAS_LITERT].equal_fraction for pairs in self.outputs.values())

    @property
    def max_step_difference(self):
        """Largest difference of any output's codes, Keras against LiteRT."""
        return max(pairs[KERAS_LITERT].max_step_difference for pairs in self.outputs.values())

    @property
    def top1_agreement(self):
        """Smallest top-1 agreement of the outputs that are scores, None where there are none."""
        found = [pairs[KERAS_LITERT].top1_agreement for pairs in self.outputs.values()]
        return min((value for value in found if value is not None), default=None)

    @property
    def is_exact(self):
        """Whether LiteRT equals the lowered graph bit for bit, outputs and layers."""
        compared = (*self.outputs.values(), *self.layers.values())
        return all(pairs[LOWERED_LITERT].is_exact for pairs in compared if LOWERED_LITERT in pairs)

    def first_difference(self, pair=KERAS_LITERT):
        """Return the name of the first layer whose codes part, None where none does.

        Args:
            pair: which two of "keras", "lowered" and "litert" are compared.
        """
        for name, pairs in self.layers.items():
            if pair in pairs and not pairs[pair].is_exact:
                return name
        return None

    def __str__(self):
        lines = [f"Fidelity on {self.num_samples} samples"]
        for name, pairs in self.outputs.items():
            lines += [f"  {name}: {pair}: {agreement}" for pair, agreement in pairs.items()]
        if self.layers:
            for pair in (KERAS_LITERT, LOWERED_LITERT):
                parted = {
                    name: pairs[pair]
                    for name, pairs in self.layers.items()
                    if pair in pairs and not pairs[pair].is_exact
                }
                lines.append(f"  layers: {pair}: {len(parted)} of {len(self.layers)} part")
                lines += [f"    {name}: {agreement}" for name, agreement in parted.items()]
        if self.islands:
            lines.append(
                f"  in float, exact within a step behind each, not bit for bit: "
                f"{', '.join(self.islands)}"
            )
        return "\n".join(lines)


@dataclass
class FloatAgreement:
    """How far two arrays of reals agree.

    Attributes:
        max_difference: largest difference of two values.
        largest: largest absolute value of the first array.
        same_top1: number of samples whose largest value is at the same place.
        samples: number of samples compared so, 0 where the tensor is no vector of scores.
    """

    max_difference: float = 0.0
    largest: float = 0.0
    same_top1: int = 0
    samples: int = 0

    def update(self, left, right):
        """Add the values of one batch."""
        left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
        self.max_difference = max(self.max_difference, float(np.abs(left - right).max(initial=0)))
        self.largest = max(self.largest, float(np.abs(left).max(initial=0)))
        if left.ndim == 2 and left.shape[1] > 1:
            self.same_top1 += int(np.count_nonzero(left.argmax(axis=1) == right.argmax(axis=1)))
            self.samples += len(left)

    def __str__(self):
        text = f"largest difference {self.max_difference:.3g}, of values up to {self.largest:.3g}"
        if self.samples:
            text += f", top-1 {100 * self.same_top1 / self.samples:.2f} %"
        return text


@dataclass
class FloatFidelity:
    """How far a file with float activations computes what the model computes.

    Its weights are the trained codes; float kernels differ in last bits, and dynamic activations
    by their quantization, so that nothing is claimed bit for bit.

    Attributes:
        outputs: for each output, the `FloatAgreement` of Keras and LiteRT.
        num_samples: how many inputs were compared.
    """

    outputs: dict[str, FloatAgreement] = field(default_factory=dict)
    num_samples: int = 0

    @property
    def relative_difference(self):
        """Largest difference over the largest value, of the output where it is largest."""
        return max(each.max_difference / (each.largest or 1.0) for each in self.outputs.values())

    @property
    def top1_agreement(self):
        """Smallest top-1 agreement of the outputs that are scores, None where there are none."""
        scores = [each.same_top1 / each.samples for each in self.outputs.values() if each.samples]
        return min(scores, default=None)

    def __str__(self):
        lines = [f"Fidelity on {self.num_samples} samples, in float"]
        lines += [f"  {name}: keras ~ litert: {each}" for name, each in self.outputs.items()]
        return "\n".join(lines)
