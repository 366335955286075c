"""What a store keeps of an item: one line of JSON. And how that line becomes an event again.

The line is `{"type":…,"kind":…,"time":…,"data":…}`, always in this order and without spaces, so
that a format can cut the data out of it unchanged. `kind` says how the item looks as text.
Rule: no I/O here.
"""

from __future__ import annotations

__all__ = (
    "StoredEvent",
    "failure_of",
    "last_line",
    "log_text",
    "split_line",
    "stored_event",
    "stored_line",
)

from collections.abc import Callable
from time import time
from typing import Any, NamedTuple, cast

from ..errors import (
    CursorLost,
    ItemRefused,
    StreamCancelled,
    StreamError,
    StreamFailed,
    StreamOrphaned,
)
from .event import RESERVED_TYPES, Event, Typed, check_source_event
from .json import from_json, to_json
from .lines import Line

# As much as a reader of event streams accepts by default. Everything that waits is bounded in
# bytes, and one event is the least that can wait.
MAX_EVENT_BYTES = 1 << 20

# What `as_text` writes where events are missing.
GAP_TEXT = "--- {missed} events are no longer kept ---\n"

# A fast path for dicts, which most sources yield. Lists, numbers and models use `_LINE`.
_DICT = b'{"type":"message","kind":"json","time":%.3f,"data":%b}'
_LINE = b'{"type":%b,"kind":"%b","time":%.3f,"data":%b}'


def stored_line(item: object) -> bytes:
    """Return the line that a store keeps of an item; b"" for an item that is not kept."""
    if type(item) is dict:
        line = _DICT % (time(), to_json(item))
        return line if len(line) <= MAX_EVENT_BYTES else _checked(line)
    kind = "json"
    event: Event | None
    if isinstance(item, StoredEvent):  # an event of another stream
        check_source_event(item)
        kind, event = item.kind, item
    elif isinstance(item, Typed):
        kind, event = item.kind, item.to_stored()
        if event is None:
            return b""
    elif isinstance(item, Event):
        check_source_event(item)
        kind, event = "text" if isinstance(item.data, str) else "json", item
    elif isinstance(item, str):
        kind, event = "text", Event(data=item)
    elif isinstance(item, bytes | bytearray | memoryview):
        raise ItemRefused("bytes are not kept in a stream; decode them, or send a reference")
    else:
        event = Event(data=item)
    return _checked(_line(event, kind))


def _checked(line: bytes) -> bytes:
    if len(line) > MAX_EVENT_BYTES:
        raise ItemRefused(f"an item of a stream has at most {MAX_EVENT_BYTES} bytes as JSON")
    return line


def last_line(event: Event) -> bytes:
    """Return the line of the event that ends a stream."""
    return _line(event, "json")


def _line(event: Event, kind: str) -> bytes:
    when = time() if event.time is None else event.time
    return _LINE % (to_json(event.type), kind.encode(), when, to_json(event.data))


class Split(NamedTuple):
    """The parts of a line. All but the kind are still JSON."""

    type: bytes
    kind: bytes
    time: bytes
    data: bytes


def split_line(line: bytes) -> Split:
    """Cut a line into its parts, without parsing the data."""
    # A quote inside a string has a backslash before it, so no type can contain these separators.
    head, _, data = line.partition(b',"data":')
    head, _, time = head.rpartition(b',"time":')
    type, _, kind = head.rpartition(b',"kind":')
    return Split(type[8:], kind[1:-1], time, data[:-1])


class StoredEvent(Event, Typed):
    """An event of a stream, as a follower receives it. It knows how its item looks as text."""

    __slots__ = ("kind", "text")

    kind: str  # type: ignore[misc]  # set on each event, not on the class
    text: str

    def __str__(self) -> str:
        """Return the text of the item; empty for items that are not text."""
        return self.text

    def to_text(self) -> str:
        """Return what `as_text` writes. A reset raises `CursorLost`: text cannot express it."""
        if self.type == "reset":
            raise CursorLost
        return self.text

    def to_event(self) -> Event:
        """Return the event without its id: a client cannot resume the response of a step."""
        data = self.data
        if self.kind == "json" and isinstance(data, str):  # from a date, say: JSON, not text
            data = to_json(data).decode()
        return Event(self.type, data, time=self.time)


def stored_event(line: bytes, id: str) -> StoredEvent:
    """Return the event that a line holds."""
    parts = split_line(line)
    type, kind, data = from_json(parts.type), parts.kind.decode(), from_json(parts.data)
    text = _TEXTS.get(kind, _json_text)(type, data)
    if kind == "line" and isinstance(data, dict):
        data = (
            {"text": data["text"], "stream": data["stream"]} if "stream" in data else data["text"]
        )
    return make_stored(type, data, id=id, kind=kind, text=text, time=float(parts.time))


def make_stored(
    type: str,
    data: object,
    *,
    id: str = "",
    kind: str = "json",
    text: str = "",
    time: float | None = None,
) -> StoredEvent:
    """Create a stored event. Reserved types such as a gap or a reset are allowed here."""
    event = StoredEvent(type, data, id=id, time=time)
    object.__setattr__(event, "kind", kind)
    if type in RESERVED_TYPES:
        # The data of a gap that another server sent is text, not a dict.
        missed = data.get("missed", "some") if isinstance(data, dict) else "some"
        text = GAP_TEXT.format(missed=missed) if type == "gap" else ""
    object.__setattr__(event, "text", text)
    return event


def failure_of(last: StoredEvent) -> StreamError:
    """Return the error to raise to a follower for a last event other than `end`."""
    facts = cast("dict[str, Any]", last.data)
    match last.type:
        case "error":
            return StreamFailed(facts["code"], facts["message"])
        case "cancelled":
            return StreamCancelled(facts["reason"])
    return StreamOrphaned()


def _json_text(_: str, data: object) -> str:
    return to_json(data).decode() + "\n"


def _line_text(_: str, data: Any) -> str:
    came = data if isinstance(data, dict) else {"text": data}
    text, options = came["text"], {name: came[name] for name in came if name != "text"}
    return Line(text, **options).to_text()


def log_text(timestamp: str, level: str, message: str) -> str:
    """Return what a log record looks like as text."""
    return f"[{timestamp}] {level.upper()}: {message}\n"


def _nothing(*_: object) -> str:
    return ""


_TEXTS: dict[str, Callable[[str, Any], str]] = {
    "text": lambda _, data: data,
    "json": _json_text,
    "line": _line_text,
    "log": lambda _, data: log_text(data["timestamp"], data["log_level"], data["message"]),
    "progress": _nothing,
    "exit": _nothing,
    # Of a model's events, only its text counts as text; it is an unnamed event.
    "model": lambda type, data: data.get("text", "") if type == "message" else "",
}
