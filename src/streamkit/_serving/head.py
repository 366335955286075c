"""Headers and statuses that every adapter decides the same way. Rule: no I/O and no framework."""

from __future__ import annotations

__all__ = (
    "GONE_STATUS",
    "error_answer",
    "seen_the_end",
    "stream_headers",
)

import logging
from collections.abc import Mapping
from typing import Any

from .._items.format import Format
from .._items.sse import END_ID, EVENT_STREAM
from ..errors import StreamkitError
from ..errors._base import public_words

logger = logging.getLogger("streamkit")

# For a client that left before the first byte. It never arrives, but middleware expects a start.
GONE_STATUS = 499


def stream_headers(format: Format[Any], own: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return the headers of a streamed response. All of the user's own headers take precedence."""
    if not isinstance(format, Format):
        raise TypeError(f"{format!r} is not a format; pass as_sse, as_text, or one of your own")
    ours = {
        "content-type": format.media_type,
        # Proxies must neither cache nor compress events that have to arrive at once.
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        # Without this, browsers hold back the start of a text to guess its type.
        "x-content-type-options": "nosniff",
    }
    theirs = [(name.lower(), value) for name, value in (own or {}).items()]
    for name, _ in theirs:
        ours.pop(name, None)
    return [*ours.items(), *theirs]


def seen_the_end(format: Format[Any], last_event_id: str | None) -> bool:
    """Return whether a client that reconnects already has everything; then the answer is 204."""
    return last_event_id == END_ID and format.media_type.startswith(EVENT_STREAM)


def error_answer(error: StreamkitError) -> tuple[dict[str, str], int]:
    """Return the body and the status for an error that is raised before anything was sent.

    Errors that are not the client's mistake are logged, with details that the client does not see.
    """
    code, message = public_words(error)
    if error.status >= 500:
        logger.error("a request failed: %s", code, exc_info=error)
    return {"error": code, "message": message}, error.status
