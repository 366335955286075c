"""`as_jsonl`: one record per line."""

from __future__ import annotations

__all__ = ("as_jsonl",)

from .._items.event import RESERVED_TYPES, Event, Typed, check_source_event
from .._items.format import Encoder, Format
from .._items.json import to_json
from .._items.stored import StoredEvent
from ..errors import CursorLost


class _JsonLines(Encoder[object]):
    def one(self, item: object) -> bytes:
        if isinstance(item, StoredEvent) and item.type in RESERVED_TYPES:
            raise CursorLost  # a gap or a reset, from a step
        if isinstance(item, StoredEvent) and item.kind in ("json", "text"):
            item = item.data
        elif isinstance(item, Typed):
            event = item.to_event()
            if event is None or event.type != "message":  # structure, such as an exit
                return b""
            item = event.data
        elif isinstance(item, Event):
            check_source_event(item)
            item = item.data
        return to_json(item) + b"\n"


as_jsonl: Format[object] = Format("as_jsonl", "application/jsonl", _JsonLines, shared=True)
"""JSON lines, one per item; a `str` becomes a JSON string. A failure cuts the connection."""
