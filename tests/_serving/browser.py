"""`Browser`: a client of one response, without a server in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from anyio import Event, current_time

from streamkit import Format, MemoryStore, Streams, as_sse
from streamkit._serving.client import Asked, Timing
from streamkit._serving.write_following import write_following

from .._streams.fakes import eventually

PING = b": keep-alive\n\n"


class Browser:
    """A client that writes down what it is sent, and when."""

    def __init__(self, taking: Callable[[bytes], Awaitable[None]] | None = None) -> None:
        self.started = False
        self.finished = False
        self.was_cut: Exception | None = None
        self.chunks: list[tuple[float, bytes]] = []
        self.left = Event()
        self.aborted = False
        self.ended: BaseException | bool | None = None
        self._taking = taking

    async def start(self) -> None:
        self.started = True

    async def write(self, data: bytes) -> None:
        if self._taking is not None:
            await self._taking(data)
        self.chunks.append((current_time(), data))

    async def finish(self) -> None:
        self.finished = True

    async def cut(self, error: Exception) -> None:
        self.was_cut = error

    async def gone(self) -> None:
        await self.left.wait()

    def abort(self) -> None:
        self.aborted = True

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    def times(self, data: bytes) -> list[float]:
        return [time for time, chunk in self.chunks if data in chunk]

    async def follow(
        self,
        streams: Streams,
        format: Format[object] = as_sse,
        *,
        keep_alive: float | None = 15.0,
        send_timeout: float = 30.0,
        last_event_id: str | None = None,
    ) -> None:
        timing = Timing(keep_alive=keep_alive, send_timeout=send_timeout)
        try:
            self.ended = await write_following(
                self,
                streams.follow("a"),
                format,
                timing,
                Asked(head=False, last_event_id=last_event_id, after=None, status=200),
            )
        except Exception as error:
            self.ended = error


@asynccontextmanager
async def running(store: MemoryStore) -> AsyncGenerator[Streams, None]:
    async with Streams(store, drain=0) as streams:
        yield streams
        await eventually(lambda: streams.statistics().followers == 0)
