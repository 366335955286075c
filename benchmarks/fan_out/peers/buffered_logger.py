"""Without a library: a logger with a queue for each subscriber, that waits for it for 5 s at most.

This is how it is done in many an article: what was logged is kept in a list and replayed, each
follower asks whether its client is gone before it waits, and says that it is alive every 5 s.
"""

from __future__ import annotations

__all__ = ("app",)

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from benchmarks.fan_out.publisher import Publisher, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from benchmarks.fan_out.items import Item

WAIT = 5.0  # seconds
MOST_WAITS = 6  # once the log has ended


class BufferedLogger:
    """Keeps every entry, and puts it into the queue of every subscriber."""

    def __init__(self) -> None:
        self.subscribers: list[asyncio.Queue[Item]] = []
        self.buffer: list[Item] = []
        self.done = False
        self.last_used = datetime.now().timestamp()

    def subscribe(self) -> asyncio.Queue[Item]:
        queue: asyncio.Queue[Item] = asyncio.Queue()
        self.subscribers.append(queue)
        for entry in self.buffer:
            queue.put_nowait(entry)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Item]) -> None:
        if queue in self.subscribers:
            self.subscribers.remove(queue)

    def log(self, message: str, level: str = "info") -> None:
        entry = {"timestamp": datetime.now().isoformat(), "log_level": level, "message": message}
        self.buffer.append(entry)
        for queue in self.subscribers:
            queue.put_nowait(entry)
        self.last_used = datetime.now().timestamp()


logger = BufferedLogger()


async def frames(request: Request) -> AsyncIterator[str]:
    queue = logger.subscribe()
    waits = 0
    while not await request.is_disconnected():
        try:
            entry = await asyncio.wait_for(queue.get(), timeout=WAIT)
        except TimeoutError:
            waits += 1
            yield ": keep-alive\n\n"
            if waits >= MOST_WAITS and logger.done:
                yield f"data: {json.dumps({'message': 'Log stream ended.'})}\n\n"
                break
        else:
            waits = 0
            yield f"data: {json.dumps(entry)}\n\n"
    logger.unsubscribe(queue)


async def follow(request: Request) -> StreamingResponse:
    return StreamingResponse(frames(request), media_type="text/event-stream")


async def log(item: Item) -> None:
    logger.log(item["message"])


def publishing(publisher: Publisher) -> AbstractAsyncContextManager[None]:
    return publisher.publishing(log)


app = make_app(follow, publishing)
