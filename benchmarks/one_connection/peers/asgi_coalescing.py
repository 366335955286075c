"""The reference to measure against: raw ASGI, orjson, many events per `send`, and no feature.

One task encodes until 64 KiB lie ready or the source waits; the other sends what lies ready.
No keep-alive, no time limit, no end event, no care for a client that leaves or a source that fails.
"""

from __future__ import annotations

__all__ = ("app",)

from typing import TYPE_CHECKING

import orjson
from anyio import Event, create_task_group

from benchmarks.one_connection.items import source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from benchmarks.one_connection.items import Item

MAX_BYTES = 64 * 1024


class Pump:
    def __init__(self) -> None:
        self.ready: list[bytes] = []
        self.ended = False
        self.some = Event()
        self.room = Event()

    async def fill(self, things: AsyncIterator[Item]) -> None:
        ready, dumps, size = self.ready, orjson.dumps, 0
        async for item in things:
            frame = b"data: %b\n\n" % dumps(item)
            if not ready:
                size = 0
                self.some.set()
            ready.append(frame)
            size += len(frame)
            if size >= MAX_BYTES:
                self.room = Event()
                await self.room.wait()
        self.ended = True
        self.some.set()

    async def take(self) -> bytes:
        if not self.ready and not self.ended:
            self.some = Event()
            await self.some.wait()
        frames = b"".join(self.ready)
        self.ready.clear()
        self.room.set()
        return frames


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    pump = Pump()
    async with create_task_group() as tasks:
        tasks.start_soon(pump.fill, source(scope["path"]))
        while frames := await pump.take():
            await send({"type": "http.response.body", "body": frames, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
