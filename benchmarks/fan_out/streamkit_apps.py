"""streamkit as its users write it: a job launched at the start of the app, every feature on.

The database lies in the working directory, which is made for this run.
"""

from __future__ import annotations

__all__ = ("in_memory", "in_memory_bare", "in_sqlite")

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.fan_out.publisher import Publisher, bare, make_app
from streamkit import Stream, Streams, as_sse
from streamkit.adapters.starlette import StreamResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette
    from starlette.requests import Request

NAME = "events"


async def job(stream: Stream, publisher: Publisher) -> None:
    await publisher.publish(stream.send)


class App:
    """One store, one stream, all its followers."""

    def __init__(self, url: str) -> None:
        self.streams = Streams.from_url(url)
        self.app: Starlette = make_app(self.follow, self.publishing)

    async def follow(self, request: Request) -> StreamResponse:
        return StreamResponse(self.streams.follow(NAME), as_sse)

    @asynccontextmanager
    async def publishing(self, publisher: Publisher) -> AsyncIterator[None]:
        async with self.streams:
            await self.streams.launch(NAME, job, publisher)
            yield


_memory, _sqlite = App("memory:"), App("sqlite:///events.db")
in_memory, in_sqlite = _memory.app, _sqlite.app
in_memory_bare = bare(_memory.follow, in_memory)
