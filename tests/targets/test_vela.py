"""Vela on files: what it compiles, and what it says of those that it cannot."""

import pytest

import tfq_lowbit as tfq
from tests.absent import skip_without
from tests.targets.test_check import CONV, IMAGE, conv, one_operator, same, tensor, weights
from tfq_lowbit.targets import vela


@pytest.fixture(autouse=True)
def needs_vela():
    if not vela.has_vela():
        skip_without("Vela: pip install ethos-u-vela")


def test_a_convolution_becomes_one_operator_of_the_npu():
    result = tfq.compile_with_vela(conv())
    assert result.operators == ("ethos-u",) and result.is_on_npu
    assert result.accelerator == "ethos-u55-128"
    assert result.original_weight_bytes >= 24 and result.encoded_weight_bytes > 0
    assert result.cycles > 0 and result.content[4:8] == b"TFL3"


def test_another_accelerator_may_be_asked_for():
    assert tfq.compile_with_vela(conv(), "ethos-u85-256").is_on_npu


def test_what_stays_on_the_cpu_is_named():
    content = same("FLOOR_MOD", tensor(IMAGE), tensor(IMAGE))
    assert tfq.compile_with_vela(content).operators == ("FLOOR_MOD",)
    statement, (finding,) = vela.find_vela_failure(content)
    assert "FLOOR_MOD" in finding.found and "Vela was run" in statement


def test_a_crash_is_an_error_with_its_signal():
    inputs = [tensor(IMAGE), weights(6, 1, 1, 4, type="INT4")]
    content = one_operator("FULLY_CONNECTED", inputs, [tensor((64, 6))], CONV)
    with pytest.raises(RuntimeError, match="Vela failed"):
        tfq.compile_with_vela(content)


def test_check_runs_it_on_a_file_that_breaks_no_rule():
    report = tfq.check(conv(), target="ethos-u")
    assert report.is_clean and "bytes of weights in" in report.statement
    assert "Vela was run" not in tfq.check(conv(), target="ethos-u", run_tools=False).statement
    broken = tfq.check(conv(weights(6, 1, 1, 4, type="INT4")), target="ethos-u")
    assert not broken.is_clean and "Vela was run" not in broken.statement


def test_without_vela_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setattr(vela, "has_vela", lambda: False)
    with pytest.raises(ImportError, match=r"tfq_lowbit\[ethos-u\]"):
        tfq.compile_with_vela(conv())
    report = tfq.check(conv(), target="ethos-u")
    assert report.is_clean and "was not run: pip install" in report.statement
