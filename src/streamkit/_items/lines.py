"""Bytes cut anywhere → lines. Rule: no I/O here.

A line ends in LF, CRLF or a bare CR. A bare CR means that the next line overwrites this one, as
progress bars do. A CR at the end of a chunk is held back until we know whether an LF follows.
"""

from __future__ import annotations

__all__ = ("Line", "LineDecoder", "Lines")

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from typing import Self, overload

from .event import Event, Typed

# asyncio's reader loses a longer line. We cut it instead, and mark the pieces as `cut`.
MAX_LINE = 1 << 16

_ENDS = re.compile(r"\r\n|\r|\n")


class Line(str, Typed):
    """A line of text without its line end, and how it arrived.

    `stream` is "stdout" or "stderr" where they are told apart, else empty. `overwritten` means that
    the line ended in a bare CR, so the next line overwrites it. `partial` means that it has not
    ended yet, such as a prompt; the whole line comes later. `cut` means that it is a piece of a
    line that is too long.

    Methods of `str` return a plain `str`; use `like` to keep the attributes.
    """

    __slots__ = ("cut", "overwritten", "partial", "stream")

    kind = "line"

    stream: str
    overwritten: bool
    partial: bool
    cut: bool

    def __new__(
        cls,
        text: str,
        *,
        stream: str = "",
        overwritten: bool = False,
        partial: bool = False,
        cut: bool = False,
    ) -> Self:
        line = super().__new__(cls, text)
        line.stream = stream
        line.overwritten = overwritten
        line.partial = partial
        line.cut = cut
        return line

    def like(self, text: str) -> Line:
        """Return a line with another text and the same attributes.

        Example:
            async def redact(lines: AsyncIterable[Line]) -> AsyncGenerator[Line, None]:
                async for line in lines:
                    if isinstance(line, Line):  # the last item of a command is its Exit
                        line = line.like(line.replace("hunter2", "*******"))
                    yield line
        """
        return Line(
            text,
            stream=self.stream,
            overwritten=self.overwritten,
            partial=self.partial,
            cut=self.cut,
        )

    def to_text(self) -> str:
        """Return the line with its line end, or an empty string for a partial line."""
        if self.partial:
            return ""
        if self.cut:
            return str(self)
        return self + ("\r" if self.overwritten else "\n")

    def to_event(self) -> Event | None:
        """Return an unnamed event with the text, or None for a partial line."""
        if self.partial:
            return None
        return Event(data={"text": str(self), "stream": self.stream} if self.stream else str(self))

    def to_stored(self) -> Event | None:
        """Return the text and the attributes that are set, or None for a partial line."""
        if self.partial:
            return None
        came = {
            name: value
            for name in ("stream", "overwritten", "cut")
            if (value := getattr(self, name))
        }
        return Event(data={"text": str(self), **came} if came else str(self))


class Lines(Sequence[Line]):
    """Lines that are split on first access.

    Formats that only pass them on use `raw`: an object for each line would cost ten times as much.
    """

    __slots__ = ("_lines", "raw", "stream")

    def __init__(self, raw: bytes, stream: str = "") -> None:
        """`raw` must be valid UTF-8: whole lines that each end in LF, without any CR."""
        self.raw = raw
        self.stream = stream
        self._lines: list[Line] | None = None

    def __len__(self) -> int:
        return self.raw.count(b"\n")

    def __bool__(self) -> bool:
        """Return whether there are any lines, without counting them."""
        return bool(self.raw)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        return self._split()[index]

    def __iter__(self) -> Iterator[Line]:
        return iter(self._split())

    def _split(self) -> list[Line]:
        if self._lines is None:
            texts = self.raw.decode().split("\n")
            self._lines = [Line(text, stream=self.stream) for text in texts[:-1]]
        return self._lines


