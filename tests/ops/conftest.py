"""Every operator is tested on compiled kernels and in plain TensorFlow."""

import pytest

from tests.absent import skip_without
from tfq_lowbit.ops import library


@pytest.fixture(params=["compiled", "plain"])
def kernels(request, monkeypatch):
    """Chooses what the operators run on."""
    if request.param == "plain":
        monkeypatch.setattr(library, "compiled", lambda: None)
    else:
        require_compiled()
    return request.param


@pytest.fixture
def compiled():
    """The module of compiled ops."""
    require_compiled()
    return library.compiled()


def require_compiled():
    reason = library.why_not()
    if reason is not None:
        skip_without(reason)
