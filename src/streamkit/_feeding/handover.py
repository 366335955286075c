"""`Handover`: one task iterates a source and encodes, another takes all that is ready.

Rules here: the feeding task opens, iterates and closes the source; nobody else touches it. The
error comes after the items. Only `take()` says what is the end. Whoever starts `feed()` calls
`leave()` on every way out.
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

# What a client that stops reading can hold here: about 650 events of 100 bytes. The buffers of
# servers and sockets are of the same order; a larger batch would only wait there.
MAX_BYTES = 1 << 16
MAX_ITEMS = 1000


class Handover:
    """What one task made and another has not yet taken; bounded in bytes, items and time."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        max_items: int = MAX_ITEMS,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        """Make an empty one; call this inside the event loop."""
        self.count = 0
        """How many items were taken."""
        self.opened = Event()
        """Set when the source was entered, or could not be."""
        self.iterated = False
        """Whether it was entered."""
        self.ended = False
        """Whether the source has ended or failed, and was closed."""
        self.stopped = False
        """Whether `stop()` was called."""
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._ready: list[bytes] = []
        self._leaving = Leaving(close_timeout=close_timeout)
        self._wake: Event | None = None
        self._room: Event | None = None

    async def feed(self, source: Source[T], encoder: Encoder[T]) -> None:
        """Open, iterate and close the source in this task; its outcome goes to the taker."""
        try:
            await self._leaving.run(lambda feeding: self._iterate(source, encoder, feeding))
        finally:
            self.ended = True
            self.opened.set()
            self._notify()

    async def take(self) -> bytes:
        """Return all that is ready, after waiting for something; b"" is the end.

        After the items comes the error of the source, if it failed. Cancelling a call loses
        nothing.
        """
        pieces = await self.take_pieces()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def take_pieces(self) -> list[bytes]:
        """Return what `take` returns, piece by piece; nothing is the end."""
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
        """How many pieces may be taken without a wait."""
        return len(self._ready)

    @property
    def full(self) -> bool:
        """Tell whether the source waits for room."""
        return self._room is not None

    @property
    def left(self) -> bool:
        """Tell whether `leave()` was called: what comes after that is not the end."""
        return self._leaving.left

    def leave(self) -> None:
        """Say that nobody takes any more: the source is cancelled once, then closed."""
        self._leaving.leave()

    def stop(self) -> None:
        """Have `take()` return b"" once nothing is ready, though the source has not ended."""
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

        This loop is the path of each event: names are local, and whatever can be asked per
        batch is not asked per item.
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
                # A tenth of an item's price. Asked less often, a few slow items in a row would
                # hold everybody else.
                if monotonic() >= turn.until:
                    await turn.give_way()
                # The source, or the checkpoint, may have swallowed the one cancellation.
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
