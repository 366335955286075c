"""A server that does what it is told on each connection, and sees when its client goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import httpx
import httpx2
import pytest
from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    create_task_group,
    create_tcp_listener,
    fail_after,
)
from anyio.abc import SocketAttribute, SocketStream

EVENTS = "text/event-stream"
GONE = (BrokenResourceError, ClosedResourceError, EndOfStream)

# Within which all that must happen has happened, on a busy machine too.
SOON = 10.0

CLIENTS = [
    pytest.param(None, id="a client of its own"),
    pytest.param(httpx2, id="httpx2"),
    pytest.param(httpx, id="httpx"),
]


class Cut(Exception):
    """Break the connection here."""


class Exchange:
    """One connection, as the server has it."""

    def __init__(self, stream: SocketStream) -> None:
        self.method = self.target = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.client_left = anyio.Event()
        self._stream = stream

    async def read_request(self) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._stream.receive()
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        for line in lines:
            name, value = line.split(": ", 1)
            before = self.headers.get(name.lower())
            self.headers[name.lower()] = value if before is None else f"{before}, {value}"
        while len(self.body) < int(self.headers.get("content-length", "0")):
            self.body += await self._stream.receive()

    async def watch(self) -> None:
        try:
            while True:
                await self._stream.receive()
        except GONE:
            self.client_left.set()

    async def head(self, status: int = 200, type: str = EVENTS, **headers: str) -> None:
        fields = {"Content-Type": type, "Transfer-Encoding": "chunked", **headers}
        if status == 204:
            fields = {}
        lines = [f"HTTP/1.1 {status} Somehow", *(f"{n}: {v}" for n, v in fields.items())]
        await self._stream.send("\r\n".join([*lines, "", ""]).replace("_", "-").encode())

    async def send(self, data: bytes) -> None:
        await self._stream.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> None:
        await self._stream.send(b"0\r\n\r\n")


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Server:
    """What was asked of it, and where it is."""

    def __init__(self, scripts: Iterator[Script]) -> None:
        self.exchanges: list[Exchange] = []
        self.url = ""
        self._scripts = scripts

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            exchange = Exchange(stream)
            try:
                await exchange.read_request()
            except GONE:
                return
            self.exchanges.append(exchange)
            script = next(self._scripts)
            async with create_task_group() as tasks:
                tasks.start_soon(exchange.watch)
                try:
                    await script(exchange)
                    await exchange.finish()
                except (Cut, *GONE):
                    pass
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[Server]:
    """Serve one script after the other, one for each connection."""
    server = Server(iter(scripts))
    listener = await create_tcp_listener(local_host="127.0.0.1")
    server.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/stream"
    with fail_after(SOON):
        async with listener, create_task_group() as tasks:
            tasks.start_soon(listener.serve, server.serve)
            yield server
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def client_of(package: Any) -> AsyncIterator[Any]:
    """Give a client of this package, or None."""
    if package is None:
        yield None
        return
    async with package.AsyncClient(trust_env=False) as client:
        yield client


def says(*chunks: bytes, cut: bool = False) -> Script:
    """Answer with an event stream of these bytes, and an end that is clean or not."""

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for chunk in chunks:
            await exchange.send(chunk)
        if cut:
            raise Cut

    return script


def waits(*chunks: bytes) -> Script:
    """Answer with an event stream that goes on until its reader leaves."""

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for chunk in chunks:
            await exchange.send(chunk)
        await exchange.client_left.wait()

    return script


def refuses(status: int, body: bytes = b"", type: str = "text/plain", **headers: str) -> Script:
    """Answer with something else than an event stream."""

    async def script(exchange: Exchange) -> None:
        await exchange.head(status, type, **headers)
        if status != 204:
            await exchange.send(body or b"no")

    return script


def numbered(*numbers: int) -> bytes:
    """Return events with ids."""
    return b"".join(b"data: %d\nid: %d\n\n" % (number, number) for number in numbers)


END = b'event: end\ndata: {"state":"done"}\n\n'
