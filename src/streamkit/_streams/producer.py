"""What runs behind a stream: a source that is fed, a job, a block of somebody's code; and its pump.

A job is fed like a source that yields nothing. So it is cancelled once and then has time to clean
up, and what it opened is closed with it.
"""

from __future__ import annotations

__all__ = (
    "Intake",
    "NeverOpened",
    "Produced",
    "SourceIntake",
    "fed_by_job",
    "fed_by_source",
    "is_awaited",
    "opened",
)

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import (
    isasyncgen,
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isgenerator,
    isgeneratorfunction,
)
from typing import Any, Protocol, cast

from anyio import Event

from .._feeding.handover import Handover
from .._feeding.source import Source
from .._items.format import Encoder
from .._items.stored import stored_line
from ..errors import ServerStopping, SourceCancelled
from .inbox import Inbox


class Intake(Protocol):
    """Where a pump takes from."""

    async def take(self) -> Sequence[bytes]:
        """Return the lines that are there, after waiting for some; nothing at the end."""
        ...

    @property
    def ready(self) -> bool:
        """Tell whether there is something to take."""
        ...

    @property
    def over(self) -> bool:
        """Tell whether the end has come and all was taken."""
        ...

    @property
    def stuck(self) -> bool:
        """Tell whether there is no room, so that the source has to wait."""
        ...


class NeverOpened(Exception):
    """The source could not be entered; nothing is written, and nothing has been."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a pump takes from, and how its source is run and left."""

    intake: Intake
    leave: Callable[[], None]
    run: Callable[[], Coroutine[Any, Any, None]] | None = None
    """None when the caller's own task is the source."""


class _Lines(Encoder[object]):
    """Items as a store keeps them."""

    def one(self, item: object) -> bytes:
        return line + b"\n" if (line := stored_line(item)) else b""


class SourceIntake:
    """Take the lines that a handover has ready."""

    def __init__(self, hand: Handover) -> None:
        """`hand` is fed with lines."""
        self._hand = hand

    async def take(self) -> list[bytes]:
        """Return what is there; `NeverOpened` when the source could not be entered."""
        if not self._hand.iterated:
            await self._hand.opened.wait()
            if not self._hand.iterated:
                raise NeverOpened
        return (await self._hand.take()).splitlines()

    @property
    def ready(self) -> bool:
        """Tell whether there is something to take."""
        return self._hand.waiting > 0

    @property
    def over(self) -> bool:
        """Tell whether the source has ended and all was taken."""
        return self._hand.ended and not self._hand.waiting

    @property
    def stuck(self) -> bool:
        """Tell whether the source waits for room."""
        return self._hand.full


def fed_by_source(hand: Handover, source: Source[object]) -> Produced:
    """Return what takes from a source, by way of a handover."""
    return Produced(SourceIntake(hand), hand.leave, partial(hand.feed, source, _Lines()))


def fed_by_job(inbox: Inbox, job: Callable[[], object], *, awaited: bool) -> Produced:
    """Return what takes from the inbox that a job writes to."""
    hand = Handover()

    async def run() -> None:
        error: Exception | None = SourceCancelled()
        try:
            await hand.feed(_awaiting(job) if awaited else _calling(job), _Lines())
            await hand.take()
            error = None
        except Exception as failure:  # noqa: BLE001 - it is how the stream ends
            error = failure
        finally:
            inbox.end(error)

    return Produced(inbox, hand.leave, run)


async def _awaiting(job: Callable[[], object]) -> AsyncGenerator[object, None]:
    await cast("Awaitable[object]", job())
    return
    yield  # type: ignore[unreachable]  # it makes this a generator, of nothing


def _calling(job: Callable[[], object]) -> Iterator[object]:
    """Call a job; what is fed with a generator like this runs it in a thread of its own."""
    done = job()
    if isgenerator(done) or isasyncgen(done) or iscoroutine(done):
        if not isasyncgen(done):
            done.close()  # or Python warns that it was never awaited
        raise TypeError(
            "a job that is a plain function returned what has not run: pass that itself"
        )
    yield from ()


async def opened(hand: Handover, ended: Event) -> None:
    """Wait until a source was entered, or raise why it could not be, once its stream has ended."""
    try:
        await hand.opened.wait()
    except BaseException:
        if not hand.iterated:
            hand.leave()
        raise
    if not hand.iterated:
        await ended.wait()
        await hand.take()
        raise ServerStopping


def is_awaited(job: object) -> bool:
    """Tell whether a job is `async def`; refuse what is none."""
    if not callable(job):
        if iscoroutine(job):
            job.close()  # or Python warns that it was never awaited
        raise TypeError("a job is a function that takes the stream: pass it, do not call it")
    if isgeneratorfunction(job) or isasyncgenfunction(job):
        raise TypeError("a job sends to its stream; to write what a generator yields, use start")
    return iscoroutinefunction(job) or iscoroutinefunction(type(job).__call__)
