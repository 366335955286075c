"""What every part asks of the event loop: wake it from a thread, give way, clean up in time."""

from __future__ import annotations

__all__ = ("MAX_TURN", "Turn", "call_soon", "shielded")

from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, TypeVarTuple

from anyio import CancelScope, current_time
from anyio.lowlevel import EventLoopToken, checkpoint

Ts = TypeVarTuple("Ts")

# How often a loop that never waits gives way to other requests, in seconds. It is above the
# interpreter's switch interval of 5 ms: with the same value, waiting threads starve.
MAX_TURN = 0.007


class Turn:
    """Measure how long a loop that may never wait has blocked the event loop.

    Check `over` for each item, or compare `until` with `monotonic()` where speed matters.
    """

    __slots__ = ("_clock", "until")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start with a turn that is already over, so that the first item is sent at once."""
        self._clock = clock
        self.until = 0.0

    @property
    def over(self) -> bool:
        """Return whether it is time to give way."""
        return self._clock() >= self.until

    async def give_way(self) -> None:
        """Let other tasks run, then start a new turn."""
        await checkpoint()
        self.until = self._clock() + MAX_TURN


def call_soon(token: EventLoopToken, function: Callable[[*Ts], object], *args: *Ts) -> None:
    """Schedule a function call in an event loop, from any thread, without waiting for it.

    `anyio.from_thread.run_sync` waits instead: as long as the loop is busy, and forever if the loop
    has stopped but is not closed yet.
    """
    native: Any = token.native_token
    soon = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    with suppress(RuntimeError):  # the loop has ended, and so has every task that waited
        soon(function, *args)


def shielded(seconds: float, *, until: float = inf) -> CancelScope:
    """Return a scope for a cleanup that nobody interrupts, for so many seconds.

    It ends at the deadline `until`, if that comes sooner and has not passed yet.
    """
    now = current_time()
    return CancelScope(shield=True, deadline=min(now + seconds, until if until > now else inf))
