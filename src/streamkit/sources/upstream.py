"""`stream_sse`: another server's event stream, as a source that tells its end from a cut.

It keeps to the rules of event streams: an event that was cut is dropped, a new connection sends the
last id, and 204 means that nothing more comes.
"""

from __future__ import annotations

__all__ = ("Reconnect", "Upstream", "stream_sse")

import logging
from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from anyio import sleep

from .._feeding.batched import Batched
from .._feeding.closing import Feeding, feeding_now, register
from .._items.event import Event
from .._items.json import to_json
from .._items.stored import make_stored
from .._upstream.clients import is_http_client
from .._upstream.connection import EventConnection, event_request
from .._upstream.reconnect import Reconnect
from ..errors import (
    UpstreamCut,
    UpstreamError,
    UpstreamFailed,
    UpstreamSilent,
    UpstreamStatus,
    UpstreamTruncated,
    UpstreamUnreachable,
)

logger = logging.getLogger("streamkit")

Reconnect.__module__ = __name__  # where users import it from

Terminal: TypeAlias = Collection[str] | Callable[[Event], bool]
"""Types of events that are the end, whole data in brackets, or a function that takes an event."""

# Of a server that may be well again in a moment.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

FAILURES = frozenset({"error", "cancelled", "orphaned"})
NOTICES = frozenset({"gap", "reset"})


def stream_sse(
    url: object,
    *,
    client: Any = None,
    method: str = "",
    headers: Mapping[str, str] | None = None,
    json: object = None,
    content: bytes | None = None,
    last_event_id: str = "",
    reconnect: Reconnect | Literal["auto"] | None = "auto",
    terminal: Terminal = ("done", "[DONE]"),
    require_terminal: bool = True,
    connect_timeout: float = 10.0,
    first_timeout: float | None = 60.0,
    idle_timeout: float | None = 45.0,
    max_event_bytes: int = 1 << 20,
) -> Upstream:
    """Read an event stream of another server and yield its `Event`s; their data is text.

    The request is sent when the first item is asked for, so that what goes wrong with it is a
    status. `url` is a URL or a request of httpx2 or httpx; with `json` or `content` it is a POST.
    `client` is a client of either package, and stays open; without one, one is made for this.

    - The end: `event: end`, which is not yielded; neither is the text `[DONE]`. Other `terminal`
      events are, and end it. Bytes that end without any are `UpstreamTruncated`, unless
      `require_terminal` is False. Events named `error`, `cancelled` and `orphaned` are reserved
      for that: they raise `UpstreamFailed`.
    - A connection that is lost: "auto" makes another one for a GET that can go on where it was,
      with `Last-Event-ID`; an event that was cut is not yielded. A `Reconnect` does so for every
      request, from its first connection on, also where the server gives no ids and may say things
      twice. None never does.
    - Silence is `UpstreamSilent`: before the first byte after `first_timeout` seconds, later after
      `idle_timeout`; None is no limit. A comment is no silence. What is larger than
      `max_event_bytes` is `EventTooLarge`.
    - Another status than 200 is `UpstreamStatus`, another content type `UpstreamContentType`, both
      with at most 4 KiB of the body; 204 is an end.

    When the reader leaves, the connection is closed at once.

    Example:
        StreamResponse(stream_sse("https://example.com/answers/42"), as_sse)
    """
    if json is not None and content is not None:
        raise TypeError("stream_sse takes json or content, not both")
    if client is not None and not is_http_client(client):
        kind = type(client).__name__
        raise TypeError(f"client is an AsyncClient of httpx2 or httpx, not {kind}")
    request = event_request(
        url,
        method=method,
        headers=headers,
        content=content if json is None else to_json(json),
        is_json=json is not None,
    )
    connection = EventConnection(
        client,
        request,
        last_event_id=last_event_id,
        connect_timeout=connect_timeout,
        first_timeout=first_timeout,
        idle_timeout=idle_timeout,
        max_event_bytes=max_event_bytes,
    )
    is_terminal = terminal if callable(terminal) else _Named(terminal)
    return Upstream(connection, _Settings(reconnect, is_terminal, require_terminal))


@dataclass(frozen=True, slots=True)
class _Settings:
    reconnect: Reconnect | Literal["auto"] | None
    is_terminal: Callable[[Event], bool]
    require_terminal: bool


