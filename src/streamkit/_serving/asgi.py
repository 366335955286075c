"""One ASGI exchange. It needs only `receive` and `send`."""

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
    """Answer with a status and headers, without a body."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class ASGIClient:
    """A client behind an ASGI server and any middleware in between."""

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
        """Do nothing: in ASGI only the server has access to the connection."""


class _Cut:
    """A body that raises the source's error in the code that tries to write it.

    If the application below `BaseHTTPMiddleware` fails after the start, the middleware ends the
    response properly, and only then raises. So the failure has to reach the server as a body.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> NoReturn:
        raise self._error

    __bytes__ = __iter__ = __len__
