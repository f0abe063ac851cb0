"""Low-bit quantization for Keras 3 that ships exactly what was trained."""

from tfq_lowbit import quantizers, training
from tfq_lowbit.export import (
    ExportReport,
    Fidelity,
    IntegerWeights,
    export_tflite,
    integer_weights,
    verify,
)
from tfq_lowbit.model import Recipe, calibrate, quantize_model, register_layer, summary
from tfq_lowbit.native import delegate_path
from tfq_lowbit.runtime import Interpreter, benchmark
from tfq_lowbit.targets import CheckReport, check, compile_with_vela
from tfq_lowbit.wrappers import (
    LSQ,
    PACT,
    Binarize,
    BinaryWrapper,
    FloatIsland,
    FoldedBatchNormalization,
    QuantizeActivation,
    QuantizedAveragePooling2D,
    QuantizeWrapper,
    RPReLU,
    SnapToGrid,
    gelu_tanh,
    use_packed_kernels,
)

__all__ = [
    "LSQ",
    "PACT",
    "BinaryWrapper",
    "Binarize",
    "CheckReport",
    "ExportReport",
    "Fidelity",
    "FloatIsland",
    "FoldedBatchNormalization",
    "IntegerWeights",
    "Interpreter",
    "QuantizeActivation",
    "QuantizeWrapper",
    "QuantizedAveragePooling2D",
    "RPReLU",
    "Recipe",
    "SnapToGrid",
    "benchmark",
    "calibrate",
    "check",
    "compile_with_vela",
    "delegate_path",
    "export_tflite",
    "gelu_tanh",
    "integer_weights",
    "quantize_model",
    "quantizers",
    "register_layer",
    "summary",
    "training",
    "use_packed_kernels",
    "verify",
]