class Upstream(Batched[Event]):
    """An event stream of another server; `stream_sse` makes it."""

    def __init__(self, connection: EventConnection, settings: _Settings) -> None:
        super().__init__()
        self._connection, self._settings = connection, settings
        self._feeding: Feeding | None = None
        self._registered = self._ended = self._torn = False
        self._was_connected = self._came = False
        self._failure: UpstreamError | None = None
        self._outage: Iterator[float] | None = None
        self._wish: float | None = None  # of the server, in seconds

    async def open(self) -> None:
        """Send the request, and wait for the head of the answer."""
        while not self._ended and not self._connection.is_open:
            await self._tried(self._connect)

    @property
    def closed(self) -> bool:
        """Tell whether nothing is left to close."""
        return self._ended and not self._connection.is_open

    async def aclose(self) -> None:
        """Close the connection; what was not read is lost."""
        self._ended = True
        self._taken.clear()
        await self._connection.close()

    async def read(self) -> Sequence[Event]:
        """Return the events that the next bytes complete."""
        while not self._ended:
            await self.open()
            events = await self._tried(self._next)
            if events:
                self._came, self._outage = True, None
                return events
        await self._connection.close()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return []

    async def _tried(self, step: Callable[[], Any]) -> Sequence[Event]:
        """Take a step; when it shows that the connection is lost, wait before the next one."""
        if self._feeding is not None and self._feeding.left:
            self._ended = True  # a timeout of ours may have taken the one cancellation for its own
            return []
        try:
            events: Sequence[Event] = await step() if not self._ended else []
        except UpstreamError as error:
            await self._connection.close()
            if self._ended:  # it was closed by another task
                return []
            delay = self._delay(error)
            if delay is None:
                self._ended = True
                raise
            logger.info("an upstream was lost, next attempt in %.1f s: %r", delay, error)
            await sleep(delay)
            return []
        except BaseException as error:
            # An event that is too large, say; or a cancelled call, which may have lost events.
            self._ended, self._torn = isinstance(error, Exception), True
            await self._connection.close()
            raise
        return events

    async def _connect(self) -> None:
        if not self._registered:
            self._registered, self._feeding = True, feeding_now.get()
            register(self)
        if self._torn:
            self._torn = False
            raise UpstreamCut
        if not await self._connection.open():
            self._ended = True
        self._was_connected = True

    async def _next(self) -> Sequence[Event]:
        events = await self._connection.read()
        if events is not None:
            return self._up_to_the_end(events)
        if self._settings.require_terminal:
            raise UpstreamTruncated
        self._ended = True
        return []

    def _up_to_the_end(self, events: list[Event]) -> list[Event]:
        is_terminal = self._settings.is_terminal
        for number, event in enumerate(events):
            if event.type in FAILURES:
                self._failure = UpstreamFailed(str(event.data))
            elif event.type in NOTICES:
                # Reserved for what a log tells its followers; this server read them from one.
                events[number] = make_stored(event.type, event.data, id=event.id, kind="text")
                continue
            elif event.type != "end":
                if not is_terminal(event):
                    continue
                by_its_text = event.type == "message" and isinstance(is_terminal, _Named)
                number += not by_its_text  # noqa: PLW2901
            self._ended = True
            return events[:number]
        return events

    def _delay(self, error: UpstreamError) -> float | None:
        """Return how long to wait before another connection; None when this was the last one."""
        reconnect = self._settings.reconnect
        if reconnect is None or not _may_pass(error):
            return None
        if reconnect == "auto":
            # Without an id, all that came would come again.
            can_go_on = self._connection.has_place or not self._came
            if not (self._was_connected and self._connection.is_get and can_go_on):
                return None
            reconnect = Reconnect()
        if self._outage is None:
            self._outage = reconnect.delays(lambda: self._wish)
        self._wish = self._connection.retry
        if isinstance(error, UpstreamStatus) and error.retry_after is not None:
            self._wish = error.retry_after
        return next(self._outage, None)


class _Named:
    """Tell an end by its name; a callable, as the user's own may be."""

    def __init__(self, names: Collection[str]) -> None:
        if isinstance(names, str):
            raise TypeError("terminal is a collection of names; write (name,)")
        self._types = frozenset(name for name in names if not name.startswith("["))
        self._texts = frozenset(names) - self._types

    def __call__(self, event: Event) -> bool:
        if event.type == "message":
            return event.data in self._texts
        return event.type in self._types


def _may_pass(error: UpstreamError) -> bool:
    if isinstance(error, UpstreamStatus):
        return error.upstream_status in PASSING
    return isinstance(error, UpstreamUnreachable | UpstreamTruncated | UpstreamSilent)
