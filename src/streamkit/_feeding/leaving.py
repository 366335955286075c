"""`Leaving`: work that is cancelled once when nobody wants it any more, and then cleans up in time.

Cancel scopes are level-triggered: in a cancelled scope `finally: await session.close()` is cut
short at its first await. So the work is stepped by hand. When the cancellation arrives, a shield
goes up before it is passed on, and the cleanup has `CLOSE_TIMEOUT` seconds in all.
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

# For all of the cleanup together, when the reader has left.
CLOSE_TIMEOUT = 5.0


class Leaving:
    """Run one piece of work; `leave()` cancels it. Make it inside the event loop."""

    def __init__(self, *, close_timeout: float = CLOSE_TIMEOUT) -> None:
        self._close_timeout = close_timeout
        self.left = False
        """Whether `leave()` was called."""
        # Somebody may throw a cancellation into the work that is not ours: without this default
        # that would be taken for the end.
        self.error: BaseException | None = SourceCancelled()
        """How the work ended, once it has; None when it came to its own end."""
        self._feeding: Feeding | None = None
        # Shielded: whoever cancels the task must not reach the work except through `leave()`.
        self._scope = CancelScope(shield=True)
        # Around the work; once it is shielded, nobody interrupts the cleanup.
        self._guard = CancelScope()

    def leave(self) -> None:
        """Cancel the work once, and let it clean up."""
        self.left = True
        if self._feeding is not None:
            self._feeding.left = True
        self._scope.cancel()

    async def run(self, work: Callable[[Feeding], Coroutine[Any, Any, None]]) -> None:
        """Run the work in this task; its outcome is `error`. It is run after `leave()` too.

        What the library opens on the way registers with the `Feeding` that the work is given.
        """
        try:
            with self._scope, self._guard:
                if self.left:
                    self.clean_up()
                self._feeding = feeding = Feeding()
                feeding.left = self.left
                feeding_now.set(feeding)
                await _cancelled_once(work(feeding), self)
            if self._guard.cancel_called:  # which only its deadline does
                self.error = CleanupTimeout(self._close_timeout)
            elif not self.left:
                self.error = None
        except (get_cancelled_exc_class(), SystemExit):
            pass  # of somebody else: we cancel by `leave`, and a source does not end the process
        except (Exception, BaseExceptionGroup) as raised:  # noqa: BLE001 - whoever waits raises it
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
        """Begin the cleanup: from here on nobody interrupts the work, for a bounded time.

        Also without a cancellation: one that is on its way would otherwise hit the cleanup.
        """
        if self._guard.deadline == inf:
            self._guard.shield, self._guard.deadline = True, current_time() + self._close_timeout

    @property
    def is_cleaning_up(self) -> bool:
        """Tell whether the cleanup has begun."""
        return self._guard.deadline != inf


@coroutine
def _cancelled_once(work: Coroutine[Any, Any, None], leaving: Leaving) -> Generator[Any, Any, None]:
    """Step the work by hand, and deliver the cancellation of its owner to it once.

    The shield of the guard goes up before the cancellation is passed on. At the next await, it
    would be too late for trio's own bookkeeping.
    """
    cancelled = get_cancelled_exc_class()
    owner, guard = leaving._scope, leaving._guard  # noqa: SLF001 - a method, but for `@coroutine`
    advance: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            # While the work runs, a cancellation on its way is hidden, and shown only where the
            # work really waits: trio's checkpoints open scopes of their own, which would eat it.
            pending = owner.cancel_called and not guard.shield
            if pending:
                guard.shield = True
            try:
                trap = advance(value)
            except StopIteration:
                return
            if pending and not leaving.is_cleaning_up:  # or it has begun meanwhile
                guard.shield = False
            failure: BaseException | None
            try:
                value = yield trap
            except BaseException as raised:  # noqa: BLE001 - asyncio throws it in; it is passed on
                advance, value, failure = work.throw, raised, raised
            else:  # trio sends an outcome, which holds it
                advance, failure = work.send, getattr(value, "error", None)
            # A timeout inside the work is its own affair: hence `cancel_called`.
            if isinstance(failure, cancelled) and owner.cancel_called and not guard.shield:
                leaving.clean_up()
    finally:
        work.close()


def _is_of_others(error: BaseException) -> bool:
    """Tell whether it is a group with exits or cancellations of somebody else in it."""
    if not isinstance(error, BaseExceptionGroup) or isinstance(error, Exception):
        return False
    return error.subgroup(KeyboardInterrupt) is None


def _the_one(error: BaseException) -> BaseException:
    """Return the one real error of a group; a source with a task group of its own raises groups."""
    while isinstance(error, BaseExceptionGroup):
        real, rest = error.split(Exception)
        if real is None or len(real.exceptions) != 1:
            return error
        if rest is not None and rest.subgroup((KeyboardInterrupt, SystemExit)):
            return error
        error = real.exceptions[0]
    return error
