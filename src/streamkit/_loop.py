"""What every part asks of the event loop: wake it from a thread, give way, clean up in time."""

from __future__ import annotations

__all__ = ("MAX_TURN", "Turn", "call_soon", "shielded")

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVarTuple

from anyio import CancelScope, current_effective_deadline, current_time
from anyio.lowlevel import EventLoopToken, checkpoint

Ts = TypeVarTuple("Ts")

# A loop that never waits gives way to the other requests this often. Above the interpreter's
# switch interval of 5 ms: with the same value, threads that wait for their turn starve.
MAX_TURN = 0.007


class Turn:
    """How long a loop that may never wait has had the event loop for itself.

    Ask `over` per item, or compare `until` with `monotonic()` where each item counts.
    """

    __slots__ = ("_clock", "until")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin with a turn that is over, so that a first item is sent at once."""
        self._clock = clock
        self.until = 0.0

    @property
    def over(self) -> bool:
        """Tell whether it is time to give way."""
        return self._clock() >= self.until

    async def give_way(self) -> None:
        """Let the others run, and begin a new turn."""
        await checkpoint()
        self.until = self._clock() + MAX_TURN


def call_soon(token: EventLoopToken, function: Callable[[*Ts], object], *args: *Ts) -> None:
    """Have a function called in an event loop, from any thread, without waiting for it.

    `anyio.from_thread.run_sync` waits: for a busy loop, and without end for one that has stopped
    and is not closed yet.
    """
    native: Any = token.native_token
    soon = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
        soon(function, *args)


def shielded(seconds: float) -> CancelScope:
    """Return a scope for a cleanup that nobody interrupts, for so many seconds.

    A deadline around it that comes sooner holds as well, unless it has passed: then this cleanup
    is what it led to.
    """
    now, around = current_time(), current_effective_deadline()
    deadline = now + seconds
    return CancelScope(shield=True, deadline=min(deadline, around) if around > now else deadline)
