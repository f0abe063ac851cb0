"""What a float layer computes between DEQUANTIZE and QUANTIZE."""

from collections.abc import Callable
from dataclasses import dataclass

from tfq_lowbit.export.program import FloatTensor


@dataclass(eq=False)
class Island:
    """The float operators of one Keras layer, one step of the program.

    The program computes it by calling the layer; the file holds the operators that the stock
    converter makes of it. Both are float32, and differ in last bits.

    Attributes:
        name: path of the layer.
        sources: float32 inputs.
        output: float32 output.
        call: from tensors to the output.
        content: a .tflite file with the inputs in order, whose operators take its place.
        runtime: the first runtime that has those operators.
        reason: why the layer has no integer form.
    """

    name: str
    sources: list[FloatTensor]
    output: FloatTensor
    call: Callable
    content: bytes
    runtime: str
    reason: str = ""

    code = "FLOAT_ISLAND"  # never in a file

    @property
    def inputs(self):
        """The inputs."""
        return self.sources

    def compute(self, *values):
        """Return the reals."""
        return self.call(*values)

    def options(self):
        """Return the schema's options."""
        return "", {}
