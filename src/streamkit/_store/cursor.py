"""`<token>.<seq>`: where a follower is in a stream, and whether that place still exists.

The token is the one of the claim under which the event was written. A cursor is valid while its
claim is known and its number is not past the point where the next claim began. So a follower never
skips an event unnoticed: not when a name was reused, and not when a store forgot its tail while the
producer died. Rule: no I/O here.
"""

from __future__ import annotations

__all__ = (
    "START",
    "Cursor",
    "format_cursor",
    "ids",
    "is_valid",
    "new_token",
    "parse_cursor",
    "token_at",
)

import re
from collections.abc import Iterator
from secrets import choice
from typing import NamedTuple

from ..errors import InvalidCursor
from .contract import Head

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # no l, o, 0, 1: people read them aloud
_CURSOR = re.compile(r"([a-z0-9]{1,32})\.(0|[1-9][0-9]{0,15})")


class Cursor(NamedTuple):
    """A token, and the number of the last event that the follower saw."""

    token: str
    seq: int


START = Cursor("", 0)


def new_token() -> str:
    """Return eight random letters: the chance that two claims share them is 1 in 10**12."""
    return "".join(choice(_LETTERS) for _ in range(8))


def parse_cursor(text: str) -> Cursor:
    """Read a cursor; "" is the start. Raises `InvalidCursor`."""
    if not text:
        return START
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidCursor
    return Cursor(match[1], int(match[2]))


def format_cursor(head: Head, seq: int) -> str:
    """Write the cursor of an event."""
    return f"{token_at(head, seq)}.{seq}"


def token_at(head: Head, seq: int) -> str:
    """Return the token of the claim under which an event was written."""
    for token, first in reversed(head.claims):
        if first <= seq:
            return token
    return head.claims[0][0]  # its own claim is forgotten: the oldest known one works too


def is_valid(cursor: Cursor, head: Head) -> bool:
    """Return whether a follower can resume from here without missing or repeating an event."""
    if cursor == START:
        return True
    end = head.tail
    for token, first in reversed(head.claims):
        if token == cursor.token:
            return cursor.seq <= end
        end = first - 1
    return False


def ids(head: Head, seq: int, count: int) -> Iterator[str]:
    """Return the ids of `count` events, starting at number `seq`."""
    if token_at(head, seq) == token_at(head, seq + count - 1):
        prefix = token_at(head, seq) + "."
        return (prefix + str(number) for number in range(seq, seq + count))
    return (format_cursor(head, number) for number in range(seq, seq + count))
