"""A queue for each follower behind sse-starlette, the design most people choose."""

from __future__ import annotations

__all__ = ("app", "bare_app")

from asyncio import Queue
from typing import TYPE_CHECKING

from sse_starlette import EventSourceResponse, JSONServerSentEvent

from benchmarks.fan_out.publisher import Publisher, bare, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from benchmarks.fan_out.items import Item

queues: set[Queue[Item]] = set()


async def events() -> AsyncIterator[JSONServerSentEvent]:
    queue: Queue[Item] = Queue()
    queues.add(queue)
    try:
        while True:
            yield JSONServerSentEvent(await queue.get())
    finally:
        queues.discard(queue)


async def follow(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events())


async def put(item: Item) -> None:
    for queue in queues:
        queue.put_nowait(item)


def publishing(publisher: Publisher) -> AbstractAsyncContextManager[None]:
    return publisher.publishing(put)


app = make_app(follow, publishing)
bare_app = bare(follow, app)
