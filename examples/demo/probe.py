"""The demo as a process of its own, and its answers as they arrive.

Rule: only the standard library, nothing of streamkit; a client has none of it either.
"""

from __future__ import annotations

__all__ = ("Answer", "Frame", "Mismatch", "Running")

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Self

# Most of the start is importing the frameworks; three at once on a slow machine.
START_TIMEOUT = 20.0
SILENCE_TIMEOUT = 5.0
ANSWER_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0
SETTLE_TIME = 0.2  # a server may log an error just after it has answered

# A run then takes a second and a half. People get seven times as long.
PAUSE = "0.1"

ROOT = Path(__file__).parents[2]
# A fresh machine has not the first, and the servers of a check shall not share the second.
NOT_FOR_IT = ("PYTHONUNBUFFERED", "STREAMKIT_DEMO_DB")

GREETING = re.compile(rb"http://127\.0\.0\.1:(\d+)/ .*/docs [^\n]*\n", re.DOTALL)


class Mismatch(Exception):
    """What came is not what should come."""


@dataclass(frozen=True)
class Frame:
    """One event of an event stream, and when it came: seconds after the request."""

    at: float
    event: str
    data: str
    id: str


class Running:
    """The demo on one framework. Whoever leaves the block has ended it, by its own pid."""

    def __init__(self, framework: str, **environment: str) -> None:
        self.framework = framework
        self._environment = {"STREAMKIT_DEMO_PAUSE": PAUSE} | environment
        self._said = b""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "examples.demo", "--framework", self.framework]
        kept = {k: v for k, v in os.environ.items() if k not in NOT_FOR_IT}
        # Its temporary files: whatever way it ends, nothing of them is left.
        self._folder = TemporaryDirectory()
        environment = kept | {"TMPDIR": self._folder.name} | self._environment
        self._process = subprocess.Popen(  # noqa: S603 - our own demo
            [*command, "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._folder, self._process:
            self.kill()

    @property
    def files(self) -> list[str]:
        """What it has in its folder for temporary files."""
        return os.listdir(self._folder.name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def wait_until_ready(self) -> None:
        deadline = monotonic() + START_TIMEOUT
        while not (greeting := GREETING.search(self._said)):
            if not self._listen(deadline - monotonic()):
                raise Mismatch(f"it did not print its endpoints, but {self._said.decode()!r}")
        self._port = int(greeting[1])
        self._said = self._said[greeting.end() :]

    def more_said(self) -> str:
        """Return what the server printed after its endpoints; it should be nothing."""
        while self._listen(SETTLE_TIME):
            pass
        return self._said.decode(errors="replace")

    def kill(self) -> None:
        """End it as a crash does, without a farewell."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT)

    def stop(self) -> float:
        """Press Ctrl-C and return how long the server took to exit."""
        pressed = monotonic()
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Mismatch(f"it still runs {STOP_TIMEOUT:g} s after SIGINT") from None
        if status:
            raise Mismatch(f"its exit code after SIGINT is {status}, not 0")
        return monotonic() - pressed

    @contextmanager
    def answer(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Iterator[Answer]:
        """Send a request; leaving the block drops the connection, wherever the answer is."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=SILENCE_TIMEOUT)
        sent = monotonic()
        try:
            connection.request(method, path, body, headers or {})
            with connection.getresponse() as response:
                yield Answer(response, sent)
        finally:
            connection.close()

    def _listen(self, seconds: float) -> bool:
        assert self._process.stdout  # noqa: S101 - it is a pipe
        if not select([self._process.stdout], [], [], max(seconds, 0))[0]:
            return False
        data = self._process.stdout.read(65536)
        self._said += data
        return bool(data)


class Answer:
    """One response: its head, and its body in the parts that arrive. A cut body raises."""

    def __init__(self, response: HTTPResponse, sent: float) -> None:
        self.status = response.status
        self.headers = response.headers
        self.at = monotonic() - sent
        self._response = response
        self._sent = sent

    def chunks(self) -> Iterator[tuple[float, bytes]]:
        while chunk := self._response.read1():
            at = monotonic() - self._sent
            if at > ANSWER_TIMEOUT:
                raise Mismatch(f"no end after {ANSWER_TIMEOUT:g} s")
            yield at, chunk

    def text(self) -> str:
        return b"".join(chunk for _, chunk in self.chunks()).decode()

    def lines(self) -> Iterator[tuple[float, str]]:
        rest = b""
        for at, chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield at, line.decode()
        if rest:
            raise Mismatch(f"the last line is cut: {rest!r}")

    def frames(self) -> Iterator[Frame]:
        fields: dict[str, str] = {}
        for at, line in self.lines():
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield Frame(at, fields.get("event", ""), fields["data"], fields.get("id", ""))
                fields = {}
        if fields:
            raise Mismatch(f"the last frame is cut: {fields}")
