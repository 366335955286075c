"""Return a stream from an endpoint of Starlette: `StreamResponse(source, format)`.

It speaks ASGI by itself, because Starlette's own `StreamingResponse` leaves the source open when
the client goes, and does not notice a client that leaves an idle stream on newer servers.
"""

from __future__ import annotations

__all__ = ("StreamResponse", "error_response")

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from .._feeding.source import Source, check_source
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
        asked = Asked(
            head=scope["method"] == "HEAD",
            last_event_id=Headers(scope=scope).get("last-event-id"),
            after=QueryParams(scope["query_string"]).get("after"),
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

    From status 500 on it is logged.

    Example:
        app.add_exception_handler(StreamkitError, error_response)
    """
    if not isinstance(error, StreamkitError):
        raise error
    return JSONResponse(*error_answer(error))


def _raw(format: Format[T], headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    pairs = stream_headers(format, headers)
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


@lru_cache(maxsize=64)
def _raw_headers(format: Format[T]) -> list[tuple[bytes, bytes]]:
    return _raw(format, None)
