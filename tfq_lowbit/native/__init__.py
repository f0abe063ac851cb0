"""The compiled libraries: where they are, and the LiteRT delegate among them."""

from tfq_lowbit.native.delegate import delegate_path, load_delegate
from tfq_lowbit.native.libraries import library_path

__all__ = ["delegate_path", "library_path", "load_delegate"]
