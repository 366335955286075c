"""Sources are closed in the task that iterated them.

`async for` does not close what it iterates. So each source of the library registers with the
`Feeding` of its context when it is first iterated, and is closed with that `Feeding`: in the same
task, after the outermost generator, outer before inner. Only the task that registered a source
closes it.
"""

from __future__ import annotations

__all__ = ("Feeding", "close", "closing_within", "feeding_now", "register")

from contextlib import AsyncExitStack
from contextvars import ContextVar
from inspect import isawaitable
from math import inf
from typing import Protocol

from anyio import CancelScope, get_current_task

from .._loop import shielded


class Feeding:
    """The task that iterates a source, and the sources that the library opened in that task."""

    __slots__ = ("deadline", "left", "opened", "task")

    def __init__(self) -> None:
        self.task = get_current_task().id
        self.left = False
        """Whether the reader has left. Check it because the reader leaves by a single cancellation,
        which may coincide with a timeout in the source and be mistaken for that timeout."""
        self.deadline = inf
        """When its cleanup has to be over, once that has begun."""
        self.opened: list[_Closing] = []

    async def close(self) -> None:
        """Close all that was opened, outer before inner, even if closing one of them raises."""
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


def closing_within(seconds: float) -> CancelScope:
    """Return a shielded scope for closing a source, no longer than the cleanup it is part of."""
    feeding = feeding_now.get()
    return shielded(seconds, until=inf if feeding is None else feeding.deadline)


def register(source: _Closing) -> None:
    """Register a source to be closed with the `Feeding` of its context, if this is its task."""
    feeding = feeding_now.get()
    if feeding is not None and feeding.task == get_current_task().id:
        # A step may open one source after another: forget those that are closed.
        feeding.opened = [other for other in feeding.opened if not other.closed]
        feeding.opened.append(source)


async def close(things: object) -> None:
    """Close an iterator, or a source that will not be opened, by its `aclose` or `close`."""
    closing = getattr(things, "aclose", None) or getattr(things, "close", None)
    if closing is not None and isawaitable(closed := closing()):
        await closed
