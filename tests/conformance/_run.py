"""`Run`: what one request's source did, as the test's thread can see it, and when it may go on."""

from __future__ import annotations

__all__ = ("Run", "get_run", "new_run", "where")

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import count
from threading import Event, Lock, Semaphore
from typing import Any

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

# Set by each endpoint before it makes its response.
where: ContextVar[str] = ContextVar("where", default="nowhere")


class _Gate:
    """Let a source pass once for each time that the test opens it; either may come first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._passes = 0
        self._wake: Callable[[], None] | None = None

    def open(self) -> None:
        with self._lock:
            self._passes += 1
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    async def passed(self) -> None:
        while True:
            with self._lock:
                if self._passes:
                    self._passes -= 1
                    return
                event = anyio.Event()
                self._wake = partial(from_thread.run_sync, event.set, token=current_token())
            await event.wait()


class Run:
    """One request: its source waits here for the test, and notes what happens to it."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.opened = Event()
        self.closed = Event()
        self.over = Event()
        """Set when the server's task for this request has left the application."""
        self.notes: list[object] = []
        self.request_body = b""
        self.forbidden: Exception = RuntimeError("no endpoint was reached")
        """What the framework raises for a 403."""
        self.given: Any = None
        """What a scenario made that the test wants to see, such as a file."""
        self.source: Callable[[], Any] = lambda: None
        """What makes the source of the scenario `given`."""
        self.options: dict[str, Any] = {}
        """What its response is told."""
        self._gate = _Gate()
        self._thread_gate = Semaphore(0)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note that the source was opened and closed; its body runs in between."""
        self.opened.set()
        try:
            yield
        finally:
            self.notes.append("closed")
            self.closed.set()

    def go(self) -> None:
        """Let the source pass its next `turn`."""
        self._gate.open()
        self._thread_gate.release()

    async def turn(self) -> None:
        """Wait for the test's next `go`."""
        await self._gate.passed()

    def turn_in_thread(self, timeout: float) -> bool:
        """Wait for the test's next `go`, in a synchronous source; False when it did not come."""
        return self._thread_gate.acquire(timeout=timeout)


_runs: dict[str, Run] = {}
_ids = count(1)


def new_run() -> Run:
    """Make the record of a request that will carry its id in a header."""
    run = Run(str(next(_ids)))
    _runs[run.id] = run
    return run


def get_run(id: str) -> Run:
    """Return the record that a request asks for."""
    return _runs[id]
