"""Google's deprecated package over gRPC, which is asynchronous by itself, on asyncio."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each starts a process, which imports all of gRPC


def public_words(scenario: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.sources._grpc_child", scenario]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_an_answer_over_grpc_has_the_same_shape() -> None:
    result = public_words("text")
    assert result["text"] == "Hello"
    assert result["kinds"] == ["Start", "Text", "Text", "PartEnd", "Finish"]


def test_a_failure_over_grpc_is_told_and_then_raised() -> None:
    result = public_words("refused")
    assert result["kinds"] == ["Start", "Text", "PartEnd", "Error", "Finish"]
    assert result["status"] == 429


@pytest.mark.parametrize("when", ["waits", "silent", "never"])
def test_leaving_ends_the_call_over_grpc(when: str) -> None:
    assert public_words(when)["left_after"] < 0.5
