"""Images for the demo: Fashion-MNIST from wherever it is, digits where it is nowhere."""

import dataclasses
import gzip
import os
import socket
import zlib

import keras
import numpy as np

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
IMAGE_SIZE = 28
NUM_CLASSES = 10
DOWNLOAD_TIMEOUT_SECONDS = 20
NUM_DIGITS_TEST = 297  # of 1,797
# The files of the idx distribution, each also with the ending .gz.
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclasses.dataclass(frozen=True)
class ImageData:
    """Images and labels for training and testing.

    Attributes:
        train_images: float32 in 0..1, of shape (n, 28, 28, 1).
        train_labels: int64 classes 0..9, of shape (n,).
        test_images: likewise.
        test_labels: likewise.
        source: what the data are and where they came from, for people.
        is_substitute: whether these are other data than the ones asked for.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str
    is_substitute: bool = False

    def first(self, num_train, num_test):
        """Return the same data cut to the first images."""
        return dataclasses.replace(
            self,
            train_images=self.train_images[:num_train],
            train_labels=self.train_labels[:num_train],
            test_images=self.test_images[:num_test],
            test_labels=self.test_labels[:num_test],
        )


def load_data(folder=None) -> ImageData:
    """Load Fashion-MNIST from the first place that has it.

    These are, in order: `folder`, where it is given; the files of the Debian package
    dataset-fashion-mnist; `keras.datasets`, which downloads; and scikit-learn's 8x8 digits as a
    substitute, which `source` and `is_substitute` say.

    Args:
        folder: a folder with the four idx files, packed with gzip or not. Only this folder is
            looked at when it is given.

    Returns:
        An `ImageData`.

    Raises:
        ValueError: if a file in `folder` is missing, cut short or of another kind.
        RuntimeError: if there are no data anywhere.

    Example:
        >>> data = load_data()  # doctest: +SKIP
        >>> data.train_images.shape  # doctest: +SKIP
        (60000, 28, 28, 1)
    """
    if folder is not None:
        return _read_folder(os.fspath(folder), f"idx files in {os.fspath(folder)}")
    failures = []
    for load in (_load_debian, _load_keras, _load_digits):
        try:
            return load()
        except Exception as error:  # a download can fail in any way; the next place is tried
            failures.append(f"{load.__name__.removeprefix('_load_')}: {error}")
    raise RuntimeError(
        "No images were found for the demo. Give a folder with the Fashion-MNIST idx files (--data "
        "DIR), or install the Debian package dataset-fashion-mnist or scikit-learn. Tried "
        + "; ".join(failures)
    )


def _load_debian():
    return _read_folder(DEBIAN_FOLDER, "Fashion-MNIST, Debian package dataset-fashion-mnist")


def _load_keras():
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        train, test = keras.datasets.fashion_mnist.load_data()
    finally:
        socket.setdefaulttimeout(before)
    return _image_data(train, test, "Fashion-MNIST, keras.datasets")


def _load_digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16.0 * 255.0  # 0..16
    enlarged = images.repeat(3, axis=1).repeat(3, axis=2)
    margin = (IMAGE_SIZE - enlarged.shape[1]) // 2
    images = np.pad(enlarged, ((0, 0), (margin, margin), (margin, margin)))
    return _image_data(
        (images[:-NUM_DIGITS_TEST], labels[:-NUM_DIGITS_TEST]),
        (images[-NUM_DIGITS_TEST:], labels[-NUM_DIGITS_TEST:]),
        "NOT Fashion-MNIST: scikit-learn's 1,797 digits, enlarged to 28x28",
        is_substitute=True,
    )


def _image_data(train, test, source, is_substitute=False):
    def images(values):
        return (np.asarray(values, np.float32) / np.float32(255))[..., np.newaxis]

    return ImageData(
        images(train[0]),
        np.asarray(train[1], np.int64),
        images(test[0]),
        np.asarray(test[1], np.int64),
        source,
        is_substitute,
    )


def _read_folder(folder, source):
    if not os.path.isdir(folder):
        raise ValueError(f"The data folder must exist. Received: {folder!r}")
    paths = {}
    for name, file in FILES.items():
        found = [
            path for path in (file + ".gz", file) if os.path.isfile(os.path.join(folder, path))
        ]
        if not found:
            raise ValueError(
                "The data folder must hold the four Fashion-MNIST files "
                f"{', '.join(FILES.values())} (or each with .gz). Missing in {folder!r}: {file}"
            )
        paths[name] = os.path.join(folder, found[0])
    arrays = {name: _read_idx(path) for name, path in paths.items()}
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        shape = (len(labels), IMAGE_SIZE, IMAGE_SIZE)
        if labels.ndim != 1 or images.shape != shape or not len(labels):
            raise ValueError(
                f"The images in {paths[f'{part}_images']!r} must have the shape {shape}, as many "
                f"as there are labels. Received: {images.shape}"
            )
        if labels.max() >= NUM_CLASSES:
            raise ValueError(
                f"The labels in {paths[f'{part}_labels']!r} must be 0 to {NUM_CLASSES - 1}. "
                f"Received: {labels.max()}"
            )
    train, test = (
        (arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test")
    )
    return _image_data(train, test, source)


def _read_idx(path):
    """Read an idx file of bytes: 0, 0, 8, rank, then big-endian sizes, then the values."""
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            content = file.read()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"The data file {path!r} cannot be read: {error}. Copy or download it again."
        ) from error
    rank = content[3] if len(content) > 3 else 0
    if content[:3] != b"\0\0\x08" or not 1 <= rank <= 3:
        raise ValueError(
            f"The data file {path!r} must be an idx file of bytes. Received: one that starts with "
            f"{content[:4]!r}"
        )
    offset = 4 + 4 * rank
    shape = tuple(int(size) for size in np.frombuffer(content[4:offset].ljust(4 * rank), ">u4"))
    expected = int(np.prod(shape, dtype=np.int64))
    if len(content) - offset != expected:
        raise ValueError(
            f"The data file {path!r} must hold {expected} values, as its header says. Received: "
            f"{max(len(content) - offset, 0)}; it is cut short or damaged, so copy it again."
        )
    return np.frombuffer(content, np.uint8, offset=offset).reshape(shape)
