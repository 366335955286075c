"""An answer that is an event stream, decoded in one place."""

from __future__ import annotations

__all__ = ("EventReader", "retry_after")

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time

from .._feeding.closing import close
from .._items.event import Event
from .._items.sse import SSEDecoder
from ..errors import UpstreamContentType, UpstreamStatus
from .request import Response


class EventReader:
    """Open an event stream, read it until there are no more bytes, and close it in any case."""

    def __init__(self, *, max_event_bytes: int, last_event_id: str = "") -> None:
        self.decoder = SSEDecoder(max_event_bytes=max_event_bytes, last_event_id=last_event_id)
        self._stack = AsyncExitStack()
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, request: AbstractAsyncContextManager[Response]) -> bool:
        """Send the request; False when the answer is that nothing more comes."""
        response = await self._stack.enter_async_context(request)
        if response.status == 204:
            return False
        if response.status != 200:
            body, wish = await response.beginning(), retry_after(response.headers)
            raise UpstreamStatus(response.status, body, retry_after=wish)
        content_type = response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise UpstreamContentType(content_type[:200], await response.beginning())
        self._chunks = response.chunks()
        self._stack.push_async_callback(_close_unless_read, self._chunks)
        return True

    async def read(self) -> list[Event] | None:
        """Return the events that the next bytes complete; None at the end of bytes.

        A call that was cancelled may have lost some: close it then.
        """
        self.decoder.feed(b"")  # what is too large may have come behind events that were returned
        chunk = None if self._chunks is None else await anext(self._chunks, None)
        return None if chunk is None else self.decoder.feed(chunk)

    async def close(self) -> None:
        """Close the connection at once; it can be opened again."""
        await self._stack.aclose()


async def _close_unless_read(chunks: AsyncIterator[bytes]) -> None:
    # Another task may wait for bytes: it gets an error when the connection is closed.
    if not getattr(chunks, "ag_running", False):
        await close(chunks)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - time())
    except (ValueError, OverflowError):
        return None
