"""`as_chunk_done`: each text as `{"chunk": …, "done": false}`, and an end that says `done`."""

from __future__ import annotations

__all__ = ("as_chunk_done",)

from .._items.event_stream import EventEncoder, text_of
from .._items.format import Format
from .._items.json import to_json
from .._items.sse import EVENT_STREAM


class _Chunks(EventEncoder):
    """Unnamed events. Their JSON has spaces, as existing clients of this format expect."""

    def one(self, item: object) -> bytes:
        text = text_of(item, "as_chunk_done")
        return b'data: {"chunk": %b, "done": false}\n\n' % to_json(text) if text else b""

    def done(self, count: int) -> bytes:  # noqa: ARG002 - the format has no place for it
        return b'data: {"chunk": "", "done": true}\n\n'

    def failed(self, code: str, message: str) -> bytes:  # noqa: ARG002 - nor for this
        return b'data: {"error": %b, "done": true}\n\n' % to_json(message)


as_chunk_done: Format[object] = Format(
    "as_chunk_done", f"{EVENT_STREAM}; charset=utf-8", _Chunks, shared=True
)
"""Server-sent events `{"chunk","done"}`, with what `as_text` writes for each item. The last one has
`"done": true`. If the source fails, it has an `"error"` instead of the chunk."""
