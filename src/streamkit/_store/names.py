"""The names of streams. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("check_name", "stream_name")

import re
from urllib.parse import quote

from ..errors import InvalidName

_NAME = re.compile(r"[A-Za-z0-9._~:@%-]{1,200}")


def stream_name(*parts: str) -> str:
    """Return a name made of parts, whatever is in them; other parts give another name.

    Each is percent-encoded, its colons too, and they are joined by colons. An f-string would let
    `("a:b", "c")` and `("a", "b:c")` share a stream. The result may be too long for a name.

    Example:
        stream_name("runs", "Q3 report.pdf", "parse")  # runs:Q3%20report.pdf:parse
    """
    return check_name(":".join(quote(part, safe="") for part in parts))


stream_name.__module__ = "streamkit"


def check_name(name: str) -> str:
    """Return the name, or raise `InvalidName`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidName
    return name
