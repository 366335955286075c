"""Return a stream from an endpoint of Starlette: `StreamResponse(source, format)`.

It speaks ASGI by itself, because Starlette's own `StreamingResponse` leaves the source open when
the client goes, and does not notice a client that leaves an idle stream on newer servers.
"""

from __future__ import annotations

__all__ = ("StreamResponse", "error_response")

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NoReturn, TypeVar

from .._feeding.source import Source, check_source, close
from .._following.following import Asked, Following
from .._items.format import Format
from .._serving.head import GONE_STATUS, error_answer, seen_the_end, stream_headers
from .._serving.write_following import write_following
from .._serving.write_source import Left, Timing, write_source
from ..errors._base import MissingDependency, StreamkitError

try:
    from starlette.background import BackgroundTask
    from starlette.datastructures import Headers, QueryParams
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise MissingDependency(__name__, "starlette") from error

T = TypeVar("T")


class StreamResponse(Response):
    """Send what a source yields, each item as soon as it is there.

    The first item is awaited for up to `first_wait` seconds before the headers go out, so an error
    until then is a real status: `HTTPException(403)` raised in the source is a 403. After that it
    is the format's error. `keep_alive` seconds of silence bring a comment (event streams only;
    None for never), and a client that takes nothing for `send_timeout` seconds is given up. On
    every way out the source is closed, before the background task and yield-dependencies.

    What `streams.follow` returns is followed from where the client was: its `Last-Event-ID`, or
    `?after=` of the URL. With `error_response` as its handler, a stream that is unknown answers
    404, one that has expired 410; and 204 is for a client that has seen all of it.

    Example:
        @app.get("/words")
        async def get_words() -> StreamResponse:
            return StreamResponse(words(), as_sse)
    """

    def __init__(
        self,
        source: Source[T],
        format: Format[T],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        first_wait: float = 2.0,
        keep_alive: float | None = 15.0,
        send_timeout: float = 30.0,
    ) -> None:
        """Refuse what is no source here, where the traceback shows the line."""
        check_source(source)
        self._source: Source[T] = source
        self._format: Format[T] = format
        self._timing = Timing(first_wait, keep_alive, send_timeout)
        self.status_code = status_code
        self.background = background
        # The list is this response's own, middleware may change it; what is in it is shared.
        self.raw_headers = list(_raw_headers(format) if headers is None else _raw(format, headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "HEAD":
            await self._answer_unopened(send, await self._status(scope))
        elif not isinstance(self._source, Following) and seen_the_end(
            self._format, Headers(scope=scope).get("last-event-id")
        ):
            await self._answer_unopened(send, 204)
        else:
            await self._stream(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _status(self, scope: Scope) -> int:
        """Return the status that GET would have, as far as it is known without the source."""
        if not isinstance(self._source, Following):
            return self.status_code
        place = await self._source.place(self._format, **_asked(scope))
        return 204 if place is None else self.status_code

    async def _answer_unopened(self, send: Send, status: int) -> None:
        await close(self._source)
        headers = [] if status == 204 else self.raw_headers
        await _answer_empty(send, status, headers)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _Client(receive, send, self.status_code, self.raw_headers)
        try:
            if not isinstance(self._source, Following):
                await write_source(client, self._source, self._format, self._timing)
            elif not await write_following(
                client,
                self._source,
                self._format,
                self._timing,
                **_asked(scope),
            ):
                await _answer_empty(send, 204, [])
        except Left:
            if not client.started:  # nobody reads it, but middleware wants to see an answer
                await _answer_empty(send, GONE_STATUS, [])


def error_response(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an error of the library with its status, as `{"error": code, "message": sentence}`.

    From status 500 on it is logged.

    Example:
        app.add_exception_handler(StreamkitError, error_response)
    """
    if not isinstance(error, StreamkitError):
        raise error
    return JSONResponse(*error_answer(error))


def _asked(scope: Scope) -> Asked:
    return {
        "last_event_id": Headers(scope=scope).get("last-event-id"),
        "after": QueryParams(scope["query_string"]).get("after"),
    }


def _raw(format: Format[T], headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    pairs = stream_headers(format, headers)
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


@lru_cache(maxsize=64)
def _raw_headers(format: Format[T]) -> list[tuple[bytes, bytes]]:
    return _raw(format, None)


async def _answer_empty(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Client:
    """One ASGI exchange."""

    __slots__ = ("_headers", "_receive", "_send", "_status", "started")

    def __init__(
        self, receive: Receive, send: Send, status: int, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self.started = False
        self._receive = receive
        self._send = send
        self._status = status
        self._headers = headers

    async def start(self) -> None:
        self.started = True
        await self._send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def cut(self, error: Exception) -> None:
        with suppress(Exception):
            await self._send({"type": "http.response.body", "body": _Cut(error), "more_body": True})

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _Cut:
    """A body that raises the source's error in whoever wants to write it.

    `BaseHTTPMiddleware` ends a response well when the application below it fails after the start,
    and only then raises. So the failure has to travel the way of the body, up to the server.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> NoReturn:
        raise self._error

    __bytes__ = __iter__ = __len__
