"""A follower that behaves like `EventSource`, over a bare socket, and leaves where it likes."""

from __future__ import annotations

__all__ = ("Follower", "leave_abruptly", "request", "status_of")

import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from threading import Event, Thread

from ._history import LAST, Sight, read_block
from ._workers import WAIT, Worker

# Between two connections; a browser waits for about 2 s.
PAUSE = 0.02


class Follower(Thread):
    """Follow a stream over the workers in turn until its end, in a thread.

    `cut` gives the number of bytes of the next connection after which it is torn down; None lets
    it be. What was not followed by a blank line was not seen, and is asked for again.
    """

    def __init__(
        self,
        stream: str,
        workers: Sequence[Worker],
        *,
        cut: Callable[[], int | None] = lambda: None,
        until: int = 0,
        back: Follower | None = None,
        stalled: Event | None = None,
    ) -> None:
        """`until` ends it at the event of that number; `back` goes on where another one left.

        Until `stalled` is set, it takes nothing after its first events, and stays connected.
        """
        super().__init__(daemon=True)
        self.sight: Sight = Sight() if back is None else back.sight
        self.cursor: str = "" if back is None else back.cursor
        self._stream, self._workers, self._cut, self._until = stream, workers, cut, until
        self._stopped, self._stalled = Event(), stalled
        self._failure: BaseException | None = None
        self.start()

    def done(self) -> Sight:
        """Wait for the end, and return what was seen."""
        self.join(WAIT)
        if self._failure is not None:
            raise self._failure
        assert not self.is_alive(), f"no end came, only {self.sight.blocks[-3:]}"
        return self.sight

    def leave(self) -> Sight:
        """Have it leave where it is, and return what was seen."""
        self._stopped.set()
        return self.done()

    def run(self) -> None:
        try:
            while not self._stopped.is_set() and not self._is_over():
                self._follow(self._workers[self.sight.connections % len(self._workers)])
                self._stopped.wait(PAUSE)
        except BaseException as error:  # it is raised where the test waits for the end
            self._failure = error

    def _is_over(self) -> bool:
        seen_all = self.sight.answered[-1:] == [204]
        return seen_all or bool(self._until and self.sight.seq >= self._until)

    def _follow(self, worker: Worker) -> None:
        """Read one answer: to its end, to the cut, or until the worker dies."""
        self.sight.connections += 1
        while self.sight.blocks and not self.sight.blocks[-1].id:
            self.sight.blocks.pop()  # a gap or a reset that nothing came after is told again
        rest = b""
        try:
            with closing(request(worker, self._stream, self.cursor)) as connection:
                connection.settimeout(0.05)
                for piece in self._body(connection):
                    *blocks, rest = (rest + piece).split(b"\n\n")
                    for raw in blocks:
                        self._see(raw)
                    if self._is_over():
                        leave_abruptly(connection)
                        return
        except ConnectionError:
            pass  # the worker died, or was about to be started

    def _body(self, connection: socket.socket) -> Iterator[bytes]:
        received = self._received(connection, self._cut())
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := next(received, b"")):
                return
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        if (status := int(head.split(None, 2)[1])) != 200:
            self.sight.answered.append(status)
            return
        assert b"transfer-encoding: chunked" in head.lower()
        yield from unchunked(rest, received)

    def _received(self, connection: socket.socket, cut: int | None) -> Iterator[bytes]:
        while not self._stopped.is_set() and cut != 0:
            if self._stalled is not None and self.sight.blocks:
                self._stalled.wait(WAIT)
            try:
                piece = connection.recv(min(cut or 65_536, 65_536))
            except TimeoutError:
                continue
            if not piece:
                return
            cut = None if cut is None else cut - len(piece)
            yield piece
        leave_abruptly(connection)

    def _see(self, raw: bytes) -> None:
        block = read_block(raw)
        if block is None:
            return
        self.sight.blocks.append(block)
        self.cursor = block.id or self.cursor
        assert block.type not in LAST or block.id, "an end without an id: it would run again"


def unchunked(rest: bytes, received: Iterator[bytes]) -> Iterator[bytes]:
    """Take the frames of HTTP off, of bytes that are cut anywhere."""
    while True:
        while b"\r\n" not in rest:
            if not (piece := next(received, b"")):
                return
            rest += piece
        size, _, rest = rest.partition(b"\r\n")
        missing = int(size, 16) + 2
        while len(rest) < missing:
            if not (piece := next(received, b"")):
                # What came of a chunk was received, though its end was not.
                yield rest[: missing - 2]
                return
            rest += piece
        if missing == 2:
            return
        yield rest[: missing - 2]
        rest = rest[missing:]


def request(worker: Worker, stream: str, cursor: str, query: str = "") -> socket.socket:
    """Ask for a stream from a cursor on."""
    if not worker.port:
        raise ConnectionRefusedError
    connection = socket.create_connection(("127.0.0.1", worker.port), timeout=WAIT)
    after = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
    wish = f"GET /follow/{stream}{query} HTTP/1.1\r\nHost: test\r\n{after}\r\n"
    connection.sendall(wish.encode())
    return connection


def status_of(connection: socket.socket) -> int:
    """Return the status of the answer, and leave."""
    with closing(connection):
        head = b""
        while b"\r\n" not in head:
            piece = connection.recv(4096)
            assert piece, "no answer came"
            head += piece
    return int(head.split(None, 2)[1])


def leave_abruptly(connection: socket.socket) -> None:
    """Tear it down, like a process that is killed with data unread."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
