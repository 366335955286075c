"""`Following`: a stream from a cursor on, as often as one likes. Replay and live are one loop."""

from __future__ import annotations

__all__ = ("Asked", "Following", "failure_of")

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from threading import get_ident
from typing import Any, NoReturn, TypedDict, cast

from anyio.lowlevel import current_token

from .._feeding.source import register
from .._items.event import Event
from .._items.format import Format
from .._items.stored import StoredEvent, make_stored
from .._store.contract import Head
from .._store.cursor import START, Cursor, is_valid, parse_cursor
from .._store.worker import call_soon
from ..errors._base import ServerStopping
from ..errors._streams import (
    CursorLost,
    ExpiredStream,
    InvalidCursor,
    StreamCancelled,
    StreamError,
    StreamFailed,
    StreamOrphaned,
    UnknownStream,
)
from .follower import EventFollower, FrameFollower
from .mirrors import Mirrors


class Asked(TypedDict):
    """Where a client says that it was."""

    last_event_id: str | None
    after: str | None


class Following(AsyncIterable[Event]):
    """Follow a stream from a cursor on: every event once, in order, then its end.

    Iterate it for its events: `end` ends the loop; a stream that failed, was cancelled, or whose
    producer vanished raises `StreamFailed`, `StreamCancelled`, `StreamOrphaned`, after all events.
    Events that are no longer kept come as one `gap`; and a `reset` says that the stream is not
    the one that the cursor was made for, and starts again. Each iteration starts at the cursor.

    Give it to a response and the client may leave and come back: its `Last-Event-ID` is read.

    Example:
        async def show(name: str) -> None:
            async for event in streams.follow(name):
                print(event.id, event.data)
    """

    def __init__(self, mirrors: Mirrors, name: str, after: str) -> None:
        """`Streams.follow` makes it."""
        self.name = name
        """The name of the stream."""
        self.after = after
        """The cursor it starts from; empty for the beginning."""
        self._mirrors = mirrors

    def __aiter__(self) -> _Reading:
        """Start to read at the cursor."""
        return _Reading(self)

    async def reader(self) -> EventFollower:
        """Return who follows as events."""
        cursor = parse_cursor(self.after)
        return EventFollower(self._mirrors, self.name, cursor, await self._head(cursor))

    async def answer(
        self,
        format: Format[Any],
        *,
        last_event_id: str | None,
        after: str | None,
        keep_alive: float | None,
    ) -> FrameFollower | None:
        """Return who follows for one response; None when the client has seen all of it.

        What the browser's `EventSource` sends by itself wins over the URL, which it repeats. A
        cursor in the URL that is none is refused; one in the header is told that it is not valid.
        """
        place = await self.place(format, last_event_id=last_event_id, after=after)
        if place is None:
            return None
        return FrameFollower(self._mirrors, self.name, *place, format=format, keep_alive=keep_alive)

    async def place(
        self, format: Format[Any], *, last_event_id: str | None, after: str | None
    ) -> tuple[Cursor, Head] | None:
        """Return where a client starts, and the head; None when it has seen all of it."""
        try:
            cursor = parse_cursor(last_event_id or after or self.after)
        except InvalidCursor:
            if not last_event_id:
                raise
            cursor = Cursor("?", 0)
        head = await self._head(cursor)
        if not is_valid(cursor, head):
            _check_words(format, "reset")
        elif head.state != "open" and cursor.seq >= head.tail:
            return None
        elif cursor.seq + 1 < head.first:
            _check_words(format, "gap")
        return cursor, head

    async def _head(self, cursor: Cursor) -> Head:
        mirror = self._mirrors.get(self.name)
        if mirror is not None and mirror.fed and mirror.head and is_valid(cursor, mirror.head):
            return mirror.head  # else who writes here may not write any more, and not know it
        page = await self._mirrors.store.read(self.name, 0, 0)
        if page is None:
            # Who has a cursor has seen the stream.
            raise UnknownStream(self.name) if cursor == START else ExpiredStream(self.name)
        return page.head


def _check_words(format: Format[Any], type: str) -> None:
    """Refuse a format that cannot say what was missed, while there still is a status."""
    if format.encoder().notice(make_stored(type, {"first": 1, "missed": 1})) is None:
        raise CursorLost


class _Reading(AsyncIterator[Event]):
    """One iteration of a stream; it holds a number, and is let go when nobody holds it."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._follower: EventFollower | None = None
        self._taken: deque[StoredEvent] = deque()
        self.closed = False

    async def __anext__(self) -> Event:
        follower = self._follower or await self._opened()
        follower.come_back()
        try:
            while not self._taken:
                if follower.ended or self.closed:
                    self._raise(follower)
                self._taken.extend(await follower.take())
        except BaseException:
            # Now, and not when somebody collects this: an error's traceback may hold it for long.
            follower.leave()
            raise
        return self._taken.popleft()

    async def aclose(self) -> None:
        self.closed = True
        if self._follower is not None:
            self._follower.leave()

    def __del__(self) -> None:
        # `break` out of `async for` closes nothing, and is what everybody writes.
        if self._follower is None:
            return
        if get_ident() == self._thread:
            with suppress(RuntimeError):  # the event loop has ended before
                self._follower.leave()
        else:  # it may be collected anywhere
            call_soon(self._token, self._follower.leave)

    async def _opened(self) -> EventFollower:
        register(self)
        self._token, self._thread = current_token(), get_ident()
        self._follower = await self._following.reader()
        return self._follower

    def _raise(self, follower: EventFollower) -> NoReturn:
        if follower.last is None:
            if follower.mirrors.stopping:
                raise ServerStopping
            if follower.gone:
                raise ExpiredStream(self._following.name)
            raise StopAsyncIteration
        if follower.last.type == "end":
            raise StopAsyncIteration
        raise failure_of(follower.last)


def failure_of(last: StoredEvent) -> StreamError:
    """Return the error that a last event other than `end` is for its followers."""
    facts = cast("dict[str, Any]", last.data)
    match last.type:
        case "error":
            return StreamFailed(facts["code"], facts["message"])
        case "cancelled":
            return StreamCancelled(facts["reason"])
    return StreamOrphaned()
