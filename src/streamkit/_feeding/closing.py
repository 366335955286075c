"""Sources are closed in the task that iterated them.

`async for` does not close what it iterates. So each source of the library registers, when it is
first iterated, with the `Feeding` in whose context it runs, and is closed with it: in the same
task, after the outermost generator, outer before inner. Only the task that registered a source
closes it.
"""

from __future__ import annotations

__all__ = ("Feeding", "close", "feeding_now", "register")

from contextlib import AsyncExitStack
from contextvars import ContextVar
from inspect import isawaitable
from typing import Protocol

from anyio import get_current_task


class Feeding:
    """The task that iterates a source, and what the library opened in it on the way."""

    __slots__ = ("left", "opened", "task")

    def __init__(self) -> None:
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


async def close(things: object) -> None:
    """Close an iterator, or a source that nobody will open, whichever way it has for that."""
    closing = getattr(things, "aclose", None) or getattr(things, "close", None)
    if closing is not None and isawaitable(closed := closing()):
        await closed
