"""The compiled TensorFlow ops: found, checked and loaded on first use."""

import functools
import re
import warnings

import tensorflow as tf

from ..native.libraries import library_path

LIBRARY = "libtfq_ops.so"
BUILT_FOR = re.compile(rb"tfq_ops for TensorFlow ([^\0]+)\0")


def is_compiled():
    """Return whether the operators run on compiled kernels, not in plain TensorFlow."""
    return compiled() is not None


@functools.cache
def compiled():
    """Return the module of compiled ops; None, having said why once, where there is none.

    A library is for the one TensorFlow that it was built for.
    """
    reason = why_not()
    if reason is None:
        return tf.load_op_library(library_path(LIBRARY))
    warnings.warn(
        f"{reason} Packed operators compute in plain TensorFlow: the same results, but slower.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def why_not():
    """Return why the library cannot be used, as sentences; None if it can."""
    try:
        path = library_path(LIBRARY)
    except FileNotFoundError as error:
        return str(error)
    built_for = tensorflow_version(path)
    if built_for == tf.__version__:
        return None
    return (
        f"{LIBRARY} was built for TensorFlow {built_for}, and this is TensorFlow {tf.__version__}: "
        "build it anew (`make native`)."
    )


def tensorflow_version(path):
    """Return the version that a library was built for, without loading it.

    Args:
        path: of the library.

    Returns:
        A version, or `"unknown"`.
    """
    with open(path, "rb") as file:
        found = BUILT_FOR.search(file.read())
    return found[1].decode() if found else "unknown"
