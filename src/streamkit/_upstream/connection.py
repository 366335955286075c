"""`EventConnection`: one connection to an event stream at a time; the next one goes on there."""

from __future__ import annotations

__all__ = ("EventConnection", "EventRequest", "event_request")

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from anyio import CancelScope, current_time
from anyio.lowlevel import checkpoint_if_cancelled

from .._items.event import Event
from ..errors import UpstreamSilent
from .events import EventReader
from .request import request

# They are of one connection, and the next one makes its own.
OF_A_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class EventRequest:
    """What is asked for; each connection asks the same."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None


def event_request(
    url: Any,
    *,
    method: str,
    headers: Mapping[str, str] | None,
    content: bytes | None,
    is_json: bool,
) -> EventRequest:
    """Make a request for an event stream, of a URL or of a request of httpx2 or httpx."""
    own = {"Content-Type": "application/json"} if is_json else {}
    if hasattr(url, "method") and hasattr(url, "headers"):
        own |= {n: v for n, v in url.headers.items() if n.lower() not in OF_A_CONNECTION}
        method, content = method or url.method, content if content is not None else url.read()
        url = url.url
    accepted = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    # In one spelling, so that each is there once.
    merged = {n.title(): v for n, v in [*accepted.items(), *own.items(), *(headers or {}).items()]}
    method = method or ("POST" if content else "GET")
    if not str(url).lower().startswith(("http://", "https://")):
        raise ValueError("a URL begins with http:// or https://")  # it may hold a key: not shown
    return EventRequest(method.upper(), str(url), merged, content or None)


class EventConnection:
    """Open it, read events until there are none, close it; open it again to go on from there."""

    def __init__(
        self,
        client: Any,
        request: EventRequest,
        *,
        last_event_id: str,
        connect_timeout: float,
        first_timeout: float | None,
        idle_timeout: float | None,
        max_event_bytes: int,
    ) -> None:
        self.retry: float | None = None
        """How long the server asks clients to wait before they reconnect, in seconds."""
        self._client, self._request = client, request
        self._last_event_id = last_event_id
        self._connect_timeout = _checked("connect_timeout", connect_timeout)
        self._first_timeout = _checked("first_timeout", first_timeout)
        self._idle_timeout = _checked("idle_timeout", idle_timeout)
        self._max_event_bytes = max_event_bytes
        self.is_open = False
        """Whether there is something to close."""
        self._events: EventReader

    @property
    def is_get(self) -> bool:
        """Tell whether asking again does nothing that was not asked for."""
        return self._request.method == "GET"

    @property
    def has_place(self) -> bool:
        """Tell whether the server has said where the next connection goes on."""
        last = self._last_event_id  # it may hold what no header can
        return last != "" and last.isascii() and last.isprintable()

    async def open(self) -> bool:
        """Send the request; False when the answer is that nothing more comes."""
        self._silence = self._first_timeout
        begun = current_time()
        # Spelled as in the request, whose own it replaces.
        place = {"Last-Event-ID".title(): self._last_event_id} if self.has_place else {}
        sent = request(
            self._client,
            self._request.method,
            self._request.url,
            headers={**self._request.headers, **place},
            content=self._request.content,
            connect_timeout=self._connect_timeout,
        )
        events = EventReader(
            max_event_bytes=self._max_event_bytes, last_event_id=self._last_event_id
        )
        try:
            with CancelScope(deadline=begun + self._silence):
                if not await events.open(sent):
                    return False
                # Counted on when somebody reads: a reader may take its time.
                self._patience = self._silence - (current_time() - begun)
                self._events, self.is_open = events, True
                return True
        finally:
            if not self.is_open:
                await events.close()
        raise UpstreamSilent(self._silence)

    async def read(self) -> list[Event] | None:
        """Return the events that the next bytes complete; None at the end of bytes.

        A call that was cancelled may have lost some: close it then.
        """
        # A reader whose bytes are always there before it waits would never be cancelled, on uvloop.
        await checkpoint_if_cancelled()
        with CancelScope(deadline=current_time() + self._patience):
            events = await self._events.read()
            self._silence = self._patience = self._idle_timeout
            if events is not None:
                decoder = self._events.decoder
                self._last_event_id = decoder.last_event_id
                if decoder.retry is not None:
                    self.retry = decoder.retry / 1000
            return events
        raise UpstreamSilent(self._silence)

    async def close(self) -> None:
        if self.is_open:
            self.is_open = False
            await self._events.close()


def _checked(name: str, seconds: float | None) -> float:
    if seconds is None:
        return inf
    if not seconds > 0:  # NaN compares with nothing
        raise ValueError(f"{name} is a time above 0 s, or None, not {seconds}")
    return seconds
