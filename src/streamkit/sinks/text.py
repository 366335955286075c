"""`as_text` and `as_bytes`: the content of the items, with nothing around it."""

from __future__ import annotations

__all__ = ("as_bytes", "as_text")

import codecs
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from .._items.event import Event, Typed, check_source_event
from .._items.format import Encoder, Format
from .._items.json import to_json, to_utf8
from .._items.lines import Lines
from ..errors import ItemRefused

_Bytes: TypeAlias = bytes | bytearray | memoryview


class _Text(Encoder[object]):
    """Text unchanged, bytes as UTF-8 that may be cut anywhere, other items as a line of JSON."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._cut = False  # whether the last bytes ended inside a character

    def one(self, item: object) -> bytes:
        if type(item) is str and not self._cut:
            return to_utf8(item)
        if isinstance(item, _Bytes):
            text = self._decoder.decode(item)
            self._cut = bool(self._decoder.getstate()[0])
            return text.encode()
        rest = self._rest() if self._cut else b""
        if isinstance(item, Typed):
            item = item.to_text()
        elif isinstance(item, Event):
            check_source_event(item)
            item = item.data
        return rest + (to_utf8(item) if isinstance(item, str) else to_json(item) + b"\n")

    def batch(self, items: Sequence[object]) -> Iterable[bytes]:
        if isinstance(items, Lines) and not self._cut:
            return [items.raw]
        return super().batch(items)

    def end(self, count: int) -> bytes:  # noqa: ARG002
        return self._rest()

    def notice(self, event: Event) -> bytes | None:
        return to_utf8(str(event)) if event.type == "gap" else None

    def _rest(self) -> bytes:
        self._cut = False
        return self._decoder.decode(b"", final=True).encode()


class _Raw(Encoder[_Bytes | str]):
    def one(self, item: object) -> bytes:
        if isinstance(item, Typed):
            return to_utf8(item.to_text())
        if isinstance(item, str):
            return to_utf8(item)
        if isinstance(item, _Bytes):
            return bytes(item)
        raise ItemRefused(f"as_bytes takes bytes and text, not {type(item).__name__}")


as_text: Format[object] = Format("as_text", "text/plain; charset=utf-8", _Text, shared=True)
"""Plain text: a `str` unchanged, other values as JSON lines. A failure cuts the connection."""

as_bytes: Format[_Bytes | str] = Format("as_bytes", "application/octet-stream", _Raw)
"""Bytes unchanged, text as UTF-8, and nothing else. A failure cuts the connection."""
