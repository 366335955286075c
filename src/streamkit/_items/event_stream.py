"""`EventEncoder`: what all event streams have in common, whatever their events look like.

A subclass writes the `event` and `data` lines that its clients expect. This class adds the id, the
`retry` and the comments. Rule: no I/O here.
"""

from __future__ import annotations

__all__ = ("EventEncoder", "text_of")

from abc import abstractmethod
from typing import Any, cast

from ..errors import ItemRefused, ServerStopping
from .event import Event, Typed, check_source_event
from .format import Encoder
from .json import to_json
from .sse import END_ID, encode_comment
from .stored import StoredEvent, failure_of, stored_event


class EventEncoder(Encoder[object]):
    """Subclass it and write `one`, `done` and `failed`: whole events without an id, or b""."""

    keep_alive = encode_comment("keep-alive")

    @abstractmethod
    def done(self, count: int) -> bytes:
        """Return the event that says that all `count` items were sent."""

    @abstractmethod
    def failed(self, code: str, message: str) -> bytes:
        """Return the event that reports a failure. It is the last event."""

    def end(self, count: int) -> bytes:
        """Return the end, with the id that keeps `EventSource` from repeating the request."""
        return _with_id(self.done(count), END_ID)

    def error(self, code: str, message: str) -> bytes:
        """Return the failure, with the same id as the end unless the client should reconnect."""
        return _with_id(self.failed(code, message), "" if code == ServerStopping.code else END_ID)

    def kept(self, line: bytes, id: str) -> bytes:
        return _with_id(self.one(stored_event(line, "")), id)

    def last(self, event: StoredEvent) -> bytes:
        facts = cast("dict[str, Any]", event.data)
        if event.type == "end":
            return _with_id(self.done(facts["count"]), event.id)
        failure = failure_of(event)
        code, message = facts.get("code", failure.code), facts.get("message") or str(failure)
        return _with_id(self.failed(code, message), event.id)

    def come_back(self, retry: int) -> bytes:
        # This becomes part of the first event; it is not an event of its own.
        return b"retry: %d\n" % retry


def text_of(item: object, format: str) -> str:
    """Return what `as_text` writes for an item."""
    if isinstance(item, Typed):
        return item.to_text()
    if isinstance(item, Event):
        check_source_event(item)
        item = item.data
    if isinstance(item, str):
        return item
    if isinstance(item, bytes | bytearray | memoryview):
        raise ItemRefused(f"{format} takes text, not bytes; decode them")
    return to_json(item).decode() + "\n"


def _with_id(block: bytes, id: str) -> bytes:
    return b"%bid: %b\n\n" % (block[:-1], id.encode()) if block and id else block
