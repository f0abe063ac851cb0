"""Low-bit quantization for Keras 3 that ships exactly what was trained."""

from tfq_lowbit import quantizers
from tfq_lowbit.export import (
    ExportReport,
    Fidelity,
    IntegerWeights,
    export_tflite,
    integer_weights,
    verify,
)
from tfq_lowbit.model import Recipe, calibrate, quantize_model, summary
from tfq_lowbit.runtime import Interpreter, benchmark
from tfq_lowbit.wrappers import (
    LSQ,
    PACT,
    FoldedBatchNormalization,
    QuantizeActivation,
    QuantizedAveragePooling2D,
    QuantizeWrapper,
    SnapToGrid,
)

__all__ = [
    "LSQ",
    "PACT",
    "ExportReport",
    "Fidelity",
    "FoldedBatchNormalization",
    "IntegerWeights",
    "Interpreter",
    "QuantizeActivation",
    "QuantizeWrapper",
    "QuantizedAveragePooling2D",
    "Recipe",
    "SnapToGrid",
    "benchmark",
    "calibrate",
    "export_tflite",
    "integer_weights",
    "quantize_model",
    "quantizers",
    "summary",
    "verify",
]
