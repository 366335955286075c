"""Where the client of a followed stream was, and whether its format can say what it missed."""

from __future__ import annotations

__all__ = ("place_of",)

from typing import Any

from .._following.following import Following
from .._items.format import Format
from .._items.stored import make_stored
from .._store.contract import Head
from .._store.cursor import Cursor, is_valid, parse_cursor
from ..errors import CursorLost, InvalidCursor
from .client import Asked


async def place_of(
    following: Following, format: Format[Any], asked: Asked
) -> tuple[Cursor, Head] | None:
    """Return where a client starts, and the head; None if it has seen the whole stream.

    The header that the browser's `EventSource` sends takes precedence over the URL, which stays the
    same on each reconnect. An invalid cursor in the URL is refused. With an invalid cursor in the
    header, the client gets a `reset`.
    """
    try:
        cursor = parse_cursor(asked.last_event_id or asked.after or following.after)
    except InvalidCursor:
        if not asked.last_event_id:
            raise
        cursor = Cursor("?", 0)
    head = await following.head(cursor)
    if not is_valid(cursor, head):
        _check_words(format, "reset")
    elif head.state != "open" and cursor.seq >= head.tail:
        return None
    elif cursor.seq + 1 < head.first:
        _check_words(format, "gap")
    return cursor, head


def _check_words(format: Format[Any], type: str) -> None:
    """Refuse a format that cannot say what was missed, while a status can still be sent."""
    if format.encoder().notice(make_stored(type, {"first": 1, "missed": 1})) is None:
        raise CursorLost
