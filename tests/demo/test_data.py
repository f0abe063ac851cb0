import gzip

import numpy as np
import pytest

from tfq_lowbit.demo import data as demo_data
from tfq_lowbit.demo import load_data

TRAIN, TEST = 5, 3


def idx(values):
    header = bytes([0, 0, 8, values.ndim])
    sizes = np.array(values.shape, ">u4").tobytes()
    return header + sizes + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images = random.integers(0, 256, (count, 28, 28))
        labels = np.arange(count) % 10
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


@pytest.fixture
def nothing_local(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_data, "DEBIAN_FOLDER", str(tmp_path / "absent"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def no_download():
    raise OSError("offline")


def test_a_given_folder_is_read_packed_or_not(folder):
    data = load_data(folder)
    assert data.train_images.shape == (TRAIN, 28, 28, 1)
    assert data.test_images.shape == (TEST, 28, 28, 1)
    assert data.train_images.dtype == np.float32
    assert 0 <= data.train_images.min() < data.train_images.max() == 1
    np.testing.assert_array_equal(data.train_labels, np.arange(TRAIN))
    assert str(folder) in data.source
    assert not data.is_substitute


def test_pixels_are_the_files_over_255(folder):
    stored = np.frombuffer((folder / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    images = load_data(folder).test_images
    np.testing.assert_array_equal(np.rint(images.ravel() * 255), stored)


def test_first_cuts_the_data(folder):
    data = load_data(folder).first(2, 1)
    assert len(data.train_images) == len(data.train_labels) == 2
    assert len(data.test_images) == len(data.test_labels) == 1


def test_a_given_folder_without_the_files_is_an_error(folder, tmp_path):
    with pytest.raises(ValueError, match="must exist.*nowhere"):
        load_data(tmp_path / "nowhere")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match="four Fashion-MNIST files.*Missing.*t10k-labels"):
        load_data(folder)


@pytest.mark.parametrize("size", [0, 3, 10, 16, -1])
def test_a_truncated_file_is_an_error_that_names_it(folder, size):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte"):
        load_data(folder)


@pytest.mark.parametrize("size", [0, 1, 8, 20, -1])
def test_a_truncated_gzip_file_is_an_error_that_names_it(folder, size):
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte.gz"):
        load_data(folder)


def test_data_of_another_shape_or_with_other_labels_are_refused(folder):
    path = folder / "train-images-idx3-ubyte"
    images = path.read_bytes()
    path.write_bytes(idx(np.zeros((TRAIN, 32, 32))))
    with pytest.raises(ValueError, match=r"\(5, 28, 28\).*\(5, 32, 32\)"):
        load_data(folder)
    path.write_bytes(images)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.full(TEST, 10))))
    with pytest.raises(ValueError, match="0 to 9.*10"):
        load_data(folder)


def test_the_debian_files_come_first(folder, monkeypatch):
    monkeypatch.setattr(demo_data, "DEBIAN_FOLDER", str(folder))
    data = load_data()
    assert len(data.train_images) == TRAIN
    assert "Debian" in data.source


def test_keras_datasets_come_next(nothing_local, monkeypatch):
    train = np.full((4, 28, 28), 255, np.uint8), np.arange(4, dtype=np.uint8)
    test = np.zeros((2, 28, 28), np.uint8), np.arange(2, dtype=np.uint8)
    monkeypatch.setattr(demo_data.keras.datasets.fashion_mnist, "load_data", lambda: (train, test))
    data = load_data()
    assert "keras.datasets" in data.source
    assert data.train_images.min() == 1
    assert data.test_images.shape == (2, 28, 28, 1)


def test_digits_are_a_substitute_that_says_so(nothing_local, monkeypatch):
    monkeypatch.setattr(demo_data.keras.datasets.fashion_mnist, "load_data", no_download)
    data = load_data()
    assert data.is_substitute
    assert data.source.startswith("NOT Fashion-MNIST")
    assert data.train_images.shape == (1500, 28, 28, 1)
    assert data.test_images.shape == (297, 28, 28, 1)
    assert data.train_images.min() == 0 and data.train_images.max() == 1
    assert set(data.test_labels) == set(range(10))


def test_no_data_anywhere_says_what_to_do_and_what_was_tried(nothing_local, monkeypatch):
    monkeypatch.setattr(demo_data.keras.datasets.fashion_mnist, "load_data", no_download)
    monkeypatch.setattr(demo_data, "_load_digits", no_download, raising=True)
    with pytest.raises(RuntimeError, match="--data.*offline"):
        load_data()
