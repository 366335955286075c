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

# Of a large batch that is iterated item by item, one in so many gives way to the other requests.
ITEMS_PER_TURN = 1024


class Batched(AsyncIterator[T]):
    """Write `read`: users iterate single items, and a feeder takes each batch as it is."""

    def __init__(self) -> None:
        self._taken: deque[T] = deque()

    async def open(self) -> None:
        """Get what the items come from, such as a process; without it, the first item does."""

    @abstractmethod
    async def read(self) -> Sequence[T]:
        """Return the next items, after waiting for some; nothing at the end."""

    async def __anext__(self) -> T:
        taken = self._taken
        if not taken:
            taken.extend(await self.read())
            if not taken:
                raise StopAsyncIteration
        if not len(taken) % ITEMS_PER_TURN:
            await checkpoint()
        return taken.popleft()

    async def batches(self) -> AsyncGenerator[Sequence[T], None]:
        """Yield what was read in one go, each time."""
        while batch := await self.read():
            yield batch

    async def encoded(
        self, encoder: Encoder[T]
    ) -> AsyncGenerator[tuple[int, Iterable[bytes]], None]:
        """Yield how many items each batch has, and what they are as bytes, lazily."""
        while batch := await self.read():
            yield len(batch), encoder.batch(batch)
