"""The compiled library is used where it fits, and what is used instead is said once."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import ops
from tfq_lowbit.ops import library


@pytest.fixture
def fresh(monkeypatch):
    """Forgets what was found, before and after."""
    library.compiled.cache_clear()
    yield monkeypatch
    library.compiled.cache_clear()


def install(fresh, folder, text):
    path = folder / library.LIBRARY
    path.write_bytes(text)
    fresh.setattr(library, "library_path", lambda name: str(folder / name))
    return path


def test_the_library_says_which_tensorflow_it_was_built_for(compiled):
    assert library.tensorflow_version(library.library_path(library.LIBRARY)) == tf.__version__
    assert ops.is_compiled()


def test_it_is_not_loaded_before_it_is_needed():
    code = (
        "import sys, tfq_lowbit.ops as ops\n"
        "maps = lambda: 'libtfq_ops' in open('/proc/self/maps').read()\n"
        "before = maps()\n"
        "print(before, maps() if ops.is_compiled() else None)\n"
    )
    output = run_python(code)
    assert output in ("False True", "False None")


@pytest.mark.parametrize(
    ("text", "version"),
    [(b"\x7fELF\0tfq_ops for TensorFlow 1.15.0\0", "1.15.0"), (b"\x7fELF\0", "unknown")],
)
def test_a_library_for_another_tensorflow_is_not_loaded(fresh, tmp_path, text, version):
    install(fresh, tmp_path, text)
    with pytest.warns(RuntimeWarning) as caught:
        words = ops.bitpack([1.0, -1.0])
    (warning,) = caught
    assert f"built for TensorFlow {version}, and this is TensorFlow {tf.__version__}" in str(
        warning.message
    )
    assert "make native" in str(warning.message)
    assert "plain TensorFlow: the same results" in str(warning.message)
    assert words.numpy().tolist() == [2]


def test_a_missing_library_is_said_once_and_the_results_are_the_same(fresh):
    def missing(name):
        raise FileNotFoundError(f"{name} is not built: `make native` builds it.")

    fresh.setattr(library, "library_path", missing)
    with pytest.warns(RuntimeWarning, match="libtfq_ops.so is not built: `make native`"):
        assert not ops.is_compiled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ops.bitpack([1.0, -1.0]).numpy().tolist() == [2]


def test_results_do_not_depend_on_the_number_of_threads(compiled):
    code = (
        "import numpy as np, tensorflow as tf\n"
        "tf.config.threading.set_intra_op_parallelism_threads({threads})\n"
        "from tfq_lowbit import ops\n"
        "generator = np.random.default_rng(0)\n"
        "x = generator.standard_normal((3, 30, 31, 100)).astype(np.float32)\n"
        "bits = generator.integers(0, 256, (33, -(-900 // 8)), np.uint8)\n"
        "bits[:, -1] &= 15\n"
        "output = ops.RealOutput(0.3, bias=0.1)\n"
        "y = ops.bconv2d(x, bits, output, 100, (3, 3), padding='SAME_ZERO').numpy()\n"
        "print(__import__('hashlib').sha256(y.tobytes()).hexdigest())\n"
    )
    one, four = (run_python(code.format(threads=threads)) for threads in (1, 4))
    assert one == four
    assert len(one) == 64


def run_python(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    return result.stdout.strip()


def test_the_raw_ops_check_what_they_are_given(compiled):
    zeros, nothing = np.zeros((1, 4, 4, 1), np.int32), np.zeros(0, np.float32)
    inputs = {
        "x": zeros,
        "input_thresholds": 0.0,
        "filter": np.zeros((2, 1), np.uint8),
        "first": np.ones(2, np.float32),
        "second": nothing,
        "lower": nothing,
        "upper": nothing,
        "sum_multiplier": nothing,
    }
    attributes = {
        "output_type": tf.float32,
        "channels_in": 8,
        "kernel_height": 1,
        "kernel_width": 1,
        "padding": 0,
    }
    fitting = inputs | attributes
    assert compiled.tfq_bconv2d(**fitting).shape == (1, 4, 4, 2)
    wrong = [
        ({"x": zeros[0]}, "rank 4|shape .batch, height"),
        ({"x": np.zeros((1, 4, 4, 2), np.int32)}, "last axis of x must be 1, not 2"),
        ({"x": np.zeros((1, 4, 4, 7), np.float32)}, "last axis of x must be 8, not 7"),
        (
            {"x": np.zeros((1, 4, 4, 8), np.float32), "input_thresholds": np.float32([1, 2])},
            "input_thresholds must be one, or one for each of the 8 channels, not 2",
        ),
        ({"filter": np.zeros((2, 2), np.uint8)}, "filter must have 2 bytes, not 4"),
        ({"filter": np.zeros((3, 2, 1), np.uint8)}, "filter must have the shape"),
        ({"first": np.ones(3, np.float32)}, "must have 2 values, not 3"),
        ({"first": nothing}, "must have 2 values, not 0"),
        ({"first": np.ones(2, np.int32)}, "first must be int32 thresholds for packed outputs"),
        ({"lower": np.ones(1, np.float32)}, "must have 2 values, not 1"),
        ({"padding": 3}, "padding must be 0 .VALID., 1 .SAME_ONE. or 2 .SAME_ZERO., not 3"),
        ({"planes": 5, "codes": True}, "TfqBconv2d: "),
        ({"planes": 2}, "TfqBconv2d: "),
        ({"groups": 3}, "TfqBconv2d: "),
        ({"stride_height": 0}, "TfqBconv2d|[Ss]tride"),
        ({"kernel_height": 5}, "TfqBconv2d"),
        ({"channels_in": -8}, "TfqBconv2d: "),
        ({"low": -300}, "within int8"),
    ]
    for change, message in wrong:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            compiled.tfq_bconv2d(**fitting | change)
