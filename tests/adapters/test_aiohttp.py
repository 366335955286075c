"""What only aiohttp's adapter does; the rest is in tests/conformance."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web
from anyio import fail_after

from streamkit import as_sse, as_text
from streamkit.adapters import aiohttp as adapter
from streamkit.adapters.aiohttp import respond

from ..fakes import Fountain

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@asynccontextmanager
async def connected(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[anyio.abc.SocketStream]:
    """Serve one handler on a free port, and connect to it."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with await anyio.connect_tcp(*runner.addresses[0]) as stream:
            with fail_after(10):
                yield stream
    finally:
        await runner.cleanup()


async def read_until(stream: anyio.abc.SocketStream, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        received += await stream.receive()
    return received


async def failing() -> AsyncGenerator[str, None]:
    yield "a"
    await anyio.sleep(0)
    raise ValueError("late")


async def test_without_chunks_only_a_reset_tells_a_cut_from_an_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await respond(request, failing(), as_text)

    async with connected(handler) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await stream.receive()
    assert "a source failed: source-failed" in caplog.text


async def test_a_header_that_cannot_be_sent_is_a_status_and_not_blamed_on_the_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Fountain("a", wait=True)

    async def handler(request: web.Request) -> web.StreamResponse:
        return await respond(request, source, as_text, headers={"X-Bad": "a\nb"})

    async with connected(handler) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"500 Internal Server Error" in await read_until(stream, b"\r\n\r\n")
    source.assert_closed_where_it_ran()
    assert "a source failed" not in caplog.text


async def test_a_stream_goes_on_when_its_client_cannot_be_watched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(transport: Any) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(adapter, "_duplicate", no_more)

    async def handler(request: web.Request) -> web.StreamResponse:
        return await respond(request, ["a"], as_sse)

    async with connected(handler) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"event: end" in await read_until(stream, b"0\r\n\r\n")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a client's leaving will be noticed late" in caplog.text
