"""Google's deprecated package over gRPC, which is asynchronous by itself, on asyncio."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # they share a process, which imports all of gRPC

LEAVING = ("waits", "silent", "never")
SCENARIOS = ("text", "refused", *LEAVING)


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """Return what the process tells of each scenario."""
    command = [sys.executable, "-m", "tests.sources._grpc_child", *SCENARIOS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    results: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return results


def test_an_answer_over_grpc_has_the_same_shape(told: dict[str, dict[str, Any]]) -> None:
    result = told["text"]
    assert result["text"] == "Hello"
    assert result["kinds"] == ["Start", "Text", "Text", "PartEnd", "Finish"]


def test_a_failure_over_grpc_is_told_and_then_raised(told: dict[str, dict[str, Any]]) -> None:
    result = told["refused"]
    assert result["kinds"] == ["Start", "Text", "PartEnd", "Error", "Finish"]
    assert result["status"] == 429


@pytest.mark.parametrize("when", LEAVING)
def test_leaving_ends_the_call_over_grpc(told: dict[str, dict[str, Any]], when: str) -> None:
    assert told[when]["left_after"] < 0.5
