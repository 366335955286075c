"""Encode and decode event streams exactly as the WHATWG specifies them. Rule: no I/O here.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

__all__ = ("END_ID", "EVENT_STREAM", "SSEDecoder", "encode_comment", "encode_sse", "encode_text")

from ..errors import EventTooLarge, InvalidEvent
from .event import Event, decoded_event
from .json import to_json, to_utf8

EVENT_STREAM = "text/event-stream"

# The id of the last frame of a request-bound event stream. `EventSource` reconnects after every
# end: without this id it would run the source again and again.
END_ID = "end"

_BOM = b"\xef\xbb\xbf"


def encode_sse(event: Event, *, retry: int | None = None, comment: str | None = None) -> bytes:
    r"""Write an event as one block: comment, `retry`, `event`, `data`, `id`, and a blank line.

    Text is sent unchanged, any other data as compact JSON. CR, LF and CRLF in the data all arrive
    as LF. Nothing in the data or the comment can forge a field or another event. `retry` is in
    milliseconds, from 0 to 2**31 - 1; any other value raises `InvalidEvent`.

    Example:
        encode_sse(Event("price", "12.5", id="a.1"))
        # b"event: price\ndata: 12.5\nid: a.1\n\n"
    """
    block = b"" if comment is None else _field(b": ", to_utf8(comment))
    if retry is not None:
        block += b"retry: %d\n" % _checked_retry(retry)
    # A type or id has no line ends: `Event` and the decoder make sure of that.
    if event.type != "message":
        block += b"event: %b\n" % to_utf8(event.type)
    data = event.data
    block += _field(b"data: ", to_utf8(data) if isinstance(data, str) else to_json(data))
    # The id goes last, because many clients store it as soon as they parse its line: if the
    # connection broke between the id and the data, they would lose the event.
    if event.id:
        block += b"id: %b\n" % to_utf8(event.id)
    return block + b"\n"


def encode_text(text: str) -> bytes:
    r"""Write text as the data of an unnamed event, like `encode_sse(Event(data=text))` but faster.

    Example:
        encode_text("hello")  # b"data: hello\n\n"
    """
    data = to_utf8(text)
    if b"\n" in data or b"\r" in data:
        return _field(b"data: ", data) + b"\n"
    return b"data: " + data + b"\n\n"


def encode_comment(text: str) -> bytes:
    r"""Write a comment, which every client ignores. It keeps an idle connection alive.

    Example:
        encode_comment("keep-alive")  # b": keep-alive\n\n"
    """
    return _field(b": ", to_utf8(text)) + b"\n"


def _field(prefix: bytes, value: bytes) -> bytes:
    # Only CR and LF end a line here; `splitlines` would also split at U+2028 and others.
    if b"\n" in value or b"\r" in value:
        value = _only_lf(value).replace(b"\n", b"\n" + prefix)
    return prefix + value + b"\n"


def _only_lf(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _checked_retry(retry: int) -> int:
    if isinstance(retry, int) and not isinstance(retry, bool) and 0 <= retry < 2**31:
        return retry
    raise InvalidEvent("retry", str(retry), "must be an integer from 0 to 2147483647")


class SSEDecoder:
    r"""Turn the bytes of an event stream, cut anywhere, into events.

    `last_event_id` is the id to reconnect with. `retry` is the delay that the server asks for, in
    milliseconds, or None. As in `EventSource`, an event carries the last id seen when it was
    complete, its own or an earlier one. Invalid UTF-8 becomes U+FFFD. An event without its blank
    line is never returned: when the bytes end there is nothing to flush.

    The lines of one event may have `max_event_bytes` in total, not counting line ends. Comments
    are not kept and do not add up, but a single comment may not be longer than that either.

    Example:
        decoder = SSEDecoder()
        decoder.feed(b"id: 7\ndata: hel")  # []
        decoder.feed(b"lo\n\n")  # [Event("message", "hello", id="7")]
    """

    def __init__(self, *, max_event_bytes: int = 1 << 20, last_event_id: str = "") -> None:
        """Start before the first byte. Use a new decoder for each connection.

        Pass the `last_event_id` of the previous connection to a connection that resumes it.
        """
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._max_bytes = max_event_bytes
        self._too_large = False
        self._start: bytes | None = b""  # a BOM, or what may become one; None after it
        self._after_cr = False
        self._line = bytearray()  # the unfinished one
        self._held_bytes = 0  # bytes of the finished lines of the unfinished event
        self._data: list[str] = []
        self._type = ""
        self._id = last_event_id

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completes.

        Raises `EventTooLarge` once the bound is exceeded, on this call and every later one. Events
        that the same chunk completed before that are not lost: this call returns them, and the
        next call raises, whatever it is fed.
        """
        events = [] if self._too_large else self._interpret(self._lines(chunk))
        if self._too_large and not events:
            raise EventTooLarge(self._max_bytes)
        return events

    def _lines(self, chunk: bytes) -> list[str]:
        chunk = self._normalized(chunk)
        end = chunk.rfind(b"\n") + 1
        lines = b""
        if end:
            lines = self._bounded(bytes(self._line) + chunk[:end])
            self._line.clear()
        if self._held_bytes + len(self._line) + len(chunk) - end > self._max_bytes:
            self._too_large = True
        else:
            self._line += chunk[end:]
        # Decoding all lines in one call is twice as fast as decoding each field, with the same
        # result: CR and LF are never part of another UTF-8 character, so none is cut or swallowed.
        return lines.decode("utf-8", "replace").split("\n")[:-1] if lines else []

    def _normalized(self, chunk: bytes) -> bytes:
        # Remove the BOM, and make all lines end in LF.
        if self._start is not None:
            chunk = self._start + chunk
            undecided = _BOM.startswith(chunk)
            self._start = chunk if undecided else None
            chunk = b"" if undecided else chunk.removeprefix(_BOM)
        if not chunk:
            return b""
        # A CR ends its line at once, so that no event waits; an LF that follows belongs to it.
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        return _only_lf(chunk) if b"\r" in chunk else chunk

    def _bounded(self, lines: bytes) -> bytes:
        # If all lines together fit the bound, only those after the last blank line are measured.
        end = lines.rfind(b"\n\n") + 1 if self._held_bytes + len(lines) <= self._max_bytes else 0
        for line in lines[end:-1].split(b"\n"):
            if not line:
                self._held_bytes = 0
            elif self._held_bytes + len(line) > self._max_bytes:
                self._too_large = True
                return lines[:end]
            elif not line.startswith(b":"):
                self._held_bytes += len(line)
            end += len(line) + 1
        return lines

    def _interpret(self, lines: list[str]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            name, _, value = line.partition(": ")
            if ":" in name:
                name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._type = value
            elif name == "id" and "\0" not in value:
                self._id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                # 18 digits are already forever, and int() refuses thousands of digits.
                self.retry = int(value.lstrip("0")[:18] or "0")
        return events

    def _dispatch(self, events: list[Event]) -> None:
        self.last_event_id = self._id
        if self._data:
            events.append(decoded_event(self._type or "message", "\n".join(self._data), self._id))
            self._data.clear()
        self._type = ""
