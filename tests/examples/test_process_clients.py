"""The clients of `POST /process`, as their user runs them, against the demo on each framework."""

from __future__ import annotations

__all__ = ()

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from examples.demo import crawler_script
from examples.demo.content import FRAMEWORKS
from examples.demo.probe import Running

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"

NEEDS_CURL, NEEDS_NODE = pytest.mark.needs("curl"), pytest.mark.needs("node")
COMMANDS = [
    pytest.param(("sh", CLIENTS / "process_curl.sh"), id="curl", marks=NEEDS_CURL),
    pytest.param((sys.executable, CLIENTS / "process_requests.py"), id="requests"),
    pytest.param(("node", CLIENTS / "process_fetch.mjs"), id="fetch", marks=NEEDS_NODE),
]
OUTPUT = """\
Searching for 'slot online' in 3 domains
[1/3] domain-1.example: fetching
[1/3] domain-1.example: 7 links
[2/3] domain-2.example: fetching
[2/3] domain-2.example: slow, still waiting
[2/3] domain-2.example: 14 links
[3/3] domain-3.example: fetching
[3/3] domain-3.example: 21 links
Done: 42 links in 3 domains
"""

# Without it, a client in Python would print at once, whether it flushes or not.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}

pytestmark = pytest.mark.slow  # servers and clients in processes of their own


class Ran(NamedTuple):
    code: int
    output: str
    errors: str
    times: list[float]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    framework: str = request.param
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PROCESS_API_KEY", raising=False)
        with Running(framework) as server:
            server.wait_until_ready()
            yield server.url


def run(command: Sequence[str | Path], *arguments: str) -> Ran:
    with subprocess.Popen(
        [*command, *arguments],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout
        assert client.stderr
        lines = [(line, time.monotonic()) for line in client.stdout]
        errors = client.stderr.read()
    output = "".join(line for line, _ in lines)
    return Ran(client.returncode, output, errors, [at for _, at in lines])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_client_prints_each_line_when_the_crawler_does(
    command: Sequence[str | Path], url: str
) -> None:
    ran = run(command, url)
    assert (ran.code, ran.output, ran.errors) == (0, OUTPUT, "")
    # The crawler pauses six times; a busy machine may delay the first line, hardly by half of it.
    assert ran.times[-1] - ran.times[0] > 3 * crawler_script.PAUSE


@pytest.mark.parametrize("command", COMMANDS)
def test_a_client_with_a_wrong_key_says_that_it_was_refused(
    command: Sequence[str | Path], url: str
) -> None:
    ran = run(command, url, "wrong")
    assert ran.code != 0
    assert "401" in ran.errors
    assert "X-API-Key is missing or wrong" in ran.output + ran.errors
