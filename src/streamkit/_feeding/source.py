"""What a source may be, and how it is opened, in the task that iterates it."""

from __future__ import annotations

__all__ = ("Followed", "Source", "check_source", "enter_source", "open_source")

import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import isawaitable, iscoroutine, iscoroutinefunction, isroutine
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast

from .._items.event import Event
from ..errors import NotASource
from .closing import Feeding, close, feeding_now, register
from .step import Step
from .threaded import Chunks, Threaded

T = TypeVar("T")

_Items: TypeAlias = AsyncIterable[T] | Iterable[T]
Source: TypeAlias = _Items[T] | AbstractAsyncContextManager[_Items[T]]
"""An async or sync iterable of items, a binary file, or an async context manager of either."""


class Followed(AsyncIterable[T]):
    """A source that can resume where a client was. A response looks up the client's place first.

    This is a separate class, so that a response within one request loads no code of named streams.
    """


@asynccontextmanager
async def open_source(source: Source[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Open any kind of source, and close it and everything it iterates when the block ends.

    Everything runs in the caller's task. There is no task group and no scope across a `yield`, so
    you may use it inside a generator. An error of the source is raised where its item was awaited.
    There is no shield either: in a cancelled scope, the cleanup of the source is cancelled too.

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


class _Opened(AsyncIterator[T]):
    """The iterator that `open_source` yields. It makes its feeding the current one per item."""

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
    """Enter context managers, adapt synchronous iterables, and close everything at the end."""
    check_source(source)
    async with AsyncExitStack() as stack:
        given: object = source
        while isinstance(given, AbstractAsyncContextManager):
            manager, given = given, await stack.enter_async_context(given)
            if given is manager:  # such as an SDK's stream, which is its own context manager
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


def check_source(source: object) -> None:
    """Raise `NotASource`, with a sentence that says how to fix it, unless this can be a source."""
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
    # Check this before Iterable: an asyncio.Future is iterable, to support `await`.
    if isawaitable(source):
        return f"{kind} is not a source; await it, or write an async generator with yield"
    if isinstance(source, Iterable) or hasattr(source, "read"):
        return ""
    return f"{kind} is not a source: neither iterable nor async iterable"
