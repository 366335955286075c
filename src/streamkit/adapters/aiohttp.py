"""Answer an aiohttp request with a stream: `await respond(request, source, format)`."""

from __future__ import annotations

__all__ = ("error_response", "respond")

import logging
import os
import select
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from anyio import sleep, wait_readable

from .._feeding.source import Source, check_source
from .._items.format import Format
from .._serving.answer import answer
from .._serving.client import Asked, Timing
from .._serving.head import error_answer, stream_headers
from ..errors import MissingDependency, StreamkitError
from ..errors._base import public_words

try:
    from aiohttp import HttpVersion11, web
except ImportError as error:
    raise MissingDependency(__name__, "aiohttp") from error

T = TypeVar("T")

logger = logging.getLogger("streamkit")

# How long aiohttp gets to read, in seconds, between "the socket is readable" and "it has closed".
READ_PAUSE = 0.05


async def respond(
    request: web.BaseRequest,
    source: Source[T],
    format: Format[T],
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    first_wait: float = 2.0,
    keep_alive: float | None = 15.0,
    send_timeout: float = 30.0,
) -> web.StreamResponse:
    """Send the items of a source, each as soon as it is available; return the sent response.

    The headers wait up to `first_wait` seconds for the first item, so an error before that is a
    real status: if the source raises `HTTPForbidden`, the client gets a 403. A later error is sent
    as the format's error. After `keep_alive` seconds of silence a comment is sent (event streams
    only; None means never). A client that takes nothing for `send_timeout` seconds is given up, and
    its connection is freed. On every way out the source is closed before this returns.

    Pass `streams.follow(...)` to follow a stream from where the client was: its `Last-Event-ID`, or
    `?after=` in the URL. With `error_response` as a middleware, an unknown stream answers 404 and
    an expired one 410. A client that has seen the whole stream gets a 204.

    Example:
        async def get_words(request: web.Request) -> web.StreamResponse:
            return await respond(request, words(), as_sse)
    """
    check_source(source)
    timing = Timing(first_wait, keep_alive, send_timeout)
    own = stream_headers(format, headers)
    asked = Asked(
        head=request.method == "HEAD",
        last_event_id=request.headers.get("Last-Event-ID"),
        after=request.query.get("after"),
        status=status_code,
    )
    client = _Client(request, web.StreamResponse(status=status_code, headers=own))
    try:
        status = await answer(client, source, format, timing, asked)
    except Exception:
        if not client.started:
            raise
        return client.response  # it was cut, and aiohttp would send an error page after it
    if status is None:
        return client.response
    return web.Response(status=status, headers=own if asked.head else {})


@web.middleware
async def error_response(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer an error of the library with its status, as `{"error": code, "message": sentence}`.

    Errors with a status of 500 or above are logged.

    Example:
        app = web.Application(middlewares=[error_response])
    """
    try:
        return await handler(request)
    except StreamkitError as error:
        body, status = error_answer(error)
        return web.json_response(body, status=status)


class _Client:
    """One aiohttp exchange."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        self.response = response
        self._request = request

    @property
    def started(self) -> bool:
        return self._request.writer.output_size > 0

    async def start(self) -> None:
        await self.response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        await self.response.write(data)

    async def finish(self) -> None:
        await self.response.write_eof()

    async def cut(self, error: Exception) -> None:
        # Do not leave this to aiohttp, which would send an error page after what was sent.
        logger.error("a source failed: %s", public_words(error)[0], exc_info=error)
        transport = self._request.transport
        if transport is None:
            return
        try:
            if self._request.version < HttpVersion11:
                # Without chunked encoding, only a reset tells a cut from an end.
                with socket.socket(fileno=_duplicate(transport)) as same:
                    same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                transport.close()  # delivers what is buffered, without the last chunk
                while transport.get_write_buffer_size():  # noqa: ASYNC110 - there is no event for it
                    await sleep(READ_PAUSE)
        finally:
            transport.abort()

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def gone(self) -> None:
        # aiohttp does not report that the peer of an idle handler has left, unless the application
        # asks for handler cancellation. So watch a duplicate of the socket: waiting on the socket
        # itself is refused, because the transport owns it.
        transport = self._request.transport
        if transport is None:
            return
        watched = _duplicate(transport)
        try:
            while not (transport.is_closing() or _hung_up(watched)):
                await wait_readable(watched)
                # The readable data may also be a body or a request that aiohttp reads later.
                await sleep(READ_PAUSE)
        finally:
            os.close(watched)


def _duplicate(transport: BaseTransport) -> int:
    return os.dup(transport.get_extra_info("socket").fileno())


def _hung_up(watched: int) -> bool:
    """Ask the kernel: aiohttp does not see a hang-up that comes after bytes it has not read."""
    if not hasattr(select, "POLLRDHUP"):  # pragma: no cover - Linux has it
        return False
    poll = select.poll()
    poll.register(watched, select.POLLRDHUP)
    return bool(poll.poll(0))
