"""The targets by name: one row each."""

from tfq_lowbit.targets import edgetpu, ethos_u, litert, litert_rules, tflm
from tfq_lowbit.targets.target import Target

TARGETS = {
    "litert": Target("litert", litert, litert_rules),
    "edgetpu": Target("edgetpu", edgetpu, edgetpu),
    "ethos-u": Target("ethos-u", ethos_u, ethos_u),
    "tflm": Target("tflm", tflm, tflm),
}
