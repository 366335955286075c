"""`Handover`: one task iterates a source and encodes, another takes all that is ready.

Rules here: the feeding task opens, iterates and closes the source; nobody else touches it. The
error comes after the items. Only `take()` says what is the end. Whoever starts `feed()` calls
`leave()` on every way out.
"""

from __future__ import annotations

__all__ = ("Handover",)

import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from math import inf
from time import monotonic
from types import coroutine
from typing import Any, TypeVar

from anyio import CancelScope, Event, current_time, get_cancelled_exc_class
from anyio.lowlevel import checkpoint

from .._items.format import Encoder
from ..errors._base import CleanupTimeout, SourceCancelled
from .source import Batched, Feeding, Source, close, enter_source, feeding_now
from .threaded import Threaded

T = TypeVar("T")

logger = logging.getLogger("streamkit")

# What a client that stops reading can hold here: about 650 events of 100 bytes. The buffers of
# servers and sockets are of the same order; a larger batch would only wait there.
MAX_BYTES = 1 << 16
MAX_ITEMS = 1000

# A source that never waits gives way to the other requests this often. Above the interpreter's
# switch interval of 5 ms: with the same value, threads that wait for their turn starve.
MAX_TURN = 0.007

# For all of a source's cleanup together, when its reader has left.
CLOSE_TIMEOUT = 5.0


