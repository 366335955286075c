"""`as_relay`: an answer and its sources as `message`, `sources` and `end`, for chat pages."""

from __future__ import annotations

__all__ = ("as_relay",)

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast

from .._items.event import Event, Typed, check_source_event
from .._items.event_stream import EventEncoder, text_of
from .._items.format import Format
from .._items.json import to_json
from .._items.sse import EVENT_STREAM, encode_sse
from .._items.stored import StoredEvent
from ..models import Sources


class _Relay(EventEncoder):
    """Named events. Their JSON has spaces, as existing clients of this format expect."""

    def begin(self) -> bytes:
        return b'data: {"event": "start", "data": {"message": "Starting AI response..."}}\n\n'

    def one(self, item: object) -> bytes:
        if isinstance(item, Sources):
            return _sources(map(asdict, item.items))
        if isinstance(item, StoredEvent):
            return _kept(item)
        if isinstance(item, str | Typed):
            return _content(text_of(item, "as_relay"))
        if isinstance(item, Event):
            check_source_event(item)
            return _said(item, is_text=isinstance(item.data, str))
        return _value(item)

    def done(self, count: int) -> bytes:  # noqa: ARG002 - the format has no place for it
        return b'event: end\ndata: {"type": "end"}\n\n'

    def failed(self, code: str, message: str) -> bytes:  # noqa: ARG002 - all errors look the same
        return b'event: error\ndata: {"error": "Failed to process message"}\n\n'


def _kept(event: StoredEvent) -> bytes:
    """Write an event of a stream in the same way as its item."""
    if event.kind == "model" and event.type == "sources":
        return _sources(cast("dict[str, Any]", event.data)["items"])
    if event.kind in ("json", "text"):
        return _said(event.to_event(), is_text=event.kind == "text")
    return _content(event.text)


def _said(event: Event, *, is_text: bool) -> bytes:
    if event.type != "message":
        return _event(event.type, event.data)
    return _content(str(event.data)) if is_text else _value(event.data)


def _value(value: object) -> bytes:
    match value:
        case {"event": str(type), "data": data, **rest} if not rest:
            event = Event(type, data)
            check_source_event(event)
            return _event(type, data)
    return _event("message", text_of(value, "as_relay").removesuffix("\n"))


def _content(text: str) -> bytes:
    if not text:
        return b""
    return b'event: message\ndata: {"type": "content", "content": %b}\n\n' % to_json(text)


def _sources(sources: Iterable[Mapping[str, object]]) -> bytes:
    each = b", ".join(
        b'{"id": %b, "title": %b, "content": %b}'
        % tuple(to_json(source[name]) for name in ("id", "title", "content"))
        for source in sources
    )
    return b'event: sources\ndata: {"type": "sources", "sources": [%b]}\n\n' % each


def _event(type: str, data: object) -> bytes:
    # Unlike other formats, this one writes out `event: message`.
    named = b"event: message\n" if type == "message" else b""
    return named + encode_sse(Event(type, data))


as_relay: Format[object] = Format("as_relay", f"{EVENT_STREAM}; charset=utf-8", _Relay, shared=True)
"""Server-sent events: text as `message`, `Sources` as `sources`, then `end`, or `error` and no end.
A dict `{"event", "data"}` becomes that event; other values become an unchanged `message`."""
