"""A client that has gone before its response begins; and an error that is none of the library's."""

from __future__ import annotations

import anyio
import pytest
from aiohttp import web
from anyio import fail_after
from starlette.requests import Request

from streamkit import as_sse
from streamkit.adapters import aiohttp as adapter
from streamkit.adapters.starlette import error_response
from streamkit.errors import UnknownStream

from ..fakes import Fountain
from .test_aiohttp import connected


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # aiohttp's own
@pytest.mark.parametrize("end", ["respond", "cut"])
async def test_aiohttp_answers_nobody_when_the_client_went_before(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, answered = Fountain("a", wait=True), anyio.Event()
    answers: list[web.StreamResponse | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        while request.transport is not None:
            await anyio.sleep(0.001)
        if end == "respond":
            answers.append(await adapter.respond(request, source, as_sse))
        else:
            response = web.StreamResponse()
            await adapter._Client(request, response).cut(ValueError("late"))
            answers.append(response)
        answered.set()
        return web.Response()

    async with connected(handler) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.aclose()
        with fail_after(10):
            await answered.wait()
    if end == "respond":
        assert source.closed
        assert answers[0] is not None
        assert not answers[0].prepared
    else:
        assert [each.getMessage() for each in caplog.records] == ["a source failed: source-failed"]


def test_starlette_answers_errors_of_the_library_and_raises_the_others() -> None:
    request = Request({"type": "http"})
    response = error_response(request, UnknownStream("a"))
    assert response.status_code == 404
    assert b'"error":"unknown-stream"' in bytes(response.body)
    with pytest.raises(ZeroDivisionError):
        error_response(request, ZeroDivisionError())
