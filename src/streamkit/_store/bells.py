"""Listeners for changed streams, and what has changed since each of them last looked.

Rule: any thread may ring; each listener is woken in its own event loop.
"""

from __future__ import annotations

__all__ = ("Listener", "Listeners")

from collections.abc import AsyncIterator, Collection
from threading import Lock
from typing import Self

from anyio import Event
from anyio.lowlevel import current_token

from .._loop import call_soon


class Listener(AsyncIterator[str | None]):
    """Iterate the names that rang, oldest first. None means that any stream may have changed."""

    # A listener that is this many names behind is told once to look at everything.
    max_rung = 1000

    def __init__(self) -> None:
        """Listen in the current event loop."""
        self.token = current_token()
        self._rung: dict[str | None, None] = {}  # a set that keeps the order
        self._wake = Event()

    def ring(self, names: Collection[str | None]) -> None:
        """Add names, and wake the waiting task. Call this only in the listener's event loop."""
        self._rung |= dict.fromkeys(names)
        if len(self._rung) > self.max_rung:
            self._rung = {None: None}
        self._wake.set()

    async def __anext__(self) -> str | None:
        """Return the next name; cancelling a call loses none."""
        while not self._rung:
            self._wake = Event()
            await self._wake.wait()
        name = next(iter(self._rung))
        del self._rung[name]
        return name

    def __aiter__(self) -> Self:
        return self


class Listeners:
    """All listeners of one store, in one event loop or in several."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all: tuple[Listener, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, listener: Listener) -> None:
        """Add a listener to ring for."""
        with self._lock:
            self._all = (*self._all, listener)

    def discard(self, listener: Listener) -> None:
        """Stop ringing for a listener."""
        with self._lock:
            self._all = tuple(other for other in self._all if other is not listener)

    def ring(self, names: Collection[str | None]) -> None:
        """Ring names for every listener, from any thread, without waiting."""
        for listener in self._all:
            call_soon(listener.token, listener.ring, names)
