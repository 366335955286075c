"""`Streams`: all streams of an application, and the tasks that run them."""

from __future__ import annotations

__all__ = ("Statistics", "Streams")

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Self, TypeVarTuple

from anyio import (
    CancelScope,
    create_task_group,
    move_on_after,
)
from anyio.abc import TaskGroup
from typing_extensions import Unpack

from .._feeding.closing import close
from .._feeding.source import Source, check_source
from .._following.clock import Clock
from .._following.following import Following
from .._following.history import History, Status, history, status, statuses
from .._following.mirrors import Mirrors
from .._items.json import to_utf8
from .._store.contract import Store
from .._store.listening import Listening
from .._store.names import check_name
from .._store.urls import store_of
from ..errors import (
    NotRunning,
    ServerStopping,
    SourceCancelled,
    StreamCancelled,
    StreamLost,
    UnknownStream,
)
from .inbox import Inbox
from .options import GivenOptions, StreamOptions
from .orphans import sweep_for_ever
from .producer import BlockProducer, JobProducer, Producer, SourceProducer, is_awaited
from .pump import Pump
from .pumps import IfExists, Pumps
from .stream import Stream

Args = TypeVarTuple("Args")

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one `Streams` holds right now, in this process."""

    followers: int
    producers: int
    watched: int
    """Streams that are read from the store because they are followed in this process."""


class Streams:
    """Manage all streams of an application, kept in a store.

    Enter it where the application starts. You start, follow and cancel streams by name, from any
    process that uses the same store.

    - `keep`: how many seconds an ended stream is kept; None means forever. The default is 24 h in
      memory, and 7 days in a durable store. `max_events` and `max_bytes` bound a stream: its oldest
      events are dropped first.
    - `lease`: how many seconds the store trusts a silent producer. The next `sweep` after that
      notices that a producer has vanished, and ends its stream as orphaned.
    - `on_leave="cancel"` cancels a stream that nobody in this process has followed for `grace`
      seconds. By default a stream goes on without followers.
    - `when_full`: whether a source waits or fails when it has no room to write, because the store
      is away.
    - `drain`: how many seconds streams have to end by themselves when the application stops; after
      that they are cancelled.

    Example:
        streams = Streams(MemoryStore())

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
            async with streams:
                yield
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        sweep: float = 5.0,
        drain: float = 2.0,
        **options: Unpack[GivenOptions],
    ) -> None:
        """Without a store, streams are kept in memory. Nothing runs until you enter it."""
        store = store_of("memory:") if store is None else store
        keep = 7 * DAY if store.durable else DAY
        self._store, self._sweep, self._drain = store, sweep, drain
        self._listening, self._clock = Listening(store), Clock()
        self._mirrors = Mirrors(store, self._listening, self._clock)
        self._pumps = Pumps(
            store,
            self._mirrors,
            self._listening,
            self._clock,
            replace(StreamOptions(keep), **options),
        )
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()
        self._stopping = False

    @classmethod
    def from_url(
        cls, url: str, *, sweep: float = 5.0, drain: float = 2.0, **options: Unpack[GivenOptions]
    ) -> Self:
        """Create it with the store that a URL names: `memory:`, `sqlite:///relative/path.db`.

        An absolute path has one more slash: `sqlite:////var/lib/streams.db`. To set other options
        of a store, use its class.
        """
        return cls(store_of(url), sweep=sweep, drain=drain, **options)

    async def __aenter__(self) -> Self:
        """Open the store, and start the background tasks."""
        if self._tasks is not None:
            raise RuntimeError("these streams are running already")
        async with AsyncExitStack() as stack:
            if isinstance(self._store, AbstractAsyncContextManager):
                await stack.enter_async_context(self._store)
            self._tasks = await stack.enter_async_context(create_task_group())
            self._stack = stack.pop_all()
        self._stopping = self._mirrors.stopping = False
        self._mirrors.run_in(self._tasks)
        self._pumps.run_in(self._tasks)
        self._listening.run_in(self._tasks)
        self._clock.run_in(self._tasks)
        self._tasks.start_soon(sweep_for_ever, self._store, self._sweep)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let streams end, cancel those that do not, and disconnect their followers."""
        self._stopping = True
        with CancelScope(shield=True):
            await self._pumps.stop(self._drain)
            await self._mirrors.stop()
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()
        await self._stack.aclose()

    async def start(
        self,
        name: str,
        source: Source[Any],
        *,
        if_exists: IfExists = "raise",
        **options: Unpack[GivenOptions],
    ) -> Following:
        """Claim a name, enter the source, and write its items in the background.

        Return a `Following` from the beginning. If the source cannot be entered, such as a command
        that does not exist, the error is raised here and the name is free again; later errors end
        the stream. `if_exists` says what to do if the name is taken: raise `StreamExists`, follow
        the stream, or restart it. A restart stops the old producer and sends followers a `reset`.
        """
        check_source(source)
        producer = SourceProducer(source)
        pump = None
        try:
            pump = await self._write(name, producer, if_exists, options)
        finally:
            if pump is None:
                await close(source)
        if pump is not None:
            await producer.wait_until_entered(pump.ended)
        return self.follow(name)

    async def launch(
        self,
        name: str,
        job: Callable[[Stream, *Args], object],
        *args: *Args,
        if_exists: IfExists = "raise",
        **options: Unpack[GivenOptions],
    ) -> Following:
        """Claim a name and run `job(stream, *args)` in the background: `async def`, or in a thread.

        The stream exists when this returns. It ends or fails with the job. Cancelling the stream
        cancels an `async def` job; a `def` job has to check `stream.cancelled` itself.
        """
        awaited = is_awaited(job)
        inbox = Inbox(name)
        pump: Pump | None = None
        stream = Stream(name, inbox, lambda: pump is not None and pump.cancelled is not None)
        producer = JobProducer(inbox, partial(job, stream, *args), awaited=awaited)
        pump = await self._write(name, producer, if_exists, options)
        return self.follow(name)

    @asynccontextmanager
    async def open(
        self,
        name: str,
        *,
        if_exists: Literal["raise", "restart"] = "raise",
        **options: Unpack[GivenOptions],
    ) -> AsyncGenerator[Stream, None]:
        """Claim a name for a block of code. The stream ends with it; an exception is its error.

        If the stream is cancelled, the block is cancelled, and `StreamCancelled` is raised after
        it. `StreamLost` means that the end could not be written, as when another writer took the
        name.
        """
        inbox, scope = Inbox(name), CancelScope()
        pump = await self._write(name, BlockProducer(inbox, scope), if_exists, options)
        if pump is None:
            raise ValueError('open writes; it cannot be asked to "follow"')
        failure: Exception | None = SourceCancelled()
        try:
            await pump.ready.wait()
            with scope:
                yield Stream(name, inbox, lambda: pump.cancelled is not None)
            failure = None
        except Exception as error:
            failure = error
            raise
        finally:
            inbox.end(failure)
            with move_on_after(self._pumps.close_timeout, shield=True):
                await pump.ended.wait()
        if pump.cancelled is not None:
            raise StreamCancelled(pump.cancelled)
        if pump.lost is not None:
            raise StreamLost(name, pump.lost.value)

    def follow(self, name: str, after: str = "") -> Following:
        """Return the stream from a cursor on, or from its beginning, as a source of events.

        Whether it exists is checked when it is read. A response answers 404, or 410 to a client
        that has seen the stream before; a loop over it raises `UnknownStream` or `ExpiredStream`.
        """
        self._running()
        return Following(self._mirrors, check_name(name), after)

    async def status(self, name: str) -> Status:
        """Return the status of a stream, as a dict for JSON, or raise `UnknownStream`."""
        self._running()
        return await status(self._store, check_name(name))

    async def history(self, name: str, *, after: str = "", limit: int = 500) -> History:
        """Return up to `limit` events after a cursor, as dicts for JSON, and the next cursor.

        Call it again with `next` until there are no more events. A gap or a reset is an event
        without an id, as it is for a follower.
        """
        self._running()
        return await history(self._store, check_name(name), after, limit)

    async def cancel(self, name: str, reason: str = "") -> str:
        """Cancel a stream, whichever process writes it, and return its state.

        "open" means that its producer has not seen the request yet. A stream that has ended does
        not change.
        """
        self._running()
        pump = self._pumps.get(name)
        head = await self._store.cancel(check_name(name), to_utf8(reason).decode())
        if head is None:
            raise UnknownStream(name)
        if pump is not None and head.cancel is not None and head.life == pump.claim.life:
            pump.cancel(head.cancel)
        return head.state

    async def list(
        self, prefix: str = "", *, state: str = "", after: str = "", limit: int = 100
    ) -> list[Status]:
        """Return the status of the streams with names above `after`, sorted by name."""
        self._running()
        return await statuses(self._store, prefix, state, after, limit)

    async def delete(self, name: str) -> None:
        """Delete a stream at once. Its producer is stopped, and clients that reconnect get 410."""
        self._running()
        pump = self._pumps.get(name)
        await self._store.delete(check_name(name))
        if pump is not None:
            pump.displace()

    def statistics(self) -> Statistics:
        """Count what this process holds. Followers that have left are not counted."""
        return Statistics(self._mirrors.followers, len(self._pumps), self._mirrors.watched)

    def _running(self) -> None:
        if self._tasks is None:
            raise ServerStopping if self._stopping else NotRunning

    async def _write(
        self, name: str, producer: Producer, if_exists: IfExists, options: GivenOptions
    ) -> Pump | None:
        self._running()
        return await self._pumps.start(name, producer, if_exists, options)


for _public in (Statistics, Streams):
    _public.__module__ = "streamkit"
