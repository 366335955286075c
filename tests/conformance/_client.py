"""A client that sees every byte, and can leave without a goodbye."""

from __future__ import annotations

__all__ = ("SOON", "WAIT", "WAYS", "Exchange", "Server", "eventually", "open_files")

import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from time import monotonic, sleep

import pytest

from ._log import Log
from ._loop import Loop
from ._run import Run, new_run
from ._servers import Variant

# When a test that waits this long for what must come has failed.
WAIT = 10.0

# Within which a source is closed when its client left: it takes 0.05 s on an idle machine.
SOON = 1.5


class Exchange:
    """A request that was sent, and what comes back, on a connection of its own."""

    def __init__(self, connection: HTTPConnection, run: Run) -> None:
        self.run = run
        """What its source does, and notes."""
        self.body = b""
        """What was read of the body so far."""
        self.complete = False
        """Whether the body was read to an end that says so."""
        self.connection = connection
        self._socket: socket.socket = connection.sock

    @cached_property
    def response(self) -> HTTPResponse:
        return self.connection.getresponse()

    @property
    def status(self) -> int:
        return self.response.status

    def header(self, name: str) -> list[str]:
        """Return all values of one header."""
        return self.response.msg.get_all(name, [])

    def read_until(self, mark: bytes) -> bytes:
        """Return what came of the body, as soon as it contains `mark`."""
        while mark not in self.body:
            assert self.read_some(), f"{mark!r} never came, but {self.body!r}"
        return self.body

    def read_some(self) -> bytes:
        """Return what comes next of the body; b"" is its end."""
        chunk = self.response.read1()
        self.body += chunk
        return chunk

    def read_all(self) -> bytes:
        """Return the whole body, cut or complete."""
        try:
            while self.read_some():
                pass
            self.complete = True
        except (IncompleteRead, ConnectionResetError):
            pass
        self.response.close()
        return self.body

    def leave(self) -> None:
        """Close the connection, like a browser whose tab is closed."""
        if "response" in self.__dict__:
            self.response.close()
        self.connection.close()
        self._socket.close()

    def reset(self) -> None:
        """Tear the connection down, like a process that is killed with data unread."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()


# The ways to leave without a goodbye.
WAYS = pytest.mark.parametrize(
    "leave",
    [pytest.param(Exchange.leave, id="closed"), pytest.param(Exchange.reset, id="reset")],
)


class Server:
    """One running server, as one test sees it."""

    def __init__(self, variant: Variant, port: int, log: Log, loop: Loop) -> None:
        self.variant = variant
        self.log = log
        self.loop = loop
        self._port = port
        self._exchanges: list[Exchange] = []

    def get(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        after: Exchange | None = None,
        run: Run | None = None,
    ) -> Exchange:
        """Send a request, on a new connection or on that of an exchange that is complete."""
        connection = after.connection if after else self._connect()
        run = run or new_run()
        connection.request(method, path, body, {"run": run.id, **(headers or {})})
        exchange = Exchange(connection, run)
        self._exchanges.append(exchange)
        return exchange

    def close(self) -> None:
        """Leave all connections, and check what the test's requests left behind."""
        for exchange in self._exchanges:
            exchange.leave()
        for exchange in self._exchanges:
            run = exchange.run
            assert run.over.wait(WAIT), "the application is still busy with a request"
            assert run.opened.is_set() == run.closed.is_set(), "a source was left open"

    def _connect(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=WAIT)
        connection.connect()
        return connection


def eventually(holds: Callable[[], bool], within: float = WAIT) -> bool:
    """Poll for what nobody can signal, such as the kernel's tables."""
    deadline = monotonic() + within
    while not holds():
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True


def open_files() -> set[str]:
    """Return what each descriptor of this process stands for, such as "socket:[4711]"."""
    links = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile, as the listing's own is
            links.add(os.readlink(f"/proc/self/fd/{number}"))
    return links
