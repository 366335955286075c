"""streamkit as its users write it: one line per route, every feature on.

The server hides orjson before it imports this file when the variant asks for the stdlib's json.
"""

from __future__ import annotations

__all__ = ("aiohttp_app", "starlette_app")

from typing import TYPE_CHECKING

from aiohttp import web
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.one_connection.items import source
from streamkit import as_sse
from streamkit.adapters.aiohttp import respond
from streamkit.adapters.starlette import StreamResponse

if TYPE_CHECKING:
    from starlette.requests import Request


async def stream(request: Request) -> StreamResponse:
    return StreamResponse(source(request.url.path), as_sse)


async def stream_on_aiohttp(request: web.Request) -> web.StreamResponse:
    return await respond(request, source(request.path), as_sse)


starlette_app = Starlette(
    routes=[Route("/events/{count}", stream), Route("/trickle/{count}", stream)]
)
aiohttp_app = web.Application()
aiohttp_app.router.add_get("/events/{count}", stream_on_aiohttp)
aiohttp_app.router.add_get("/trickle/{count}", stream_on_aiohttp)
