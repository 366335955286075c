"""`Event`: something that happened. Each format decides how other items become events."""

from __future__ import annotations

__all__ = ("RESERVED_TYPES", "Event", "Typed", "check_source_event", "decoded_event")

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from ..errors import InvalidEvent, ReservedType
from .json import to_json

# Only the log or an adapter writes these. A source that yields one is refused.
RESERVED_TYPES = frozenset({"end", "error", "cancelled", "orphaned", "gap", "reset"})


@dataclass(frozen=True, slots=True, init=False)
class Event:
    """Say that something happened: `type` and `data`, plus the `id` and `time` that the log adds.

    `data` is a `str`, sent unchanged, or any value that can be written as JSON. `id` is empty until
    a log assigns one. `time` is wall-clock seconds, for people; nothing is ordered by it.

    A type or id with a CR, LF or NUL is refused here, so it cannot be mangled on the wire or
    smuggle in a second event. An id must survive an HTTP header: visible ASCII, without spaces
    around it.

    Example:
        Event("price", {"stock": "ACME", "price": 12.5})
    """

    type: str
    data: object
    id: str
    time: float | None

    # Written by hand: the generated `__init__` costs the same and does not validate, because a
    # frozen class has to assign through `object.__setattr__` either way.
    def __init__(
        self, type: str = "message", data: object = "", *, id: str = "", time: float | None = None
    ) -> None:
        """Create an event. The default type is the one that `EventSource.onmessage` receives."""
        if type != "message":
            _check_type(type)
        if id:
            _check_id(id)
        if time is not None and not isfinite(time):
            raise InvalidEvent("time", str(time), "must be a finite number of seconds")
        _set_type(self, type)
        _set_data(self, data)
        _set_id(self, id)
        _set_time(self, time)

    def __str__(self) -> str:
        """Return the text of the event, as `as_text` writes it; empty for reserved types."""
        if self.type in RESERVED_TYPES:
            return ""
        return self.data if isinstance(self.data, str) else to_json(self.data).decode() + "\n"


class Typed:
    """An item that knows how it is written, such as a line or an exit.

    This is a base class, not a protocol: formats check for it on every item, and checking for the
    methods of a protocol costs more than writing the item.
    """

    __slots__ = ()

    kind: ClassVar[str] = "json"
    """The kind that a store records, so that a follower gets the same text as a request."""

    def to_text(self) -> str:
        """Return what `as_text` writes, or an empty string to write nothing."""
        raise NotImplementedError

    def to_event(self) -> Event | None:
        """Return the event that an event stream sends, or None to send nothing."""
        raise NotImplementedError

    def to_stored(self) -> Event | None:
        """Return the event that a store keeps, or None. Its data may hold more than is sent."""
        return self.to_event()


def check_source_event(event: Event) -> None:
    """Refuse an event of a source if its type is reserved, such as an end, an error or a gap."""
    if event.type in RESERVED_TYPES:
        raise ReservedType(event.type)


def decoded_event(type: str, data: str, id: str) -> Event:
    """Create an event from the wire, unchecked: what a server sent is not the reader's fault."""
    event = object.__new__(Event)
    _set_type(event, type)
    _set_data(event, data)
    _set_id(event, id)
    _set_time(event, None)
    return event


# The slots' own setters, bound once: they cost half as much as `object.__setattr__`.
_set_type = Event.__dict__["type"].__set__
_set_data = Event.__dict__["data"].__set__
_set_id = Event.__dict__["id"].__set__
_set_time = Event.__dict__["time"].__set__


def _check_type(type: str) -> None:
    if not isinstance(type, str):
        raise InvalidEvent("type", type, "must be a str")
    if not type or "\r" in type or "\n" in type or "\0" in type:
        raise InvalidEvent("type", type, "must be a non-empty line without CR, LF or NUL")


def _check_id(id: str) -> None:
    if not isinstance(id, str):
        raise InvalidEvent("id", id, "must be a str")
    if not (id.isascii() and id.isprintable()) or id != id.strip():
        raise InvalidEvent("id", id, "must be visible ASCII without spaces around it")
