"""`Leaving`: run work, cancel it once when it is no longer needed, and bound its cleanup.

Cancel scopes are level-triggered: in a cancelled scope `finally: await session.close()` is cut
short at its first await. So the work is stepped by hand. When the cancellation arrives, a shield
goes up before it is passed on, and the cleanup has `CLOSE_TIMEOUT` seconds in total.
"""

from __future__ import annotations

__all__ = ("CLOSE_TIMEOUT", "Leaving")

import logging
from collections.abc import Callable, Coroutine, Generator
from math import inf
from types import coroutine
from typing import Any

from anyio import CancelScope, current_time, get_cancelled_exc_class

from ..errors import CleanupTimeout, SourceCancelled
from .closing import Feeding, feeding_now

logger = logging.getLogger("streamkit")

# Seconds for the whole cleanup after the reader has left.
CLOSE_TIMEOUT = 5.0


class Leaving:
    """Run one piece of work; `leave()` cancels it. Create it inside the event loop."""

    def __init__(self, *, close_timeout: float = CLOSE_TIMEOUT) -> None:
        self._close_timeout = close_timeout
        self.left = False
        """Whether `leave()` was called."""
        # Other code may throw a cancellation into the work: without this default that would be
        # taken for the end.
        self.error: BaseException | None = SourceCancelled()
        """How the work ended, once it has ended; None if it finished by itself."""
        self._feeding: Feeding | None = None
        # Shielded: code that cancels the task must reach the work only through `leave()`.
        self._scope = CancelScope(shield=True)
        # Around the work. Once it is shielded, nothing interrupts the cleanup.
        self._guard = CancelScope()

    def leave(self) -> None:
        """Cancel the work once, and let it clean up."""
        self.left = True
        if self._feeding is not None:
            self._feeding.left = True
        self._scope.cancel()

    async def run(self, work: Callable[[Feeding], Coroutine[Any, Any, None]]) -> None:
        """Run the work in this task, and set `error`. The work runs even after `leave()`.

        Sources that the library opens meanwhile register with the `Feeding` passed to the work.
        """
        try:
            with self._scope, self._guard:
                if self.left:
                    self.clean_up()
                self._feeding = feeding = Feeding()
                feeding.left, feeding.deadline = self.left, self._guard.deadline
                feeding_now.set(feeding)
                await _cancelled_once(work(feeding), self)
            if self._guard.cancel_called:  # which only its deadline does
                self.error = CleanupTimeout(self._close_timeout)
            elif not self.left:
                self.error = None
        except (get_cancelled_exc_class(), SystemExit):
            pass  # not ours: we cancel by `leave`, and a source must not end the process
        except (Exception, BaseExceptionGroup) as raised:  # noqa: BLE001 - the waiting task raises it
            self.error = _the_one(raised)
            if _is_of_others(self.error):
                self.error = SourceCancelled()
                self.error.__cause__ = raised
        finally:
            error = self.error
            failed = isinstance(error, Exception) and not isinstance(error, SourceCancelled)
            if self.left and failed:
                logger.error("a source failed while it was closed", exc_info=error)

    def clean_up(self) -> None:
        """Begin the cleanup: from now on nothing interrupts the work, for a bounded time.

        Call it even without a cancellation: one that is on its way would otherwise hit the cleanup.
        """
        if self._guard.deadline == inf:
            self._guard.shield, self._guard.deadline = True, current_time() + self._close_timeout
            if self._feeding is not None:
                self._feeding.deadline = self._guard.deadline

    @property
    def is_cleaning_up(self) -> bool:
        """Return whether the cleanup has begun."""
        return self._guard.deadline != inf


@coroutine
def _cancelled_once(work: Coroutine[Any, Any, None], leaving: Leaving) -> Generator[Any, Any, None]:
    """Step the work by hand, and deliver its owner's cancellation to it once.

    The guard's shield goes up before the cancellation is passed on. At the next await it would be
    too late for trio's own bookkeeping.
    """
    cancelled = get_cancelled_exc_class()
    owner, guard = leaving._scope, leaving._guard  # noqa: SLF001 - not a method due to `@coroutine`
    advance: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            # While the work runs, hide a pending cancellation, and show it only where the work
            # really waits: trio's checkpoints open their own scopes, which would swallow it.
            pending = owner.cancel_called and not guard.shield
            if pending:
                guard.shield = True
            try:
                trap = advance(value)
            except StopIteration:
                return
            if pending and not leaving.is_cleaning_up:  # the cleanup may have begun meanwhile
                guard.shield = False
            failure: BaseException | None
            try:
                value = yield trap
            except BaseException as raised:  # noqa: BLE001 - asyncio throws it in; it is passed on
                advance, value, failure = work.throw, raised, raised
            else:  # trio sends an outcome, which holds the exception
                advance, failure = work.send, getattr(value, "error", None)
            # Check `cancel_called`, because a timeout inside the work is not a cancellation of it.
            if isinstance(failure, cancelled) and owner.cancel_called and not guard.shield:
                leaving.clean_up()
    finally:
        work.close()


def _is_of_others(error: BaseException) -> bool:
    """Return whether it is a group that contains exits or cancellations that are not ours."""
    if not isinstance(error, BaseExceptionGroup) or isinstance(error, Exception):
        return False
    return error.subgroup(KeyboardInterrupt) is None


def _the_one(error: BaseException) -> BaseException:
    """Return the only real error of a group; a source with its own task group raises groups."""
    while isinstance(error, BaseExceptionGroup):
        real, rest = error.split(Exception)
        if real is None or len(real.exceptions) != 1:
            return error
        if rest is not None and rest.subgroup((KeyboardInterrupt, SystemExit)):
            return error
        error = real.exceptions[0]
    return error
