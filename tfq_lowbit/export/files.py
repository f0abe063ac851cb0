"""Writing files, whole or not at all."""

import os
import pathlib


def require_writable_file(path) -> pathlib.Path:
    """Check that a file can be written at `path`, before any work is done for it.

    Args:
        path: where a file will be written; an existing one will be replaced.

    Returns:
        `path` as a `pathlib.Path`.

    Raises:
        OSError: if it names a folder, or its folder does not exist or cannot be written.
    """
    path = pathlib.Path(path)
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        what = "is a folder" if path.is_dir() else "is not in a folder that can be written"
        raise OSError(f"Argument `path` must name a file to write: {str(path)!r} {what}.")
    return path


def write_whole(path, content: bytes):
    """Write a file under a temporary name and move it to `path` once it is complete.

    Args:
        path: where to write; an existing file is replaced.
        content: bytes of the file.
    """
    temporary = f"{os.fspath(path)}.{os.getpid()}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
