"""`Following`: a stream from a cursor on, iterable many times. Replay and live are one loop."""

from __future__ import annotations

__all__ = ("Following",)

from collections.abc import Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any

from anyio.lowlevel import current_token

from .._feeding.batched import Batched
from .._feeding.closing import register
from .._feeding.source import Followed
from .._items.event import Event
from .._items.format import Format
from .._items.stored import failure_of
from .._loop import call_soon
from .._store.contract import Head
from .._store.cursor import START, Cursor, is_valid, parse_cursor
from ..errors import ExpiredStream, ServerStopping, UnknownStream
from .follower import EventFollower, FrameFollower
from .mirrors import Mirrors


class Following(Followed[Event]):
    """Follow a stream from a cursor on: every event once, in order, then its end.

    Iterate it to get the events; an `end` ends the loop. After all events, a stream that failed
    raises `StreamFailed`, one that was cancelled raises `StreamCancelled`, and one whose producer
    vanished raises `StreamOrphaned`. Events that are no longer kept come as one `gap`. A `reset`
    means that the cursor was made for another stream, and that the iteration starts over. Each
    iteration starts at the cursor.

    Pass it to a response and a client can disconnect and reconnect: its `Last-Event-ID` is read.

    Example:
        async def show(name: str) -> None:
            async for event in streams.follow(name):
                print(event.id, event.data)
    """

    def __init__(self, mirrors: Mirrors, name: str, after: str) -> None:
        self.name = name
        """The name of the stream."""
        self.after = after
        """The cursor that it starts from; empty for the beginning."""
        self._mirrors = mirrors

    def __aiter__(self) -> _Reading:
        return _Reading(self)

    async def reader(self) -> EventFollower:
        """Return a follower that reads events."""
        cursor = parse_cursor(self.after)
        return EventFollower(self._mirrors, self.name, cursor, await self.head(cursor))

    def frames(
        self, cursor: Cursor, head: Head, *, format: Format[Any], keep_alive: float | None
    ) -> FrameFollower:
        """Return a follower that reads the bytes of a format, from a checked place."""
        return FrameFollower(
            self._mirrors, self.name, cursor, head, format=format, keep_alive=keep_alive
        )

    async def head(self, cursor: Cursor) -> Head:
        """Return the head. Raise `UnknownStream` or `ExpiredStream` if there is no stream."""
        mirror = self._mirrors.get(self.name)
        if mirror is not None and mirror.fed and mirror.head and is_valid(cursor, mirror.head):
            return mirror.head  # else the writer here may have lost the stream unnoticed
        page = await self._mirrors.store.read(self.name, 0, 0)
        if page is None:
            # A client with a cursor has seen the stream.
            raise UnknownStream(self.name) if cursor == START else ExpiredStream(self.name)
        return page.head


class _Reading(Batched[Event]):
    """One iteration of a stream. It holds a number, and stops when it is garbage-collected."""

    def __init__(self, following: Following) -> None:
        super().__init__()
        self._following = following
        self._follower: EventFollower | None = None
        self.closed = False

    async def read(self) -> Sequence[Event]:
        follower = self._follower or await self._opened()
        follower.come_back()
        try:
            while not (follower.ended or self.closed):
                if events := await follower.take():
                    return events
            self._raise(follower)
        except BaseException:
            # Leave now, not when this is collected: an error's traceback may keep it for long.
            follower.leave()
            raise
        follower.leave()
        return []

    async def aclose(self) -> None:
        self.closed = True
        if self._follower is not None:
            self._follower.leave()

    def __del__(self) -> None:
        # `break` out of `async for` closes nothing, and it is what most code does.
        if self._follower is None:
            return
        if get_ident() == self._thread:
            with suppress(RuntimeError):  # the event loop has already ended
                self._follower.leave()
        else:  # it may be collected in any thread
            call_soon(self._token, self._follower.leave)

    async def _opened(self) -> EventFollower:
        register(self)
        self._token, self._thread = current_token(), get_ident()
        self._follower = await self._following.reader()
        return self._follower

    def _raise(self, follower: EventFollower) -> None:
        """Raise the error that the stream ended with, if any."""
        if follower.last is None:
            if follower.mirrors.stopping:
                raise ServerStopping
            if follower.gone:
                raise ExpiredStream(self._following.name)
        elif follower.last.type != "end":
            raise failure_of(follower.last)


Following.__module__ = "streamkit"
