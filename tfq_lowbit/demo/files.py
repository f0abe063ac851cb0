"""The folder that the demo writes to."""

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
