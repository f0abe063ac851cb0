"""What every test stands on: the TensorFlow backend, a share of the cores, seeds, no network."""

import os
import socket

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
THREADS = str(max(1, (os.cpu_count() or 1) // WORKERS))

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Set, not defaulted: a worker inherits what pytest's first process, alone when it ran this, chose.
os.environ["TF_NUM_INTRAOP_THREADS"] = THREADS
os.environ["TF_NUM_INTEROP_THREADS"] = THREADS
os.environ["OMP_NUM_THREADS"] = THREADS

import keras  # noqa: E402  (after the environment it reads)
import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def fixed_seeds():
    keras.utils.set_random_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    """Wider fixtures are set up before `fixed_seeds`, in an order that the chosen tests decide."""
    if fixturedef.scope != "function":
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Looks like a machine without a network, at once, to Python code."""

    def refuse(*args, **kwargs):
        raise OSError("tests must not use the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture
def mixed_float16():
    """Runs the test under Keras's policy of half precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)
