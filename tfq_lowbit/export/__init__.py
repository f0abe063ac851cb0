"""Export: lower to integer operators, write the file, verify what it computes."""

from tfq_lowbit.export.fidelity import (
    KERAS_LITERT,
    KERAS_LOWERED,
    LOWERED_LITERT,
    Agreement,
    Fidelity,
)
from tfq_lowbit.export.files import write_whole
from tfq_lowbit.export.lower import lower
from tfq_lowbit.export.pending_kernel import IntegerWeights
from tfq_lowbit.export.tflite import ExportedLayer, ExportReport, export_tflite, integer_weights
from tfq_lowbit.export.verify import verify
from tfq_lowbit.export.writer import write_tflite

__all__ = [
    "KERAS_LITERT",
    "KERAS_LOWERED",
    "LOWERED_LITERT",
    "Agreement",
    "ExportReport",
    "ExportedLayer",
    "Fidelity",
    "IntegerWeights",
    "export_tflite",
    "integer_weights",
    "lower",
    "verify",
    "write_tflite",
    "write_whole",
]