class LineDecoder:
    r"""Turn the bytes of a text, cut anywhere, into lines.

    Invalid UTF-8 becomes U+FFFD. A line of more than `max_line` characters arrives in pieces of
    that size. All pieces except the last are marked as `cut`.

    Example:
        decoder = LineDecoder()
        decoder.feed(b"one\ntw")  # ["one"]
        decoder.feed(b"o\nthree")  # ["two"]
        decoder.pause()  # ["three"], partial
        decoder.end()  # ["three"]
    """

    def __init__(self, *, stream: str = "", max_line: int = MAX_LINE) -> None:
        """`stream` becomes the `stream` of each line."""
        if max_line < 1:
            raise ValueError(f"max_line is at least one character, not {max_line}")
        self._stream = stream
        self._max_line = max_line
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []  # the unfinished line, at most `max_line` characters
        self._size = 0
        self._told = 0  # how much of it was returned as partial
        self._held_cr = False
        self._skip_lf = False

    def feed(self, chunk: bytes) -> Sequence[Line]:
        """Return the lines that `chunk` completes."""
        end = chunk.rfind(b"\n") + 1
        if end and not (self._held_cr or self._skip_lf):
            raw = self._unfinished() + chunk[:end]
            if self._is_plain(raw):
                self._decoder.reset()
                self._parts, self._size, self._told = [], 0, 0
                lines = Lines(raw, self._stream)
                rest = self._split(self._decoder.decode(chunk[end:]))
                return [*lines, *rest] if rest else lines
        return self._split(self._decoder.decode(chunk))

    def pause(self) -> list[Line]:
        """Return the unfinished line when nothing came for a while: a prompt, a progress bar.

        An unfinished line is returned once as partial, and again when it is complete. A CR that
        was held back ends its line.
        """
        if self._held_cr:
            self._held_cr, self._skip_lf = False, True
            return [self._finished(overwritten=True)]
        if self._size == self._told:
            return []
        self._told = self._size
        return [Line("".join(self._parts), stream=self._stream, partial=True)]

    def end(self) -> list[Line]:
        """Return the last line, if it has no line end."""
        lines = self._split(self._decoder.decode(b"", final=True))
        if self._held_cr:
            lines.append(self._finished(overwritten=True))
        elif self._parts:
            lines.append(self._finished())
        return lines

    def _unfinished(self) -> bytes:
        return "".join(self._parts).encode() + self._decoder.getstate()[0]

    def _is_plain(self, raw: bytes) -> bool:
        """Return whether all lines are valid UTF-8, end in LF, have no CR and are not too long."""
        if b"\r" in raw:
            return False
        start = 0
        while start + self._max_line < len(raw):
            start = raw.rfind(b"\n", start, start + self._max_line + 1) + 1
            if not start:
                return False
        try:
            return raw.isascii() or bool(raw.decode())
        except UnicodeDecodeError:
            return False

    def _split(self, text: str) -> list[Line]:
        if not text:
            return []
        if self._skip_lf:
            text, self._skip_lf = text.removeprefix("\n"), False
        if self._held_cr:
            text, self._held_cr = "\r" + text, False
        if text.endswith("\r"):
            text, self._held_cr = text[:-1], True
        lines: list[Line] = []
        start = 0
        for end in _ENDS.finditer(text):
            self._grow(text[start : end.start()], lines)
            lines.append(self._finished(overwritten=end[0] == "\r"))
            start = end.end()
        self._grow(text[start:], lines)
        return lines

    def _grow(self, text: str, lines: list[Line]) -> None:
        if not text:
            return
        self._parts.append(text)
        self._size += len(text)
        if self._size > self._max_line:
            text, size = "".join(self._parts), self._max_line
            rest = (self._size - 1) // size * size
            lines += [
                Line(text[start : start + size], stream=self._stream, cut=True)
                for start in range(0, rest, size)
            ]
            self._parts, self._size, self._told = [text[rest:]], len(text) - rest, 0

    def _finished(self, *, overwritten: bool = False) -> Line:
        line = Line("".join(self._parts), stream=self._stream, overwritten=overwritten)
        self._parts, self._size, self._told = [], 0, 0
        return line
