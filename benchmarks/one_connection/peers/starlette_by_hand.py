"""What people write without a library: Starlette's `StreamingResponse` over formatted strings."""

from __future__ import annotations

__all__ = ("app",)

import json
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from benchmarks.one_connection.items import source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


async def frames(path: str) -> AsyncIterator[str]:
    async for item in source(path):
        yield f"data: {json.dumps(item)}\n\n"


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(frames(request.url.path), media_type="text/event-stream")


app = Starlette(routes=[Route("/events/{count}", stream), Route("/trickle/{count}", stream)])
