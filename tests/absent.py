"""What a test does on a machine that lacks a tool: it is skipped, but not in CI."""

import os

import pytest


def skip_without(reason):
    """Skips the test, saying what is missing; where CI is set, it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have every tool: {reason}")
    pytest.skip(reason)