class Handover:
    """What one task made and another has not yet taken; bounded in bytes, items and time."""

    _guard: CancelScope
    """Around the source while it is fed; once it is shielded, nobody interrupts the cleanup."""

    def __init__(self, *, max_bytes: int = MAX_BYTES, max_items: int = MAX_ITEMS) -> None:
        """Make an empty one; call this inside the event loop."""
        self.count = 0
        """How many items were taken."""
        self.opened = Event()
        """Set when the source was entered, or could not be."""
        self.iterated = False
        """Whether it was entered."""
        self.ended = False
        """Whether the source has ended or failed, and was closed."""
        self.left = False
        """Whether `leave()` was called: what comes after that is not the end."""
        self.stopped = False
        """Whether `stop()` was called."""
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._ready: list[bytes] = []
        self._feeding: Feeding | None = None
        self._error: BaseException | None = None
        self._wake: Event | None = None
        self._room: Event | None = None
        # Shielded: whoever cancels the tasks of a response must not reach the source except
        # through `leave()`, which cancels once and then lets its cleanup run.
        self._scope = CancelScope(shield=True)

    async def feed(self, source: Source[T], encoder: Encoder[T]) -> None:
        """Open, iterate and close the source in this task; its outcome goes to the taker."""
        # Somebody may throw a cancellation into the source that is not ours: without this
        # default the taker would take it for the end.
        error: BaseException | None = SourceCancelled()
        try:
            with self._scope, CancelScope() as self._guard:
                if self.left:
                    _shield(self._guard)
                    await close(source)
                else:
                    await _cancelled_once(self._iterate(source, encoder), self._guard, self._scope)
            if self._guard.cancel_called:  # which only its deadline does
                error = CleanupTimeout(CLOSE_TIMEOUT)
            elif not self.left:
                error = None
        except (get_cancelled_exc_class(), SystemExit):
            pass  # of somebody else: we cancel by `leave`, and a source does not end the process
        except (Exception, BaseExceptionGroup) as raised:  # noqa: BLE001 - the taker raises it
            error = _the_one(raised)
            if _is_of_others(error):
                error = SourceCancelled()
                error.__cause__ = raised
        finally:
            failed = isinstance(error, Exception) and not isinstance(error, SourceCancelled)
            if self.left and failed:
                logger.error("a source failed while it was closed", exc_info=error)
            self._error, self.ended = error, True
            self.opened.set()
            self._notify()

    async def take(self) -> bytes:
        """Return all that is ready, after waiting for something; b"" is the end.

        After the items comes the error of the source, if it failed. Cancelling a call loses
        nothing.
        """
        ready = self._ready
        if not ready and not self.ended and not self.stopped:
            self._wake = Event()
            await self._wake.wait()
        self.count += len(ready)
        batch = ready[0] if len(ready) == 1 else b"".join(ready)
        ready.clear()
        if self._room is not None:
            self._room.set()
            self._room = None
        if not batch and self._error is not None:
            raise self._error
        return batch

    @property
    def waiting(self) -> int:
        """How many pieces may be taken without a wait."""
        return len(self._ready)

    @property
    def full(self) -> bool:
        """Tell whether the source waits for room."""
        return self._room is not None

    def leave(self) -> None:
        """Say that nobody takes any more: the source is cancelled once, then closed."""
        self.left = True
        if self._feeding is not None:
            self._feeding.left = True
        self._scope.cancel()

    def stop(self) -> None:
        """Have `take()` return b"" once nothing is ready, though the source has not ended."""
        self.stopped = True
        self._notify()

    async def _iterate(self, source: Source[T], encoder: Encoder[T]) -> None:
        feeding = self._feeding = Feeding()
        feeding_now.set(feeding)
        async with enter_source(source, feeding) as things:
            if isinstance(things, Batched):
                await things.open()
            self.iterated = True
            self.opened.set()
            if isinstance(things, Threaded):
                await self._gather(_one_by_one(things.encoded(encoder.one)), bytes)
            elif isinstance(things, Batched):
                await self._gather(self._encoded(things.batches(), encoder), bytes)
            else:
                await self._gather(aiter(things), encoder.one)

    async def _gather(self, things: AsyncIterator[T], encode: Callable[[T], bytes]) -> None:
        """Encode in this task, so that bytes bound the buffer and a refused item ends the stream.

        This loop is the path of each event: names are local, and whatever can be asked per
        batch is not asked per item.
        """
        ready, max_bytes, max_items = self._ready, self._max_bytes, self._max_items
        size, turn = 0, 0.0  # the first item gives way at once, so that it is sent at once
        try:
            async for thing in things:
                if chunk := encode(thing):
                    ready.append(chunk)
                    waiting = len(ready)
                    if waiting == 1:  # everything was taken
                        size = len(chunk)
                        if self._wake is not None:
                            self._notify()
                    else:
                        size += len(chunk)
                    if size >= max_bytes or waiting >= max_items:
                        self._room = room = Event()
                        await room.wait()
                # A tenth of an item's price. Asked less often, a few slow items in a row would
                # hold everybody else.
                if monotonic() >= turn:
                    await checkpoint()
                    turn = monotonic() + MAX_TURN
                # The source, or the checkpoint, may have swallowed the one cancellation.
                if self.left:
                    return
        finally:
            _shield(self._guard)
            await close(things)

    async def _encoded(
        self, batches: AsyncIterator[Sequence[T]], encoder: Encoder[T]
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for batch in batches:
                chunks = 0
                for chunk in encoder.batch(batch):
                    chunks += 1
                    yield chunk
                self.count += len(batch) - chunks  # `take()` counts a joined batch as one
        finally:
            await close(batches)

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None


async def _one_by_one(batches: AsyncIterator[Sequence[bytes]]) -> AsyncGenerator[bytes, None]:
    try:
        async for batch in batches:
            for chunk in batch:
                yield chunk
    finally:
        await close(batches)


@coroutine
def _cancelled_once(
    work: Coroutine[Any, Any, None], guard: CancelScope, owner: CancelScope
) -> Generator[Any, Any, None]:
    """Deliver the owner's cancellation to `work` once, then shield its cleanup, within a bound.

    Cancel scopes are level-triggered: `finally: await session.close()` would be cut short at its
    first await. So this steps the coroutine by hand, and when the cancellation arrives it turns
    on the shield of `guard` before it passes it on. Turning it on later, at the next await, would
    break trio's own bookkeeping.
    """
    cancelled = get_cancelled_exc_class()
    advance: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            # While the source runs, a cancellation on its way is hidden, and shown only where the
            # source really waits: trio's checkpoints open scopes of their own, which would eat it.
            pending = owner.cancel_called and not guard.shield
            if pending:
                guard.shield = True
            try:
                trap = advance(value)
            except StopIteration:
                return
            if pending and guard.deadline == inf:  # or its cleanup has begun meanwhile
                guard.shield = False
            failure: BaseException | None
            try:
                value = yield trap
            except BaseException as raised:  # noqa: BLE001 - asyncio throws it in; it is passed on
                advance, value, failure = work.throw, raised, raised
            else:  # trio sends an outcome, which holds it
                advance, failure = work.send, getattr(value, "error", None)
            # A timeout inside the source is its own affair: hence `cancel_called`.
            if isinstance(failure, cancelled) and owner.cancel_called and not guard.shield:
                _shield(guard)
    finally:
        work.close()


def _shield(guard: CancelScope) -> None:
    """From here on the source cleans up: nobody interrupts it any more, for a bounded time.

    Also without a cancellation: one that is on its way would otherwise hit the cleanup.
    """
    if guard.deadline == inf:
        guard.shield, guard.deadline = True, current_time() + CLOSE_TIMEOUT


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
