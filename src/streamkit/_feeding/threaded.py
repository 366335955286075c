"""Iterate a synchronous iterable in its own thread, and hand its items over in batches.

It never uses a thread of a shared pool: forty open streams would take all of anyio's threads, and
every plain `def` endpoint of the application would wait for them.
"""

from __future__ import annotations

__all__ = ("Chunks", "Threaded")

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from threading import Condition, Thread
from typing import Any, BinaryIO, TypeVar

from anyio import Event, current_effective_deadline
from anyio.lowlevel import current_token

from .._items.format import Encoder
from .._loop import call_soon, shielded
from ..errors import CleanupTimeout, SourceError
from .batched import Batched

T = TypeVar("T")

# How far the thread may be ahead of its reader. Items other than text and bytes have no known
# size, so the number of items is bounded too.
MAX_ITEMS = 256
MAX_BYTES = 1 << 20

# 256 KiB: a prototype read a cached file through a thread 1.7 times as fast as with 64 KiB.
CHUNK_BYTES = 1 << 18


class Chunks(Iterator[bytes]):
    """Read a binary file in chunks, and close it at the end. Iterating a file would yield lines."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` may be a pipe: each read returns what is available, without filling a chunk."""
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.close = file.close

    def __next__(self) -> bytes:
        if chunk := self._read(CHUNK_BYTES):
            return chunk
        raise StopIteration


class Threaded(Batched[T]):
    """Iterate a synchronous iterable in its own thread.

    The iterable is iterated and closed in that thread, in a copy of the context of the task that
    started it. The thread waits while 256 items, or 1 MiB of text or bytes, have not been taken.
    """

    close_timeout = 5.0
    """How long the iterable may block while it is closed, in seconds. Then it is given up."""

    def __init__(self, items: Iterable[T]) -> None:
        """Do nothing until the first item is requested."""
        super().__init__()
        self._items = items
        self._thread: Thread | None = None
        self._room = Condition()
        self._encode: Callable[[T], bytes] | None = None
        self._ready: list[Any] = []
        self._bytes = 0
        self._wake: Event | None = None
        self._stopped = False
        self._given_up = False
        self._ended = False
        self._error: Exception | None = None

    async def encoded(
        self, encoder: Encoder[T]
    ) -> AsyncGenerator[tuple[int, Sequence[bytes]], None]:
        """Encode each item in the thread, and yield everything that is ready each time.

        Items are encoded in the thread because it runs ahead: by the time the event loop looks at
        an item, a generator may have reused the same dict or buffer. And bytes have a known size.
        """
        self._encode = encoder.one
        while pieces := await self._ready_now():
            yield len(pieces), pieces

    async def read(self) -> Sequence[T]:
        """Wait until something is ready, and return all of it."""
        return await self._ready_now()

    async def aclose(self) -> None:
        """Stop the thread after its current item, and wait until it has closed the iterable.

        Raises `CleanupTimeout` when the iterable blocks for longer than 5 s. The thread then ends
        by itself when the iterable returns; it does not keep the process alive.
        """
        with self._room:
            self._stopped = True
            self._room.notify()
        if self._thread is None:
            _close(self._items)
            return
        if self._given_up:
            return
        with shielded(self.close_timeout, until=current_effective_deadline()):
            while wake := self._wait_for_thread():
                await wake.wait()
            self._raise_error()
            return
        self._given_up = True
        raise CleanupTimeout(self.close_timeout)

    async def _ready_now(self) -> list[Any]:
        if self._thread is None:
            self._start()
        while True:
            with self._room:
                if self._ready:
                    ready, self._ready, self._bytes = self._ready, [], 0
                    self._room.notify()
                    return ready
                if self._ended or self._stopped:
                    break
                wake = self._wake = Event()
            await wake.wait()
        self._raise_error()
        return []

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _start(self) -> None:
        self._token = current_token()
        run = copy_context().run
        thread = Thread(target=run, args=(self._run,), name="streamkit-source", daemon=True)
        thread.start()
        self._thread = thread

    def _wait_for_thread(self) -> Event | None:
        with self._room:
            if self._ended:
                return None
            self._wake = Event()
            return self._wake

    # The methods below run in the thread.

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._iterate()
        except Exception as raised:  # noqa: BLE001 - it is raised in the task that reads
            error = raised
        except BaseException as raised:  # noqa: BLE001 - a sys.exit here must not stop the server
            error = SourceError("The source failed.")
            error.__cause__ = raised
        with self._room:
            self._error, self._ended = error, True
        self._notify()

    def _iterate(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put(item):
                    break
        finally:
            _close(iterator)
            if iterator is not self._items:
                _close(self._items)

    def _put(self, item: T) -> bool:
        ready = item if self._encode is None else self._encode(item)
        if ready == b"" and self._encode is not None:
            return not self._stopped  # there is nothing to send
        with self._room:
            while len(self._ready) >= MAX_ITEMS or self._bytes >= MAX_BYTES:
                if self._stopped:
                    return False
                self._room.wait()
            if self._stopped:
                return False
            self._ready.append(ready)
            if isinstance(ready, str | bytes | bytearray | memoryview):
                self._bytes += len(ready)
        if self._wake is not None:
            self._notify()
        return True

    def _notify(self) -> None:
        with self._room:
            wake, self._wake = self._wake, None
        if wake is not None:
            call_soon(self._token, wake.set)


def _close(items: object) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()
