"""`Batched`: a source of the library that reads several items at a time."""

from __future__ import annotations

__all__ = ("Batched",)

from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import TypeVar

from anyio.lowlevel import checkpoint

from .._items.format import Encoder

T = TypeVar("T")

# When a large batch is iterated item by item, give way to other requests once per this many items.
ITEMS_PER_TURN = 1024


class Batched(AsyncIterator[T]):
    """Subclass it and write `read`. Users iterate single items; a feeder takes whole batches."""

    def __init__(self) -> None:
        self._taken: deque[T] = deque()
        self._gave_way = False

    async def open(self) -> None:
        """Start what the items come from, such as a process. Else the first `read` starts it."""

    @abstractmethod
    async def read(self) -> Sequence[T]:
        """Wait for items and return them; return nothing at the end."""

    async def __anext__(self) -> T:
        taken = self._taken
        if not taken:
            taken.extend(await self.read())
            if not taken:
                raise StopAsyncIteration
        if not len(taken) % ITEMS_PER_TURN and not self._gave_way:
            self._gave_way = True  # a call that is cancelled here must not stop here again
            await checkpoint()
        self._gave_way = False
        return taken.popleft()

    async def batches(self) -> AsyncGenerator[Sequence[T], None]:
        """Yield the items of each read."""
        while batch := await self.read():
            yield batch

    async def encoded(
        self, encoder: Encoder[T]
    ) -> AsyncGenerator[tuple[int, Iterable[bytes]], None]:
        """Yield the number of items in each batch, and the items as bytes, lazily."""
        while batch := await self.read():
            yield len(batch), encoder.batch(batch)
