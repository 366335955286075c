"""The files that the children write out: lines of 44 bytes, each different, and one without an end.

Rule: no streamkit and no framework in here.
"""

from __future__ import annotations

__all__ = ("LONG", "LONG_BYTES", "Expected", "write_lines", "write_long")

import zlib
from pathlib import Path
from typing import NamedTuple

LONG = "long"
LONG_BYTES = 10_000_000

_AT_ONCE = 50_000


class Expected(NamedTuple):
    """What a client must find: how many line ends, and the checksum of all bytes of the text."""

    lines: int
    checksum: int


def write_lines(directory: Path, count: int) -> Expected:
    """Write the file named after its count of lines, and so leave it in the page cache."""
    checksum = 0
    with (directory / str(count)).open("wb") as file:
        for start in range(0, count, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, count))
            text = b"".join([b"2026-01-02T15:04:05Z INFO request %09d\n" % n for n in numbers])
            checksum = zlib.crc32(text, checksum)
            file.write(text)
    return Expected(count, checksum)


def write_long(directory: Path) -> Expected:
    """Write one line without its end; the text that is sent has one."""
    line = b"".join(b"%09d " % n for n in range(LONG_BYTES // 10))
    (directory / LONG).write_bytes(line)
    return Expected(1, zlib.crc32(line + b"\n"))
