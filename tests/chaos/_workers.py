"""The workers of a test: started, stopped, killed by their id; and their file, as others see it."""

from __future__ import annotations

__all__ = ("LONG", "SWEEP", "WAIT", "Pair", "Worker", "eventually", "file_of", "pause")

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[2]

LONG = os.environ.get("STREAMKIT_CHAOS") == "long"

# How often a worker looks for streams whose producer vanished.
SWEEP = 0.25

# When a test that waits this long for what must come has failed.
WAIT = 15.0

# The file may have so many pages of 4 KiB, so that it can be filled up in a moment.
PAGES = 6_000


class Worker:
    """One server process. It is started when it is needed, and again when it was killed."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.port = 0
        self._path = directory
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it if it does not run; `wait_until_ready` has to follow."""
        if self._process is not None:
            return
        environment = {
            **os.environ,
            "CHAOS_FILE": str(self._path / "streams.db"),
            "CHAOS_SWEEP": str(SWEEP),
            "CHAOS_PAGES": str(PAGES),
        }
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.app"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        if not self.port:
            line = self.process.stdout.readline()
            assert line, f"worker {self.name} did not start: {self.log()}"
            self.port = int(line)
            self.ask("GET", "/list")  # the first request waits for the application

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, f"worker {self.name} does not run"
        return self._process

    def log(self) -> str:
        """Return all that it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def kill(self) -> None:
        """End it as `kill -9` does."""
        process, self._process, self.port = self.process, None, 0
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def stop(self) -> None:
        """Stop it where it is, but not while it keeps others from writing."""
        self.freeze()
        while not is_writable(self._path):
            self.go_on()
            self.freeze()

    def freeze(self) -> None:
        """Stop it where it is."""
        self.process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: "\nState:\tT" in self._status()), "it does not stop"

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Ask it to stop, and return how it ended."""
        self.go_on()
        self.process.terminate()
        try:
            return self.process.wait(WAIT)
        finally:
            self.kill()

    def resident_bytes(self) -> int:
        line = next(each for each in self._status().splitlines() if each.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def ask(self, method: str, path: str, **query: object) -> tuple[int, Any]:
        """Send a request; return the status and what it answers."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=WAIT)) as connection:
            connection.request(method, f"{path}?{urlencode(query)}")
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body else None

    def begin(self, stream: str, **query: object) -> None:
        """Start a numbered job."""
        status, answer = self.ask("POST", f"/start/{stream}", **query)
        assert status == 201, answer

    def status(self, stream: str) -> dict[str, Any]:
        status, answer = self.ask("GET", f"/status/{stream}")
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    def wait_for(self, stream: str, tail: int) -> None:
        """Wait until a stream has so many events."""
        assert eventually(lambda: self.status(stream)["tail"] >= tail), self.status(stream)

    def is_idle(self) -> bool:
        """Tell whether nobody follows here and nothing is written."""
        return self.statistics() == [0, 0, 0]

    def statistics(self) -> list[int]:
        """Return how many follow, are written, and are read here."""
        found: list[int] = self.ask("GET", "/statistics")[1]
        return found

    def _status(self) -> str:
        return Path(f"/proc/{self.process.pid}/status").read_text()


class Pair:
    """Two workers with one file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "streams.db"
        self.one = Worker("one", directory)
        self.other = Worker("other", directory)

    @property
    def both(self) -> tuple[Worker, Worker]:
        return self.one, self.other

    def start(self) -> None:
        """Have both running."""
        for worker in self.both:
            worker.start()
        for worker in self.both:
            worker.wait_until_ready()

    def tidy(self) -> None:
        """Remove all streams, and see that nothing of them is left."""
        for worker in self.both:
            if worker.port:
                worker.go_on()
        alive = [worker for worker in self.both if worker.port]
        for worker in alive[:1]:
            for name in worker.ask("GET", "/list")[1]:
                worker.ask("POST", f"/delete/{name}")
        for worker in alive:
            assert eventually(worker.is_idle), worker.statistics()


def eventually(holds: Callable[[], bool], within: float = WAIT) -> bool:
    """Poll for what another process does."""
    deadline = monotonic() + within
    while not holds():
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True


def pause(seconds: float) -> None:
    """Let a time pass: a lease, or the moment of the next fault."""
    until = monotonic() + seconds
    assert eventually(lambda: monotonic() >= until, seconds + WAIT)


@contextmanager
def file_of(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as another process does."""
    with closing(sqlite3.connect(path, timeout=WAIT, isolation_level=None)) as sql:
        yield sql


def is_writable(directory: Path) -> bool:
    path = directory / "streams.db"
    with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as sql:
        try:
            sql.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        sql.execute("ROLLBACK")
        return True
