"""broadcaster, in memory, behind sse-starlette. An event is made JSON once for all followers."""

from __future__ import annotations

__all__ = ("app",)

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from broadcaster import Broadcast
from sse_starlette import EventSourceResponse, ServerSentEvent

from benchmarks.fan_out.publisher import Publisher, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from benchmarks.fan_out.items import Item

CHANNEL = "events"

broadcast = Broadcast("memory://")


async def events() -> AsyncIterator[ServerSentEvent]:
    async with broadcast.subscribe(CHANNEL) as subscriber:
        # Its annotations allow for a None that never comes.
        async for event in subscriber:  # type: ignore[union-attr]  # its hints say maybe None
            yield ServerSentEvent(event.message)  # type: ignore[union-attr]  # as above


async def follow(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events())


async def publish(item: Item) -> None:
    await broadcast.publish(CHANNEL, json.dumps(item))


@asynccontextmanager
async def publishing(publisher: Publisher) -> AsyncIterator[None]:
    async with broadcast, publisher.publishing(publish):
        yield


app = make_app(follow, publishing)
