"""aiohttp-sse as its README says."""

from __future__ import annotations

__all__ = ("app",)

import json
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp_sse import sse_response

from benchmarks.one_connection.items import source

if TYPE_CHECKING:
    from aiohttp_sse import EventSourceResponse


async def stream(request: web.Request) -> EventSourceResponse:
    async with sse_response(request) as response:
        async for item in source(request.path):
            await response.send(json.dumps(item))
    return response


app = web.Application()
app.router.add_get("/events/{count}", stream)
app.router.add_get("/trickle/{count}", stream)
