"""Training under tf.distribute: replicas stay equal, and what was trained ships."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
RECIPES = ("lsq", "pact", "binary")
RESUMED_TOLERANCE = 1e-5  # sums over replicas come in any order
TIMEOUT = 600  # seconds


def start(kind, folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.distribution_run", kind, folder],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(output.splitlines()[-1])


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def check(found):
    assert found["replicas"] == 2
    for recipe in RECIPES:
        losses = found[recipe]["losses"]
        assert losses[-1] < losses[0]
        assert found[recipe]["parted"] == []
        assert any("ratio" in path or "alpha" in path for path in found[recipe]["sums"])


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    return finish(start("mirrored", tmp_path_factory.mktemp("mirrored")))


def test_two_replicas_train_the_same_step_sizes(mirrored):
    check(mirrored)


def test_a_run_that_was_broken_off_goes_on_to_the_same_model(mirrored):
    assert mirrored["resumed"] < RESUMED_TOLERANCE


def test_what_two_replicas_trained_ships_exactly(mirrored):
    assert mirrored["exact"]


def test_replicas_do_not_start_from_batches_of_their_own(mirrored):
    assert "has seen no data, and each of the 2 replicas" in mirrored["refusal"]
    assert "calibration_data" in mirrored["refusal"]


@pytest.mark.slow
def test_two_workers_train_the_same_model(tmp_path):
    addresses = free_addresses(2)
    processes = [
        start(
            "workers",
            tmp_path,
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]
    one, other = (finish(process) for process in processes)
    check(one)
    assert one == other
