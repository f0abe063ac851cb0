"""Binary and low-bit operators: on compiled kernels if they are built, else in plain TensorFlow."""

from .bitpack import bitpack
from .bmaxpool import bmaxpool
from .library import is_compiled
from .outputs import Int8Output, RealOutput, SignOutput
from .prelu import prelu
from .product import bconv2d, bdense

__all__ = [
    "Int8Output",
    "RealOutput",
    "SignOutput",
    "bconv2d",
    "bdense",
    "bitpack",
    "bmaxpool",
    "is_compiled",
    "prelu",
]
