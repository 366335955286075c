"""sse-starlette as its README says, for JSON: `EventSourceResponse` over `JSONServerSentEvent`."""

from __future__ import annotations

__all__ = ("app",)

from typing import TYPE_CHECKING

from sse_starlette import EventSourceResponse, JSONServerSentEvent
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.one_connection.items import source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


async def events(path: str) -> AsyncIterator[JSONServerSentEvent]:
    async for item in source(path):
        yield JSONServerSentEvent(item)


async def stream(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events(request.url.path))


app = Starlette(routes=[Route("/events/{count}", stream), Route("/trickle/{count}", stream)])
