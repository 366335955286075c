"""The names of streams. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("check_name", "stream_name")

import re
from urllib.parse import quote

from ..errors import InvalidName

_NAME = re.compile(r"[A-Za-z0-9._~:@%-]{1,200}")


def stream_name(*parts: str) -> str:
    """Build a name from parts that may hold any text. Different parts give different names.

    Each part is percent-encoded, including its colons, and the parts are joined with colons. With
    an f-string, `("a:b", "c")` and `("a", "b:c")` would share a stream. Raises `InvalidName` if
    the result is too long for a name.

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
