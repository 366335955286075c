"""`as_event_jsonl`: each event is a line of JSON with its id, and the end is the last line."""

from __future__ import annotations

__all__ = ("as_event_jsonl",)

from time import time

from .._items.event import Event
from .._items.format import Encoder, Format
from .._items.json import to_json
from .._items.stored import StoredEvent, split_line, stored_line


class _EventLines(Encoder[object]):
    def one(self, item: object) -> bytes:
        if isinstance(item, StoredEvent):  # from a step
            return _line(item)
        line = stored_line(item)
        return self.kept(line, "") if line else b""

    def kept(self, line: bytes, id: str) -> bytes:
        type, _, when, data = split_line(line)
        return b'{"id":"%b","type":%b,"time":%b,"data":%b}\n' % (id.encode(), type, when, data)

    def end(self, count: int) -> bytes:
        return _line(Event("end", {"state": "done", "count": count}, time=time()))

    def error(self, code: str, message: str) -> bytes:
        facts = {"state": "error", "code": code, "message": message}
        return _line(Event("error", facts, time=time()))

    def notice(self, event: Event) -> bytes:
        return _line(event)

    def last(self, event: StoredEvent) -> bytes:
        return _line(event)


def _line(event: Event) -> bytes:
    facts = {"id": event.id, "type": event.type, "time": event.time, "data": event.data}
    return to_json(facts) + b"\n"


as_event_jsonl: Format[object] = Format(
    "as_event_jsonl", "application/jsonl", _EventLines, shared=True
)
"""JSON lines `{"id","type","time","data"}`, for programs. Structure and the end are included."""
