"""A thread that runs calls in groups, for drivers that block and have a cost per group.

Calls that arrive while one group runs form the next group. So nothing waits for a timer, a single
call is a group of one, and under load all calls that arrived during one commit share the next.

Rule: nothing here knows what the calls do. What they work with lives and ends in the thread.
"""

from __future__ import annotations

__all__ = ("Asked", "Server", "Worker")

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar, cast

from anyio import Event, move_on_after
from anyio.lowlevel import EventLoopToken, current_token

from .._loop import call_soon
from ..errors import CleanupTimeout, UsageError

C = TypeVar("C")
T = TypeVar("T")


class Asked(Generic[C]):
    """One call that waits for its turn. Either `run` it or let it `fail`."""

    __slots__ = ("done", "error", "result", "token", "work")

    def __init__(self, work: Callable[[C], object] | None) -> None:
        """`work` is called with what the server passes to `run`; None ends the thread."""
        self.work = work
        self.token = current_token()
        self.done = Event()
        self.result: object = None
        self.error: Exception | None = None

    def run(self, context: C) -> None:
        """Run the call. It may run again if its group was undone; the last result counts."""
        if self.work is not None:
            self.result = self.work(context)

    def fail(self, error: Exception) -> None:
        """Make the call raise this error where it was made."""
        self.error = error


class Server(Protocol[C]):
    """What runs the groups. It is created, used and closed in the thread."""

    def serve(self, calls: Sequence[Asked[C]]) -> None:
        """Run each call or let it fail. If this raises, all of them fail."""
        ...

    def idle(self) -> None:
        """Do what is due when there was no call for a while. This must not raise."""
        ...

    def close(self) -> None:
        """Release everything. This must not raise."""
        ...


class Worker(Generic[C]):
    """Run calls of any event loop in one thread, which starts with the first call.

    Do not use it on both sides of a fork: a thread does not survive one.
    """

    max_group = 256
    """The maximum number of calls in one group: the first of them waits for the last."""

    close_timeout = 10.0
    """In seconds; longer than a driver may wait for a lock."""

    def __init__(
        self, name: str, make: Callable[[], Server[C]], *, every: float | None = None
    ) -> None:
        """`make` is called in the thread. After `every` seconds without a call, `idle` runs."""
        self._name, self._make, self._every = name, make, every
        self._lock = Lock()
        self._calls: SimpleQueue[Asked[C]] = SimpleQueue()
        self._thread: Thread | None = None
        self._process = 0

    async def call(self, work: Callable[[C], T]) -> T:
        """Run `work` in the thread and return its result.

        If you cancel the call, it still runs, but its result is lost.
        """
        if self._process not in (0, os.getpid()):  # without the lock: another process may hold it
            raise UsageError(f"{self._name} was in use before a fork; make a new one after it")
        asked: Asked[C] = Asked(work)
        with self._lock:
            if self._thread is None:
                self._start()
            self._calls.put(asked)
        await asked.done.wait()
        if asked.error is not None:
            raise asked.error
        return cast("T", asked.result)

    async def aclose(self) -> None:
        """Run the calls that wait, then end the thread. A later call starts a new thread.

        This takes at most 10 s, shielded. After that the thread is left to end by itself, and
        `CleanupTimeout` is raised.
        """
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._process != os.getpid():
                return
            self._process = 0
            last: Asked[C] = Asked(None)
            self._calls.put(last)
        with move_on_after(self.close_timeout, shield=True):
            await last.done.wait()
            thread.join()
            return
        raise CleanupTimeout(self.close_timeout)

    def _start(self) -> None:
        self._calls = SimpleQueue()
        thread = Thread(target=self._run, args=(self._calls,), name=self._name, daemon=True)
        thread.start()
        self._thread, self._process = thread, os.getpid()

    # The methods below run in the thread.

    def _run(self, calls: SimpleQueue[Asked[C]]) -> None:
        server = self._make()
        while self._serve(server, calls):
            pass

    def _serve(self, server: Server[C], calls: SimpleQueue[Asked[C]]) -> bool:
        group = _gathered(calls, self._every, self.max_group)
        if not group:
            server.idle()
            return True
        try:
            server.serve(group)
        except Exception as error:  # noqa: BLE001 - it is raised where the calls were made
            for asked in group:
                asked.fail(error)
        goes_on = group[-1].work is not None  # no call comes after the one that ends the thread
        if not goes_on:
            server.close()
        _tell(group)
        return goes_on


def _gathered(calls: SimpleQueue[Asked[C]], patience: float | None, most: int) -> list[Asked[C]]:
    """Wait for calls and return them; return nothing if none came in time."""
    group: list[Asked[C]] = []
    with suppress(Empty):
        group.append(calls.get(timeout=patience))
        while len(group) < most:
            group.append(calls.get_nowait())
    return group


def _tell(group: Sequence[Asked[C]]) -> None:
    """Wake the callers, each event loop only once: a wake-up costs more than a short call."""
    loops: dict[EventLoopToken, list[Event]] = {}
    for asked in group:
        loops.setdefault(asked.token, []).append(asked.done)
    for token, events in loops.items():
        call_soon(token, _set_all, events)


def _set_all(events: Sequence[Event]) -> None:
    for event in events:
        event.set()
