"""What every server publishes: the same log records, about 105 bytes each as JSON.

Rule: no streamkit and no framework in here, so that an item costs everybody the same.
"""

from __future__ import annotations

__all__ = ("EVENT", "LAST", "Item", "item", "message")

import re
from typing import TypeAlias

Item: TypeAlias = dict[str, str]

# No text holds a blank: the client takes blanks out, because peers differ in those of their JSON.
LAST = b";last"
EVENT = re.compile(
    rb'data:\{"timestamp":"[-0-9T:.]+","log_level":"info","message":"n=(\d+);at=(\d+);(?:more|last)"\}'
)


def message(n: int, at: int, count: int) -> str:
    """Number it, and note for when it was due, in ns of a clock that all processes share."""
    return f"n={n};at={at};{'last' if n == count - 1 else 'more'}"


def item(n: int, at: int, count: int) -> Item:
    """Return the record. To format a timestamp would cost more than the rest, hence always one."""
    return {
        "timestamp": "2026-01-02T15:04:05.000000",
        "log_level": "info",
        "message": message(n, at, count),
    }
