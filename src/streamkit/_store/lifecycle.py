"""The states of a stream and the legal steps between them. Rule: no I/O here, no clock."""

from __future__ import annotations

__all__ = ("LAST_TYPES", "STEPS", "Ended", "State", "last_event")

from typing import Literal, TypeAlias

from .._items.event import Event

Ended: TypeAlias = Literal["done", "error", "cancelled", "orphaned"]
State: TypeAlias = Literal["open", "done", "error", "cancelled", "orphaned"]

# Which states may follow each state. The append that takes a stream out of "open" also writes the
# last event; a second attempt finds the stream closed.
STEPS: dict[State, frozenset[State]] = {
    "open": frozenset({"done", "error", "cancelled", "orphaned"}),
    "done": frozenset(),
    "error": frozenset(),
    "cancelled": frozenset(),
    "orphaned": frozenset(),
}

# The type of the last event, for each state that a stream can end in.
LAST_TYPES: dict[Ended, str] = {
    "done": "end",
    "error": "error",
    "cancelled": "cancelled",
    "orphaned": "orphaned",
}


def last_event(state: Ended, **facts: object) -> Event:
    """Return the event that says how a stream ended. It is always the last event."""
    return Event(LAST_TYPES[state], {"state": state, **facts})
