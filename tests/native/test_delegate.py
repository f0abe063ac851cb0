import pytest

import tfq_lowbit as tfq
from tfq_lowbit.native import delegate_path, load_delegate


def test_the_path_is_public_and_names_a_file():
    assert tfq.delegate_path() == delegate_path()
    with open(delegate_path(), "rb") as file:
        assert file.read(4) == b"\x7fELF"


def test_threads_and_kernel_are_handed_on():
    assert load_delegate(num_threads=2, kernel="portable") is not None
    with pytest.raises(ValueError, match="`threads` must be a number of 1 to 64, not '65'"):
        load_delegate(num_threads=65)
    with pytest.raises(ValueError, match="`kernel` must be one of .*portable.* not 'fast'"):
        load_delegate(kernel="fast")


def test_the_environment_may_name_the_kernel(monkeypatch):
    monkeypatch.setenv("TFQ_FORCE_KERNEL", "portable")
    assert load_delegate() is not None
    monkeypatch.setenv("TFQ_FORCE_KERNEL", "fast")
    with pytest.raises(ValueError, match="TFQ_FORCE_KERNEL must be one of .* not 'fast'"):
        load_delegate()
    assert load_delegate(kernel="portable") is not None
