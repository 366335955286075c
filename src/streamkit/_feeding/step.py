"""`@step`: a generator over a source, closed together with the stream that it is part of."""

from __future__ import annotations

__all__ = ("Step", "step")

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import wraps
from inspect import iscoroutine
from typing import ParamSpec, TypeVar

from ..errors import NotASource
from .closing import register

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


def step(function: Callable[P, AsyncIterator[T]]) -> Callable[P, Step[T]]:
    """Make a generator close with the stream that it is part of, even inside another generator.

    A single plain generator over a source needs no decorator. Use this when steps are nested:
    Python closes an inner generator only when it is garbage-collected, in no particular task.

    Example:
        @step
        async def shout(words: AsyncIterable[str]) -> AsyncGenerator[str, None]:
            async for word in words:
                yield word.upper()
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Step[T]:
        items: object = function(*args, **kwargs)
        if not isinstance(items, AsyncGenerator):
            if iscoroutine(items):
                items.close()  # or Python warns that it was never awaited
            raise NotASource(f"@step is for async generators; {function.__name__} is none")
        return Step(items)

    return called


class Step(AsyncIterator[T_co]):
    """A generator that is closed with the stream that it is part of."""

    def __init__(self, items: AsyncGenerator[T_co, None]) -> None:
        self._items = items
        self._registered = False

    def __aiter__(self) -> AsyncGenerator[T_co, None]:
        """Return the generator itself: a step costs nothing per item."""
        self._register()
        return self._items

    async def __anext__(self) -> T_co:
        self._register()
        return await anext(self._items)

    async def aclose(self) -> None:
        await self._items.aclose()

    @property
    def closed(self) -> bool:
        """Return whether nothing is left to close."""
        return self._items.ag_frame is None  # type: ignore[attr-defined]  # all generators have it

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            register(self)
