"""streamkit as its users write it: one line per route, every feature on."""

from __future__ import annotations

__all__ = ("app",)

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from streamkit import as_sse, as_text
from streamkit.adapters.starlette import StreamResponse
from streamkit.sources.process import stream_process

if TYPE_CHECKING:
    from starlette.requests import Request


async def text(request: Request) -> StreamResponse:
    return StreamResponse(stream_process("cat", request.path_params["name"]), as_text)


async def sse(request: Request) -> StreamResponse:
    return StreamResponse(stream_process("cat", request.path_params["name"]), as_sse)


async def tagged(request: Request) -> StreamResponse:
    file = request.path_params["name"]
    return StreamResponse(stream_process("cat", file, stderr="tag"), as_sse)


async def endless(request: Request) -> StreamResponse:
    return StreamResponse(stream_process("yes"), as_text)


app = Starlette(
    routes=[
        Route("/text/{name}", text),
        Route("/sse/{name}", sse),
        Route("/tagged/{name}", tagged),
        Route("/endless", endless),
    ]
)
