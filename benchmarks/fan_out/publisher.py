"""The publisher inside each server: it waits for its order, then publishes on schedule.

It awaits `send` for each event, as a program does that has something to tell. At full speed it lets
the others run after every 64.
"""

from __future__ import annotations

__all__ = ("Publisher", "bare", "make_app")

from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.fan_out.items import Item, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

BURST = 64
NOTICE_NS = 100_000_000  # from the order to the first event: the client is then ready


class Publisher:
    """Publishes once, when it is told how many events, and how many a second."""

    def __init__(self) -> None:
        self._told = anyio.Event()

    async def order(self, request: Request) -> JSONResponse:
        """Answer with the time of the first event."""
        self._count = int(request.query_params["count"])
        self._rate = int(request.query_params["rate"])
        self._begin = perf_counter_ns() + NOTICE_NS
        self._told.set()
        return JSONResponse({"begin": self._begin})

    async def publish(self, send: Callable[[Item], Awaitable[object]]) -> None:
        """Do as ordered, then wait for the end of the server: the stream stays open."""
        await self._told.wait()
        await _sleep_until(self._begin)
        if self._rate:
            await self._on_schedule(send)
        else:
            await self._at_full_speed(send)
        await anyio.sleep_forever()

    @asynccontextmanager
    async def publishing(self, send: Callable[[Item], Awaitable[object]]) -> AsyncIterator[None]:
        """Publish in the background, for those that bring no task of their own."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.publish, send)
            yield
            tasks.cancel_scope.cancel()

    async def _on_schedule(self, send: Callable[[Item], Awaitable[object]]) -> None:
        """Note when each event was due, not when its turn came: who is late, is seen to be."""
        for n in range(self._count):
            due = self._begin + n * 1_000_000_000 // self._rate
            await _sleep_until(due)
            await send(item(n, due, self._count))

    async def _at_full_speed(self, send: Callable[[Item], Awaitable[object]]) -> None:
        for start in range(0, self._count, BURST):
            now = perf_counter_ns()
            for n in range(start, min(start + BURST, self._count)):
                await send(item(n, now, self._count))
            await checkpoint()


def make_app(
    follow: Callable[[Request], Awaitable[Response]],
    publishing: Callable[[Publisher], AbstractAsyncContextManager[None]],
) -> Starlette:
    """Make the app of a variant: `follow` answers a follower, `publishing` runs the publisher."""
    publisher = Publisher()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with publishing(publisher):
            yield

    return Starlette(
        routes=[
            Route("/events", follow),
            Route("/publish", publisher.order, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def bare(follow: Callable[[Request], Awaitable[Response]], app: Starlette) -> ASGIApp:
    """Answer followers without Starlette's own layers, which hold 5 KiB for each of them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/events":
            response = await follow(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer


async def _sleep_until(due: int) -> None:
    if (left := due - perf_counter_ns()) > 0:
        await anyio.sleep(left / 1e9)
