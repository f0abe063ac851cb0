"""Writing result files, whole or not at all."""

import os
import tempfile


def require_writable_folder(folder):
    """Create `folder` where it does not exist, and check that files can be written there.

    Raises:
        OSError: if it cannot be created, is a file, or cannot be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"The output folder must be one that can be written ({error.strerror}). Choose another "
            f"with --output. Received: {os.fspath(folder)!r}"
        ) from error


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
