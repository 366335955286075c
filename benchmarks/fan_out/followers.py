"""Followers in one process: raw sockets, and nothing but reads while the clock runs.

Ten of them keep what they read, with the times; it is checked event by event when the clock has
stopped. Of the others only the end is kept: it holds the number of the last event that came. To
look at every byte takes the client longer than it takes the server to send it.

Rule: an HTTP chunk holds whole events, as all servers here write them; the end is found by that.
"""

from __future__ import annotations

__all__ = ("BadResponse", "Follower", "connect", "cut", "read_all")

import re
import select
import socket
from time import perf_counter_ns
from typing import TYPE_CHECKING

from benchmarks.fan_out.items import LAST
from benchmarks.one_connection.client import TIMEOUT, BadResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEEPING = 10
END = 1024  # bytes, of which the last whole event takes 250 at most
BUFFER = 1 << 20

_REQUEST = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
_NUMBER = re.compile(rb"n=(\d+);at=[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n")
_LAST = re.compile(LAST + rb"[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n")


class Follower:
    """One connection, after its head; `kept` is None unless it is one of those that keep."""

    __slots__ = ("connection", "end", "kept", "size")

    def __init__(self, connection: socket.socket, *, keeping: bool) -> None:
        self.connection = connection
        self.end = b""
        self.size = 0
        self.kept: list[tuple[int, bytes]] | None = [] if keeping else None

    def add(self, now: int, chunk: memoryview) -> None:
        self.size += len(chunk)
        self.end = (self.end + bytes(chunk[-END:]))[-END:]
        if self.kept is not None:
            self.kept.append((now, bytes(chunk)))

    def has_all(self) -> bool:
        return LAST in self.end and _LAST.search(self.end) is not None

    def events(self) -> int:
        """Count what came, by the number of the last whole event."""
        numbers = _NUMBER.findall(self.end)
        return int(numbers[-1]) + 1 if numbers else 0


def connect(port: int, count: int) -> list[Follower]:
    """Connect so many, each with its head read; those that keep are spread evenly."""
    address = ("127.0.0.1", port)
    connections = []
    for _ in range(count):
        connection = socket.create_connection(address, timeout=TIMEOUT)
        connection.sendall(_REQUEST)
        connections.append(connection)
    keep_every = max(1, count // KEEPING)
    return [
        _after_head(connection, keeping=index % keep_every == 0)
        for index, connection in enumerate(connections)
    ]


def _after_head(connection: socket.socket, *, keeping: bool) -> Follower:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (chunk := connection.recv(4096)):
            raise BadResponse(f"ends within its head: {received!r}")
        received += chunk
    head, _, rest = received.partition(b"\r\n\r\n")
    if b" 200 " not in head or b"transfer-encoding: chunked" not in head.lower():
        raise BadResponse(f"not a chunked 200: {head!r}")
    connection.settimeout(0)
    follower = Follower(connection, keeping=keeping)
    follower.add(perf_counter_ns(), memoryview(rest))
    return follower


def read_all(followers: Sequence[Follower], until: int) -> int:
    """Read until all have the last event, or until this time; return when the last byte came."""
    by_fd = {follower.connection.fileno(): follower for follower in followers}
    buffer = bytearray(BUFFER)
    room = memoryview(buffer)
    now = perf_counter_ns()
    with select.epoll() as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        while by_fd and (left := until - perf_counter_ns()) > 0:
            for fd, _ in poll.poll(left / 1e9):
                follower = by_fd[fd]
                size = follower.connection.recv_into(room)
                now = perf_counter_ns()
                if not size:
                    raise BadResponse(f"the connection ends: {follower.end[-300:]!r}")
                follower.add(now, room[:size])
                if follower.has_all():
                    poll.unregister(fd)
                    del by_fd[fd]
    return now


def cut(kept: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Undo the chunked framing, and yield each whole event with the time its last byte came."""
    received = b"".join([chunk for _, chunk in kept])
    arrivals = iter(kept)
    now, reached = 0, 0
    start, rest = 0, b""
    while (line := received.find(b"\r\n", start)) >= 0:
        first = line + 2
        end = first + int(received[start:line], 16)
        if end > len(received):
            return
        while reached < end:
            now, chunk = next(arrivals)
            reached += len(chunk)
        *events, rest = (rest + received[first:end].replace(b"\r\n", b"\n")).split(b"\n\n")
        for event in events:
            yield now, event
        start = end + 2
