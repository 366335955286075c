"""`Loop`: the event loop of a server, in which a test's thread may run things; and its streams."""

from __future__ import annotations

__all__ = ("Loop",)

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from threading import Event as ThreadEvent
from typing import Any, TypeVar

from anyio import Event, create_task_group, from_thread
from anyio.abc import TaskGroup
from anyio.lowlevel import EventLoopToken, current_token

from streamkit import MemoryStore, Streams

# For a server to start, on a busy machine too.
START_TIMEOUT = 10.0

T = TypeVar("T")


class Loop:
    """Where an application runs. Its lifespan is `running()`."""

    streams: Streams
    """Those of the application, entered in its lifespan."""
    elsewhere: Streams
    """The same as another worker has them."""
    store: MemoryStore
    _tasks: TaskGroup
    _token: EventLoopToken

    def __init__(self) -> None:
        self._ready = ThreadEvent()

    @asynccontextmanager
    async def running(self, _app: Any = None) -> AsyncGenerator[None, None]:
        """Enter the application's streams, and say that tests may call."""
        self.store = MemoryStore()
        async with (
            Streams(self.store, sweep=3600) as self.streams,
            Streams(self.store, sweep=3600) as self.elsewhere,
            create_task_group() as tasks,
        ):
            self._tasks, self._token = tasks, current_token()
            self._ready.set()
            yield

    def wait_until_running(self) -> None:
        """Wait for the application's start."""
        assert self._ready.wait(START_TIMEOUT), "the application was never started"

    def call(self, function: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        """Run an async function in the loop, and return what it does."""

        async def called() -> T:
            return await function(*args, **options)

        return from_thread.run(called, token=self._token)

    def call_sync(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Run a function in the loop, and return what it does."""
        return from_thread.run_sync(partial(function, *args, **options), token=self._token)

    @contextmanager
    def entered(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter something in a task of the loop, and leave it in the same."""
        held = self.call_sync(_Held, manager)  # its events belong to the loop
        self.call_sync(self._tasks.start_soon, held.hold)
        try:
            yield self.call(held.value)
        finally:
            self.call(held.leave)


class _Held:
    """One context manager, in a task of its own."""

    def __init__(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._manager = manager
        self._value: Any = None
        self._failure: Exception | None = None
        self._entered, self._leaving, self._left = Event(), Event(), Event()

    async def hold(self) -> None:
        try:
            async with self._manager as self._value:
                self._entered.set()
                await self._leaving.wait()
        except Exception as error:
            self._failure = error
        finally:
            self._entered.set()
            self._left.set()

    async def value(self) -> Any:
        await self._entered.wait()
        if self._failure is not None:
            raise self._failure
        return self._value

    async def leave(self) -> None:
        self._leaving.set()
        await self._left.wait()
        if self._failure is not None:
            raise self._failure
