"""What a pump takes from: a source, a job, or a block of your code."""

from __future__ import annotations

__all__ = (
    "BlockProducer",
    "JobProducer",
    "NeverOpened",
    "Producer",
    "SourceProducer",
    "is_awaited",
)

from collections.abc import Awaitable, Callable, Iterator, Sequence
from inspect import (
    isasyncgen,
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isgenerator,
    isgeneratorfunction,
)
from typing import Protocol, cast

from anyio import CancelScope, Event

from .._feeding.closing import Feeding
from .._feeding.handover import Handover
from .._feeding.leaving import Leaving
from .._feeding.source import Source
from .._feeding.threaded import Threaded
from .._items.stored_lines import StoredLines
from ..errors import ServerStopping, SourceCancelled
from .appending import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from .inbox import Inbox


class Producer(Protocol):
    """Produce lines in one task, and hand them to the pump, which runs in another."""

    async def run(self) -> None:
        """Produce until the end, or until `leave` was called and the cleanup is done."""

    def leave(self) -> None:
        """Cancel the producing code, once."""

    async def take(self) -> Sequence[bytes]:
        """Wait for lines and return all of them; return nothing at the end.

        If producing failed, the error is raised after the lines.
        """
        ...

    @property
    def ready(self) -> bool:
        """Return whether there is something to take."""
        ...

    @property
    def over(self) -> bool:
        """Return whether the end has come and everything was taken."""
        ...

    @property
    def stuck(self) -> bool:
        """Return whether there is no room, so that the producing code has to wait."""
        ...


class NeverOpened(Exception):
    """The source could not be entered. Nothing was written, and nothing will be."""


class SourceProducer:
    """Produce from a source, through a `Handover`."""

    def __init__(self, source: Source[object]) -> None:
        self._source = source
        self._hand = Handover(max_bytes=MAX_BATCH_BYTES, max_items=MAX_BATCH_EVENTS)

    async def run(self) -> None:
        await self._hand.feed(self._source, StoredLines())

    def leave(self) -> None:
        self._hand.leave()

    async def wait_until_entered(self, ended: Event) -> None:
        """Wait until the source is entered. If that fails, raise why, once its stream ended."""
        try:
            await self._hand.opened.wait()
        except BaseException:
            if not self._hand.iterated:
                self._hand.leave()
            raise
        if not self._hand.iterated:
            await ended.wait()
            await self._hand.take()
            raise ServerStopping

    async def take(self) -> list[bytes]:
        """Return the lines that are ready; raise `NeverOpened` if the source was not entered."""
        if not self._hand.iterated:
            await self._hand.opened.wait()
            if not self._hand.iterated:
                raise NeverOpened
        return await self._hand.take_pieces()

    @property
    def ready(self) -> bool:
        return self._hand.waiting > 0

    @property
    def over(self) -> bool:
        return self._hand.ended and not self._hand.waiting

    @property
    def stuck(self) -> bool:
        return self._hand.full


class _InboxProducer:
    """Produce from code that writes to an inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def take(self) -> list[bytes]:
        return await self._inbox.take()

    @property
    def ready(self) -> bool:
        return self._inbox.ready

    @property
    def over(self) -> bool:
        return self._inbox.over

    @property
    def stuck(self) -> bool:
        return self._inbox.stuck


class BlockProducer(_InboxProducer):
    """Produce from the block of `async with streams.open(…)`, which runs in the caller's task."""

    def __init__(self, inbox: Inbox, block: CancelScope) -> None:
        super().__init__(inbox)
        self._block = block

    async def run(self) -> None:
        """Do nothing: the block runs in another task."""

    def leave(self) -> None:
        self._block.cancel()


class JobProducer(_InboxProducer):
    """Produce from a function that writes to the inbox, in a task of ours or in a thread."""

    def __init__(self, inbox: Inbox, job: Callable[[], object], *, awaited: bool) -> None:
        super().__init__(inbox)
        self._job, self._awaited = job, awaited
        self._leaving = Leaving()

    async def run(self) -> None:
        try:
            await self._leaving.run(self._work)
        finally:
            error = self._leaving.error
            if error is None or isinstance(error, Exception):
                self._inbox.end(error)
            else:  # such as Ctrl-C in the job
                self._inbox.end(SourceCancelled())
        if error is not None and not isinstance(error, Exception):
            raise error

    def leave(self) -> None:
        self._leaving.leave()

    async def _work(self, feeding: Feeding) -> None:
        if self._leaving.left:
            return
        thread = None if self._awaited else Threaded(_called(self._job))
        try:
            if thread is None:
                await cast("Awaitable[object]", self._job())
            else:
                await thread.read()
        finally:
            self._leaving.clean_up()
            if thread is not None:
                await thread.aclose()
            await feeding.close()


def _called(job: Callable[[], object]) -> Iterator[object]:
    """Call a job on the first `next()`, which happens in its own thread. Yield no items."""
    done = job()
    if isgenerator(done) or isasyncgen(done) or iscoroutine(done):
        if not isasyncgen(done):
            done.close()  # or Python warns that it was never awaited
        raise TypeError(
            "a job that is a plain function returned what has not run: pass that itself"
        )
    yield from ()


def is_awaited(job: object) -> bool:
    """Return whether a job is `async def`; refuse anything that is not a job."""
    if not callable(job):
        if iscoroutine(job):
            job.close()  # or Python warns that it was never awaited
        raise TypeError("a job is a function that takes the stream: pass it, do not call it")
    if isgeneratorfunction(job) or isasyncgenfunction(job):
        raise TypeError("a job sends to its stream; to write what a generator yields, use start")
    return iscoroutinefunction(job) or iscoroutinefunction(type(job).__call__)
