"""The external delegate that brings the binary operators to any LiteRT."""

from ai_edge_litert import interpreter as litert

from tfq_lowbit.native.libraries import library_path

DELEGATE = "libtfq_delegate.so"


def delegate_path() -> str:
    """Return the path of `libtfq_delegate.so`, for any TensorFlow Lite or LiteRT.

    It is one file that needs nothing but the C library: copy it beside a program, or load it from
    another runtime, in Python with `load_delegate`, in C and C++ as `custom_ops/tflite/
    tfq_delegate.h` shows. Options are `threads` (1 to 64; by default what the interpreter
    recommends) and `kernel` (`"avx512"`, `"avx2"`, `"neon"`, `"portable"`; by default the
    environment variable `TFQ_FORCE_KERNEL`, else the fastest one that the processor runs).

    Raises:
        FileNotFoundError: if it has not been built.

    Example:
        >>> from ai_edge_litert import interpreter as litert
        >>> delegate = litert.load_delegate(delegate_path(), {"threads": 2})  # doctest: +SKIP
        >>> litert.Interpreter("m.tflite", experimental_delegates=[delegate])  # doctest: +SKIP
    """
    return library_path(DELEGATE)


def load_delegate(num_threads=None, kernel=None):
    """Load the delegate for LiteRT's interpreter, which keeps it alive.

    Args:
        num_threads: threads of its kernels, 1 to 64; None leaves it to the interpreter.
        kernel: name of an instruction set; None takes the fastest.

    Raises:
        FileNotFoundError: if it has not been built.
        ValueError: for a thread count out of range, or a kernel that this processor cannot run.

    Example:
        >>> load_delegate(kernel="fast")  # doctest: +SKIP
        Traceback (most recent call last):
        ...
        ValueError: ... option `kernel` must be one of avx2, portable, ... not 'fast'
    """
    options = {}
    if num_threads is not None:
        options["threads"] = num_threads
    if kernel is not None:
        options["kernel"] = kernel
    return litert.load_delegate(delegate_path(), options)
