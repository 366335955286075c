"""The demo, as its user starts it: on a fresh machine that does not unbuffer Python's output."""

from __future__ import annotations

__all__ = ()

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


@pytest.mark.slow  # three servers, and streams that take their time on purpose
def test_every_endpoint_of_the_demo_answers_on_every_framework() -> None:
    done = run_demo("--check")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.endswith("\ncheck: 3 frameworks, 72 endpoints, all fine\n")


@pytest.mark.slow  # starts Python
def test_the_demo_refuses_a_framework_that_it_does_not_have() -> None:
    done = run_demo("--framework", "flask")
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid choice: 'flask'" in done.stderr
