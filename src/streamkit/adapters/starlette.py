"""Return a stream from a Starlette endpoint: `StreamResponse(source, format)`.

It speaks ASGI itself, because Starlette's own `StreamingResponse` leaves the source open when the
client leaves, and on newer servers does not notice a client that leaves an idle stream.
"""

from __future__ import annotations

__all__ = ("StreamResponse", "error_response")

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from .._feeding.source import Followed, Source, check_source
from .._items.format import Format
from .._serving.answer import answer
from .._serving.asgi import ASGIClient, answer_empty
from .._serving.client import Asked, Timing
from .._serving.head import error_answer, stream_headers
from ..errors import MissingDependency, StreamkitError

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
    """Send the items of a source, each as soon as it is available.

    The headers wait up to `first_wait` seconds for the first item, so an error before that is a
    real status: if the source raises `HTTPException(403)`, the client gets a 403. A later error is
    sent as the format's error. After `keep_alive` seconds of silence a comment is sent (event
    streams only; None means never). A client that takes nothing for `send_timeout` seconds is given
    up. On every way out the source is closed, before the background task and yield-dependencies.

    Pass `streams.follow(...)` to follow a stream from where the client was: its `Last-Event-ID`, or
    `?after=` in the URL. With `error_response` as the exception handler, an unknown stream answers
    404 and an expired one 410. A client that has seen the whole stream gets a 204.

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
        """Refuse a value that is not a source here, so that the traceback shows the line."""
        check_source(source)
        self._source: Source[T] = source
        self._format: Format[T] = format
        self._timing = Timing(first_wait, keep_alive, send_timeout)
        self.status_code = status_code
        self.background = background
        # Each response has its own list, because middleware may change it; its items are shared.
        self.raw_headers = list(_raw_headers(format) if headers is None else _raw(format, headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(
            head=scope["method"] == "HEAD",
            last_event_id=Headers(scope=scope).get("last-event-id"),
            after=_after(scope) if isinstance(self._source, Followed) else None,
            status=self.status_code,
        )
        client = ASGIClient(receive, send, self.status_code, self.raw_headers)
        status = await answer(client, self._source, self._format, self._timing, asked)
        if status is not None:
            headers = self.raw_headers if asked.head and status == self.status_code else []
            await answer_empty(send, status, headers)
        if self.background is not None:
            await self.background()


def error_response(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an error of the library with its status, as `{"error": code, "message": sentence}`.

    Errors with a status of 500 or above are logged.

    Example:
        app.add_exception_handler(StreamkitError, error_response)
    """
    if not isinstance(error, StreamkitError):
        raise error
    return JSONResponse(*error_answer(error))


def _after(scope: Scope) -> str | None:
    return QueryParams(scope.get("query_string", b"")).get("after")


def _raw(format: Format[T], headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    pairs = stream_headers(format, headers)
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


@lru_cache(maxsize=64)
def _raw_headers(format: Format[T]) -> list[tuple[bytes, bytes]]:
    return _raw(format, None)
