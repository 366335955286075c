"""What a source may be, how it is opened, and how it is closed in the task that iterated it.

Closing: `async for` does not close what it iterates. So each source of the library registers,
when it is first iterated, with the `Feeding` in whose context it runs, and is closed with it: in
the same task, after the outermost generator, outer before inner. Only the task that registered a
source closes it.
"""

from __future__ import annotations

__all__ = (
    "Batched",
    "Feeding",
    "Source",
    "Step",
    "check_source",
    "close",
    "enter_source",
    "open_source",
    "step",
)

import io
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import isawaitable, iscoroutine, iscoroutinefunction, isroutine
from typing import Any, BinaryIO, ParamSpec, Protocol, TypeAlias, TypeVar, cast

from anyio import get_current_task

from .._items.event import Event
from ..errors._base import NotASource
from .threaded import Chunks, Threaded

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")

_Items: TypeAlias = AsyncIterable[T] | Iterable[T]
Source: TypeAlias = _Items[T] | AbstractAsyncContextManager[_Items[T]]
"""An async or sync iterable of items, a binary file, or an async context manager of either."""


@asynccontextmanager
async def open_source(source: Source[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Open any kind of source and close it, with all it iterates, when the block is left.

    Everything runs in the caller's task; there is no task group and no scope across a `yield`, so
    it may be used inside a generator. An error of the source is raised where its item was awaited.
    There is no shield either: in a cancelled scope, so is the cleanup of the source.

    Example:
        async def first(source: Source[str]) -> str | None:
            async with open_source(source) as items:
                async for item in items:
                    return item
            return None
    """
    feeding = Feeding()
    async with enter_source(source, feeding) as things:
        items = _Opened(aiter(things), feeding)
        register(items)
        try:
            yield items
        finally:
            await items.aclose()


def step(function: Callable[P, AsyncIterator[T]]) -> Callable[P, Step[T]]:
    """Make a generator close with the stream it is part of, also inside another generator.

    A plain generator over a source is fine as it is. Use this when steps are nested: Python closes
    an inner generator only when it collects it, in no particular task.

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
    """A generator that is closed with the stream it is part of."""

    def __init__(self, items: AsyncGenerator[T_co, None]) -> None:
        """`items` is the generator."""
        self._items = items
        self._registered = False

    def __aiter__(self) -> AsyncGenerator[T_co, None]:
        """Return the generator itself: a step costs nothing per item."""
        self._register()
        return self._items

    async def __anext__(self) -> T_co:
        """Return the next item."""
        self._register()
        return await anext(self._items)

    async def aclose(self) -> None:
        """Close the generator."""
        await self._items.aclose()

    @property
    def closed(self) -> bool:
        """Tell whether nothing is left to close."""
        return self._items.ag_frame is None  # type: ignore[attr-defined]  # all generators have it

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            register(self)


class Batched(AsyncIterator[T_co]):
    """A source of the library that hands on what it read in one go, as it is."""

    async def open(self) -> None:
        """Get what the items come from, such as a process; without it, the first item does."""

    @abstractmethod
    def batches(self) -> AsyncIterator[Sequence[T_co]]:
        """Yield items in batches."""
        ...


class Feeding:
    """The task that iterates a source, and what the library opened in it on the way."""

    __slots__ = ("left", "opened", "task")

    def __init__(self) -> None:
        """Remember the current task."""
        self.task = get_current_task().id
        self.left = False
        """Whether the reader has left. The one cancellation that says so may have met a timeout of
        the source in the same moment, and been taken for it."""
        self.opened: list[_Closing] = []

    async def close(self) -> None:
        """Close what was opened, outer before inner, whatever the one before it raised."""
        while self.opened:  # closing one may open another
            opened, self.opened = self.opened, []
            async with AsyncExitStack() as stack:
                for source in reversed(opened):
                    stack.push_async_callback(source.aclose)


class _Closing(Protocol):
    @property
    def closed(self) -> bool: ...

    async def aclose(self) -> None: ...


feeding_now: ContextVar[Feeding | None] = ContextVar("streamkit_feeding", default=None)


def register(source: _Closing) -> None:
    """Have the source closed with the feeding in whose context it runs, if this is its task."""
    feeding = feeding_now.get()
    if feeding is not None and feeding.task == get_current_task().id:
        # A step may open one source after the other: forget those that are done.
        feeding.opened = [other for other in feeding.opened if not other.closed]
        feeding.opened.append(source)


class _Opened(AsyncIterator[T]):
    """What `open_source` gives: it lends its feeding to the source for each item."""

    def __init__(self, items: AsyncIterator[T], feeding: Feeding) -> None:
        self._items = items
        self._feeding = feeding
        self.closed = False

    async def __anext__(self) -> T:
        token = feeding_now.set(self._feeding)
        try:
            return await anext(self._items)
        finally:
            feeding_now.reset(token)

    async def aclose(self) -> None:
        self.closed = True
        try:
            await close(self._items)
        finally:
            await self._feeding.close()


@asynccontextmanager
async def enter_source(
    source: Source[T], feeding: Feeding
) -> AsyncGenerator[AsyncIterable[T], None]:
    """Enter a context manager, adapt what is synchronous, and close all of it at the end."""
    check_source(source)
    async with AsyncExitStack() as stack:
        given: object = source
        while isinstance(given, AbstractAsyncContextManager):
            manager, given = given, await stack.enter_async_context(given)
            if given is manager:  # an SDK's stream that is its own context manager
                break
            check_source(given)
        things: AsyncIterable[T] = _adapted(given)
        stack.push_async_callback(feeding.close)
        stack.push_async_callback(close, things)
        yield things


def _adapted(source: object) -> AsyncIterable[Any]:
    if isinstance(source, AsyncIterable):
        return source
    if hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        return Threaded(Chunks(cast("BinaryIO", source)))
    return Threaded(cast("Iterable[Any]", source))


async def close(things: object) -> None:
    """Close an iterator, or a source that nobody will open, whichever way it has for that."""
    closing = getattr(things, "aclose", None) or getattr(things, "close", None)
    if closing is not None and isawaitable(closed := closing()):
        await closed


def check_source(source: object) -> None:
    """Raise `NotASource`, with the sentence that says the mend, unless it can be one."""
    if reason := _refusal(source):
        if iscoroutine(source):
            source.close()  # or Python warns that it was never awaited
        raise NotASource(reason)


def _refusal(source: object) -> str:
    kind = type(source).__name__
    if isinstance(source, str):
        return "a str is one item, not a source; write [text]"
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{kind} is one item, not a source; write [data]"
    if isinstance(source, Mapping | Event) or hasattr(type(source), "model_dump"):
        return f"{kind} is one item, not a source; write [item]"
    if isroutine(source) or isinstance(source, type):
        return f"{source.__name__} is not a source, but what it returns may be: call it"
    if (
        getattr(source, "ag_frame", ...) is None
        or getattr(source, "gi_frame", ...) is None
        or (isinstance(source, Step) and source.closed)
    ):
        return f"the {kind} is used up; make a new one for each stream"
    if isinstance(source, AsyncIterable | AbstractAsyncContextManager):
        return ""
    if iscoroutinefunction(getattr(source, "read", None)):
        return f"{kind} has to be awaited; pass the plain file inside it, often its .file"
    # Before Iterable: an asyncio.Future is iterable, for the sake of `await`.
    if isawaitable(source):
        return f"{kind} is not a source; await it, or write an async generator with yield"
    if isinstance(source, Iterable) or hasattr(source, "read"):
        return ""
    return f"{kind} is not a source: neither iterable nor async iterable"
