"""One ASGI exchange: all that it needs is `receive` and `send`."""

from __future__ import annotations

__all__ = ("ASGIClient", "answer_empty")

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


async def answer_empty(send: Send, status: int, headers: Headers) -> None:
    """Answer with a status and headers alone."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class ASGIClient:
    """A client behind an ASGI server, and behind whatever middleware is between the two."""

    __slots__ = ("_headers", "_receive", "_send", "_status", "started")

    def __init__(self, receive: Receive, send: Send, status: int, headers: Headers) -> None:
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

    def abort(self) -> None:
        """Leave the connection to the server: ASGI gives nobody else a hold on it."""


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
