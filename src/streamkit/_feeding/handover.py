"""`Handover`: one task iterates and encodes a source, another takes everything that is ready.

Rules here: only the feeding task touches the source: it opens, iterates and closes it. The error
comes after the items. Only `take()`, or `take_pieces()`, reports the end. Code that starts `feed()`
must call `leave()` on every way out.
"""

from __future__ import annotations

__all__ = ("Handover",)

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from time import monotonic
from typing import TypeVar

from anyio import Event

from .._items.format import Encoder
from .._loop import Turn
from .batched import Batched
from .closing import Feeding, close
from .leaving import CLOSE_TIMEOUT, Leaving
from .source import Source, enter_source

T = TypeVar("T")

# How much can wait here for a client that stops reading: about 650 events of 100 bytes. The
# buffers of servers and sockets are of the same order; a larger batch would only wait there.
MAX_BYTES = 1 << 16
MAX_ITEMS = 1000


class Handover:
    """Items that one task made and another has not taken yet; bounded in bytes, items and time."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        max_items: int = MAX_ITEMS,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        """Create an empty handover; call this inside the event loop."""
        self.count = 0
        """How many items were taken."""
        self.opened = Event()
        """Set when the source was entered, or when entering it failed."""
        self.iterated = False
        """Whether the source was entered."""
        self.ended = False
        """Whether the source ended or failed, and was closed."""
        self.stopped = False
        """Whether `stop()` was called."""
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._ready: list[bytes] = []
        self._leaving = Leaving(close_timeout=close_timeout)
        self._wake: Event | None = None
        self._room: Event | None = None

    async def feed(self, source: Source[T], encoder: Encoder[T]) -> None:
        """Open, iterate and close the source in this task. `take()` raises its error, if any."""
        try:
            await self._leaving.run(lambda feeding: self._iterate(source, encoder, feeding))
        finally:
            self.ended = True
            self.opened.set()
            self._notify()

    async def take(self) -> bytes:
        """Wait until something is ready, and return all of it; b"" means the end.

        If the source failed, its error is raised after the items. Cancelling a call loses nothing.
        """
        pieces = await self.take_pieces()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def take_pieces(self) -> list[bytes]:
        """Return the same as `take`, as a list of pieces; an empty list means the end."""
        ready = self._ready
        if not ready and not self.ended and not self.stopped:
            self._wake = Event()
            await self._wake.wait()
        self.count += len(ready)
        pieces = ready[:]
        ready.clear()
        if self._room is not None:
            self._room.set()
            self._room = None
        if not pieces and self.ended and self._leaving.error is not None:
            raise self._leaving.error
        return pieces

    @property
    def waiting(self) -> int:
        """How many pieces can be taken without waiting."""
        return len(self._ready)

    @property
    def full(self) -> bool:
        """Return whether the source waits for room."""
        return self._room is not None

    @property
    def left(self) -> bool:
        """Return whether `leave()` was called: what comes after that is not a regular end."""
        return self._leaving.left

    def leave(self) -> None:
        """Stop taking: the source is cancelled once, then closed."""
        self._leaving.leave()

    def stop(self) -> None:
        """Make `take()` return b"" once nothing is ready, even though the source has not ended."""
        self.stopped = True
        self._notify()

    async def _iterate(self, source: Source[T], encoder: Encoder[T], feeding: Feeding) -> None:
        if self.left:
            await close(source)
            return
        async with enter_source(source, feeding) as things:
            if isinstance(things, Batched):
                await things.open()
            self.iterated = True
            self.opened.set()
            items = aiter(things)
            if isinstance(items, Batched):
                await self._gather(self._pieces(items.encoded(encoder)), bytes)
            else:
                await self._gather(items, encoder.one)

    async def _gather(self, things: AsyncIterator[T], encode: Callable[[T], bytes]) -> None:
        """Encode in this task, so that bytes bound the buffer and a refused item ends the stream.

        Every event passes through this loop: names are local, and checks are made per batch
        instead of per item where possible.
        """
        ready, max_bytes, max_items = self._ready, self._max_bytes, self._max_items
        size, turn = 0, Turn()
        try:
            async for thing in things:
                if chunk := encode(thing):
                    ready.append(chunk)
                    waiting = len(ready)
                    if waiting == 1:  # everything was taken
                        size = len(chunk)
                        if self._wake is not None:
                            self._notify()
                    else:
                        size += len(chunk)
                    if size >= max_bytes or waiting >= max_items:
                        self._room = room = Event()
                        await room.wait()
                # This check costs a tenth of an item. If it ran less often, a few slow items in a
                # row would block all other tasks.
                if monotonic() >= turn.until:
                    await turn.give_way()
                # The source or the checkpoint may have swallowed the only cancellation.
                if self.left:
                    return
        finally:
            self._leaving.clean_up()
            await close(things)

    async def _pieces(
        self, batches: AsyncIterator[tuple[int, Iterable[bytes]]]
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for count, pieces in batches:
                joined = count
                for piece in pieces:
                    joined -= 1
                    yield piece
                self.count += joined  # `take()` counts a joined batch as one
        finally:
            await close(batches)

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None
