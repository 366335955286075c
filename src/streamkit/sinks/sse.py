"""`as_sse`: an event stream for `EventSource`, with an explicit end."""

from __future__ import annotations

__all__ = ("as_sse",)

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .._items.event import Event, Typed, check_source_event
from .._items.event_stream import EventEncoder
from .._items.format import Format
from .._items.json import from_json, to_json, to_utf8
from .._items.lines import Lines
from .._items.sse import EVENT_STREAM, encode_sse, encode_text
from .._items.stored import StoredEvent, split_line, stored_event
from ..errors import ItemRefused


class _Events(EventEncoder):
    """Content is unnamed, because `onmessage` receives only that. The end and errors are named."""

    def one(self, item: object) -> bytes:
        if type(item) is dict:
            return b"data: " + to_json(item) + b"\n\n"
        if type(item) is str:
            return encode_text(item)
        if isinstance(item, Typed):
            event = item.to_event()
            return b"" if event is None else encode_sse(event)
        if isinstance(item, str):
            return encode_text(item)
        if isinstance(item, Event):
            check_source_event(item)
            # Ids come from a log. One that a source invents would be a cursor to nowhere.
            return encode_sse(replace(item, id="") if item.id else item)
        if isinstance(item, bytes | bytearray | memoryview):
            raise ItemRefused("bytes need as_bytes or as_text")
        return b"data: " + to_json(item) + b"\n\n"

    def batch(self, items: Sequence[object]) -> Iterable[bytes]:
        if isinstance(items, Lines) and not items.stream:
            return [b"data: " + items.raw[:-1].replace(b"\n", b"\n\ndata: ") + b"\n\n"]
        return super().batch(items)

    def done(self, count: int) -> bytes:
        return encode_sse(Event("end", {"state": "done", "count": count}))

    def failed(self, code: str, message: str) -> bytes:
        return encode_sse(Event("error", {"state": "error", "code": code, "message": message}))

    def kept(self, line: bytes, id: str) -> bytes:
        type, kind, _, data = split_line(line)
        block = b"" if type == b'"message"' else b"event: %b\n" % to_utf8(from_json(type))
        if kind in (b"text", b"line"):
            # Text is sent as text, not as JSON; and a line may hold more than is sent.
            text = stored_event(line, "").data if b"\\" in data or data[:1] == b"{" else None
            if text is not None:
                return block + encode_sse(Event(data=text, id=id))
            data = data[1:-1]
        return b"%bdata: %b\nid: %b\n\n" % (block, data, id.encode())

    def notice(self, event: Event) -> bytes:
        return encode_sse(event)

    def last(self, event: StoredEvent) -> bytes:
        return encode_sse(event)


as_sse: Format[object] = Format("as_sse", f"{EVENT_STREAM}; charset=utf-8", _Events, shared=True)
"""Server-sent events: text unchanged, other values as JSON; then `event: end` or `event: error`."""
