"""A thread that runs what gathered, in groups: for drivers that block, and are paid per group.

What is asked for while one group runs is the next group. So nothing waits for a timer, a single
call is a group of one, and under load a commit is shared by all that came during the last one.

Rule: nothing here knows what the calls do. What they do it with lives and ends in the thread.
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
    """One call that waits for its turn: `run` it, or let it `fail`."""

    __slots__ = ("done", "error", "result", "token", "work")

    def __init__(self, work: Callable[[C], object] | None) -> None:
        """`work` is given what the server has; None ends the thread."""
        self.work = work
        self.token = current_token()
        self.done = Event()
        self.result: object = None
        self.error: Exception | None = None

    def run(self, context: C) -> None:
        """Do it. It may be run again, when its group was undone; the last result counts."""
        if self.work is not None:
            self.result = self.work(context)

    def fail(self, error: Exception) -> None:
        """Raise this where the call was made."""
        self.error = error


class Server(Protocol[C]):
    """What runs the groups. It is made, used and closed in the thread."""

    def serve(self, calls: Sequence[Asked[C]]) -> None:
        """Run each call or let it fail. What is raised fails them all."""
        ...

    def idle(self) -> None:
        """Do what is to be done when nothing was asked for in a while. It must not raise."""
        ...

    def close(self) -> None:
        """Let go of everything. It must not raise."""
        ...


class Worker(Generic[C]):
    """Run calls of any event loop in one thread, which starts with the first of them.

    It must not be used on both sides of a fork, because a thread does not survive one.
    """

    max_group = 256
    """So many calls are in one group at most: the first of them waits for the last."""

    close_timeout = 10.0
    """In seconds; longer than a driver may wait for a lock."""

    def __init__(
        self, name: str, make: Callable[[], Server[C]], *, every: float | None = None
    ) -> None:
        """`make` is called in the thread; `every` so many seconds without a call it is idle."""
        self._name, self._make, self._every = name, make, every
        self._lock = Lock()
        self._calls: SimpleQueue[Asked[C]] = SimpleQueue()
        self._thread: Thread | None = None
        self._process = 0

    async def call(self, work: Callable[[C], T]) -> T:
        """Run it in the thread and return what it returns.

        A cancelled call is run all the same; only nobody hears of it.
        """
        if self._process not in (0, os.getpid()):  # without the lock, which the other may hold
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
        """Run what was asked for, then end the thread. A later call starts another one.

        It takes 10 s at most, shielded: then the thread is left to end by itself, and
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

    # What follows runs in the thread.

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
        goes_on = group[-1].work is not None  # nothing is asked for after the end
        if not goes_on:
            server.close()
        _tell(group)
        return goes_on


def _gathered(calls: SimpleQueue[Asked[C]], patience: float | None, most: int) -> list[Asked[C]]:
    """Return what was asked for, after waiting for it; nothing when that took too long."""
    group: list[Asked[C]] = []
    with suppress(Empty):
        group.append(calls.get(timeout=patience))
        while len(group) < most:
            group.append(calls.get_nowait())
    return group


def _tell(group: Sequence[Asked[C]]) -> None:
    """Wake who waits: each event loop once, because a wake-up costs more than a short call."""
    loops: dict[EventLoopToken, list[Event]] = {}
    for asked in group:
        loops.setdefault(asked.token, []).append(asked.done)
    for token, events in loops.items():
        call_soon(token, _set_all, events)


def _set_all(events: Sequence[Event]) -> None:
    for event in events:
        event.set()
