"""The status and the history of a stream, as plain dicts that are ready for JSON."""

# Annotations are evaluated here, because frameworks read those of public classes to build schemas.

__all__ = ("History", "HistoryEvent", "Status", "history", "status", "statuses")

from typing import TypedDict

from .._items.json import from_json
from .._items.stored import split_line
from .._store.contract import Head, Page, Store
from .._store.cursor import START, format_cursor, ids, is_valid, parse_cursor
from .._store.lifecycle import STEPS, State
from ..errors import ExpiredStream, UnknownStream
from .mirrors import PAGE


class Status(TypedDict):
    """The status of a stream. Times are seconds since 1970, on the store's clock."""

    name: str
    state: State
    active: bool
    """Whether the stream is still being written."""
    first: int
    tail: int
    started: float
    ended: float | None
    expires: float | None
    error: dict[str, str] | None
    """The `code` and the `message` of the error, if the stream failed."""


class HistoryEvent(TypedDict):
    """One event of a stream."""

    id: str
    type: str
    time: float | None
    data: object


class History(TypedDict):
    """A page of the events of a stream."""

    events: list[HistoryEvent]
    next: str
    """The cursor after the last event."""
    state: State


async def status(store: Store, name: str) -> Status:
    """Return the status of a stream, or raise `UnknownStream`."""
    page = await store.read(name, 0, 0)
    if page is None:
        raise UnknownStream(name)
    return await _status(store, name, page.head)


async def statuses(
    store: Store, prefix: str, state: str, after: str, limit: int, *, page: int = PAGE
) -> list[Status]:
    """Return the status of up to `limit` streams in a state, or in any state if it is empty."""
    if state and state not in STEPS:
        raise ValueError(f"a state is one of {', '.join(STEPS)}, not {state!r}")
    found: list[Status] = []
    while len(found) < limit:
        wanted = page if state else min(page, limit - len(found))
        heads = await store.names(prefix, after, wanted)
        for name, head in heads:
            if state in ("", head.state) and len(found) < limit:
                found.append(await _status(store, name, head))
        if len(heads) < wanted:
            break
        after = heads[-1][0]
    return found


async def history(store: Store, name: str, after: str, limit: int) -> History:
    """Return the events after a cursor, or raise `UnknownStream` or `ExpiredStream`."""
    if limit < 1:
        raise ValueError(f"a limit is 1 or more, not {limit}")
    cursor = parse_cursor(after)
    page = await store.read(name, cursor.seq, limit)
    if page is None:
        raise UnknownStream(name) if cursor == START else ExpiredStream(name)
    told: list[HistoryEvent] = []
    if not is_valid(cursor, page.head):
        page = await store.read(name, 0, limit)
        if page is None:
            raise ExpiredStream(name)
        cursor, told = START, [_told("reset", {"first": page.head.first})]
    elif page.head.first > cursor.seq + 1:
        missed = page.head.first - 1 - cursor.seq
        told = [_told("gap", {"first": page.head.first, "missed": missed})]
    return _history(page, max(cursor.seq, page.head.first - 1), told)


def _history(page: Page, after: int, events: list[HistoryEvent]) -> History:
    head, lines = page
    for id, line in zip(ids(head, after + 1, len(lines)), lines, strict=True):
        parts = split_line(line)
        events.append(
            {
                "id": id,
                "type": from_json(parts.type),
                "time": float(parts.time),
                "data": from_json(parts.data),
            }
        )
    seq = after + len(lines)
    return {
        "events": events,
        "next": format_cursor(head, seq) if seq else "",
        "state": head.state,
    }


def _told(type: str, facts: dict[str, object]) -> HistoryEvent:
    return {"id": "", "type": type, "time": None, "data": facts}


async def _status(store: Store, name: str, head: Head) -> Status:
    error = None
    if head.state == "error":
        page = await store.read(name, head.tail - 1, 1)
        # The name may have been started again meanwhile.
        if page is not None and page.head.life == head.life and page.events:
            facts = from_json(split_line(page.events[-1]).data)
            error = {"code": facts["code"], "message": facts["message"]}
    return {
        "name": name,
        "state": head.state,
        "active": head.state == "open",
        "first": head.first,
        "tail": head.tail,
        "started": head.started,
        "ended": head.ended,
        "expires": head.expires,
        "error": error,
    }


for _public in (History, HistoryEvent, Status):
    _public.__module__ = "streamkit"
