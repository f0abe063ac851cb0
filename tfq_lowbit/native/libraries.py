"""Where the compiled libraries are."""

from pathlib import Path

FOLDER = Path(__file__).parent


def library_path(name) -> str:
    """Return the path of a compiled library of this package.

    Args:
        name: file name, such as `"libtfq_delegate.so"`.

    Raises:
        FileNotFoundError: if it has not been built.

    Example:
        >>> library_path("libtfq_delegate.so")  # doctest: +SKIP
        '/usr/lib/python3/dist-packages/tfq_lowbit/native/libtfq_delegate.so'
    """
    path = FOLDER / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{name} is not built: `make native` builds it from a checkout; "
            "`pip install` does where it finds a C++ compiler and CMake. "
            f"Looked for: {path}"
        )
    return str(path)
