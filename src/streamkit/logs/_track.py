"""Iterate items, sync or async, and report when each is finished: used by `progress.track`."""

from __future__ import annotations

__all__ = ("Track",)

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from typing import Generic, TypeVar

from .._feeding.closing import close, register
from .._loop import Turn

T = TypeVar("T")


class Track(Generic[T]):
    """Report at each item that the one before is finished. `ProgressTracker.track` returns it."""

    def __init__(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        start: Callable[[], None],
        finished: Callable[[], None],
        left: Callable[[], None],
    ) -> None:
        """Call `start` before the first item, `finished` after each, `left` on every way out."""
        self._items = items
        self.start = start
        self.finished = finished
        self.left = left

    def __iter__(self) -> Generator[T, None, None]:
        if not isinstance(self._items, Iterable):
            raise TypeError(f"{type(self._items).__name__} is asynchronous; write async for")
        return self._tracked(self._items)

    def __aiter__(self) -> AsyncIterator[T]:
        return _Tracked(self, self._items)

    def _tracked(self, items: Iterable[T]) -> Generator[T, None, None]:
        try:
            self.start()
            for item in items:
                yield item
                self.finished()
        finally:
            self.left()


class _Tracked(AsyncIterator[T]):
    """A class, because nothing closes an async generator after a `break`."""

    def __init__(
        self,
        track: Track[T],
        items: Iterable[T] | AsyncIterable[T],
    ) -> None:
        self._track = track
        self._given = items
        self._items: AsyncIterator[T] | None = None
        self._in_hand = False
        self.closed = False

    async def __anext__(self) -> T:
        if self.closed:
            raise StopAsyncIteration
        try:
            item = await self._next()
        except BaseException as error:
            self.closed = isinstance(error, StopAsyncIteration)
            self._track.left()
            raise
        self._in_hand = True
        return item

    async def aclose(self) -> None:
        self.closed = True
        try:
            await close(self._given if self._items is None else self._items)
        finally:
            self._track.left()

    def _next(self) -> Awaitable[T]:
        if self._items is None:
            given = self._given
            self._items = aiter(given if isinstance(given, AsyncIterable) else _InTurns(given))
            register(self)
            self._track.start()
        elif self._in_hand:
            self._in_hand = False
            self._track.finished()
        return anext(self._items)


class _InTurns(AsyncIterator[T]):
    """Synchronous items, which would otherwise block the event loop until their end."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._turn = Turn()

    async def __anext__(self) -> T:
        if self._turn.over:
            await self._turn.give_way()
        for item in self._items:
            return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await close(self._items)
