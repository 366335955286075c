"""`Pump`: what a source or a job gives, written to the log of its stream until its one end.

There is no timer in it: it appends what gathered while the last append ran. A lost acknowledgement
is no case of its own: the same bytes are appended again, and `verdict` says how many are there.
"""

from __future__ import annotations

__all__ = ("MAX_BATCH_BYTES", "MAX_BATCH_EVENTS", "Pump")

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from anyio import CancelScope, Event, move_on_after, sleep
from anyio.lowlevel import checkpoint

from .._following.mirror import Mirror
from .._items.stored import last_line
from .._store.contract import Claim, Head, Lost, Store, new_epoch, verdict
from .._store.lifecycle import Ended, last_event
from .._store.patience import Patience
from ..errors import Overflow, StoreAway
from ..errors._base import public_words
from .options import Retention, StreamOptions
from .producer import Intake, NeverOpened

logger = logging.getLogger("streamkit")

# What one append may hold: it is one transaction of a store, and one answer to wait for.
MAX_BATCH_EVENTS = 5_000
MAX_BATCH_BYTES = 1 << 20

# For each so many, one turn more. 1,000 events/s cost 6 us for each write of one (the benchmark
# fan_out), so the writes of one batch to so many take about 0.4 ms.
FOLLOWERS_PER_TURN = 64
MAX_TURNS = 8

# How soon a cancellation from another process is seen by a stream that is silent.
LOOK_PAUSE = 0.2


class Pump:
    """One stream while it is written."""

    def __init__(
        self,
        store: Store,
        claim: Claim,
        mirror: Mirror,
        options: StreamOptions,
        *,
        intake: Intake,
        leave: Callable[[], None],
    ) -> None:
        """`leave` cancels the source: then the intake comes to its end."""
        self.claim = claim
        self.options = options
        self.mirror = mirror
        self.ready = Event()
        """Set when the source may begin, because the one before it has ended."""
        self.ended = Event()
        """Set when nothing is written any more."""
        self.scope = CancelScope(shield=True)
        """Its task is cancelled by nothing but this, so that the end is written."""
        self.lost: Lost | None = None
        """Why the end could not be written."""
        self.cancelled: str | None = None
        """The reason for which it was cancelled."""
        self._store = store
        self._intake = intake
        self._leave = leave
        self._displaced = False
        self._alone_since: float | None = None
        self._visits = 0
        self._seq = 0  # of the last event that the store acknowledged
        self._begun = self._acknowledged = self._heard = 0  # numbers of appends
        self._looking = False
        self._pending: list[bytes] = []
        self._close: Ended | None = None
        self._failure: Exception | None = None
        self._held = Retention(options)

    def displace(self) -> None:
        """Have the source closed, because somebody else has the stream, or it is gone."""
        if not self._displaced and not self.ended.is_set():
            self._displaced = True
            self._leave()

    def cancel(self, reason: str) -> None:
        """Have the source closed, and the stream end as cancelled; the first reason counts."""
        if self.cancelled is None and self._close is None:
            self.cancelled = reason
            self._leave()

    def look_at_followers(self, now: float) -> None:
        """Cancel it when nobody has followed for the time of grace."""
        if self.mirror.followers or self.mirror.visits > self._visits:
            self._alone_since, self._visits = None, self.mirror.visits
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since >= self.options.grace:
            self.cancel("nobody follows it")

    def heard(self) -> bool:
        """Note that a bell rang; return whether `look_soon` is to be run."""
        self._heard = self._begun
        looking, self._looking = self._looking, True
        return not looking

    async def look_soon(self) -> None:
        """Look at the head in a moment, unless an append that was begun after the bell brought it.

        Most bells that a pump hears are those of its own appends.
        """
        await sleep(LOOK_PAUSE)
        self._looking = False
        if self._acknowledged <= self._heard and not self.ended.is_set():
            await self.look()

    async def look(self) -> None:
        """Look at the head: somebody may wish the stream cancelled, or have taken it."""
        try:
            page = await self._store.read(self.claim.name, 0, 0)
        except Exception:  # noqa: BLE001 - the next append will tell
            return
        self._obey(None if page is None else page.head)

    async def run(self) -> None:
        """Write until the end was written, or the claim is lost."""
        try:
            while self._close is None or self._pending:
                if not self._pending:
                    await self._gather()
                await self._write()
        except NeverOpened:
            await self._free()  # who started it is told why
        except _ClaimLost as error:
            self.lost = error.why
            logger.warning(
                "the stream %s cannot be written any more: %s", self.claim.name, error.why.value
            )
            self._leave()
        except Exception:
            logger.exception("the stream %s cannot be written", self.claim.name)
            self.lost = Lost.BROKEN
            self._leave()
        finally:
            self.ended.set()

    async def _gather(self) -> None:
        """Take what is there; come back with nothing in time to renew the lease."""
        try:
            with move_on_after(self.claim.lease / 3):
                self._pending = list(await self._intake.take())
                await self._let_gather()
                if self._pending and not self._intake.over:
                    return
                if self._pending:
                    await self._intake.take()  # nothing comes, but maybe its error
                self._finish(None)
        except NeverOpened:
            raise
        except Exception as error:  # noqa: BLE001 - the source's; it is written as the end
            self._finish(self._failure or error)

    async def _let_gather(self) -> None:
        """Let a source that is at it go on for a few turns of the loop, when many follow.

        One more event in a write costs next to nothing, and a write is one for each of them. A
        source that has paused is not waited for.
        """
        for _ in range(min(self.mirror.followers // FOLLOWERS_PER_TURN, MAX_TURNS)):
            await checkpoint()
            if not self._intake.ready or len(self._pending) >= MAX_BATCH_EVENTS:
                break
            self._pending += await self._intake.take()

    def _finish(self, error: Exception | None) -> None:
        count = self._seq + len(self._pending)
        facts: dict[str, object]
        if self.cancelled is not None:
            self._close, facts = "cancelled", {"reason": self.cancelled}
        elif error is not None:
            code, message = public_words(error)
            self._close, facts = "error", {"code": code, "message": message}
            if not self._displaced:
                cursor = f"{self.claim.token}.{count}"
                name = self.claim.name
                logger.error("the stream %s failed after %s", name, cursor, exc_info=error)
        else:
            self._close, facts = "done", {"count": count}
        self._pending.append(last_line(last_event(self._close, **facts)))

    async def _write(self) -> None:
        batch, size = self._batch()
        close = self._close if len(batch) == len(self._pending) else None
        head, landed = await self._appended(batch, size, close)
        if landed < 0:
            self._write_again(head, -landed)
        elif landed:
            self._pending = self._pending[landed:] if landed < len(self._pending) else []
            self._held.add(self._seq + landed, size)
            if not self._displaced:  # or somebody else feeds it
                self.mirror.feed(head, self._seq, batch)  # not before: durable before delivered
            self._seq += landed
        self._obey(head)

    def _batch(self) -> tuple[list[bytes], int]:
        """Return what one append may hold of what is pending, and its bytes."""
        pending = self._pending
        size = sum(map(len, pending))
        if len(pending) <= MAX_BATCH_EVENTS and size <= MAX_BATCH_BYTES:
            return pending, size
        size = 0
        for count, line in enumerate(pending):
            if count == MAX_BATCH_EVENTS or (count and size + len(line) > MAX_BATCH_BYTES):
                return pending[:count], size
            size += len(line)
        return pending, size

    async def _appended(
        self, batch: list[bytes], size: int, close: Ended | None
    ) -> tuple[Head, int]:
        """Append, however often it takes; return the head, and how many events are there now."""
        name = self.claim.name
        patience = Patience(
            f"the stream {name} waits for its store", f"the stream {name} has its store back"
        )
        while True:
            self._begun += 1
            try:
                head = await self._store.append(
                    self.claim,
                    self._seq,
                    batch,
                    close=close,
                    forget=self._held.forget(self._seq + len(batch), size),
                )
                self._acknowledged = self._begun
                landed = verdict(self.claim, head, self._seq)
                if landed is Lost.ROLLED_BACK and head is not None:
                    epoch = new_epoch(max(head.epoch, self.claim.epoch))
                    self.claim = replace(self.claim, epoch=epoch)
                    await self._store.claim(self.claim, "lapsed")
                elif head is None or isinstance(landed, Lost):
                    raise _ClaimLost(landed if isinstance(landed, Lost) else Lost.GONE)
                elif landed or not batch:
                    patience.over()
                    return head, landed
                elif head.state != "open":
                    raise _ClaimLost(Lost.FENCED)
            except StoreAway as error:
                pause = patience.pause(error)
                self._refuse_more()
                # A full disk has no room for the batch, but it has for the lease.
                with suppress(StoreAway):
                    await self._store.append(self.claim, self._seq, [])
            else:
                pause = patience.pause()
            await sleep(min(pause, self.claim.lease / 3))

    def _refuse_more(self) -> None:
        """Choose, when no more may wait: the source waits too, or the stream fails."""
        if self.options.when_full == "fail" and self._intake.stuck and self._failure is None:
            self._failure = Overflow(self.claim.name)
            self._leave()

    def _write_again(self, head: Head, missing: int) -> None:
        """Have the store take once more what it forgot: the same bytes, so cursors stay valid."""
        lines = self.mirror.lines(head.tail)
        logger.warning(
            "the store forgot %d events of the stream %s that it had acknowledged",
            missing,
            self.claim.name,
        )
        if lines is None or len(lines) < missing:
            raise _ClaimLost(Lost.ROLLED_BACK)
        self._pending[:0] = lines[:missing]
        self._seq = head.tail

    def _obey(self, head: Head | None) -> None:
        if head is not None and head.cancel is not None and head.life == self.claim.life:
            self.cancel(head.cancel)
        elif head is None or head.life != self.claim.life or head.epoch > self.claim.epoch:
            self.displace()  # the next append tells why

    async def _free(self) -> None:
        """Give the name back, if it is still ours."""
        try:
            page = await self._store.read(self.claim.name, 0, 0)
            if page is not None and page.head.life == self.claim.life:
                await self._store.delete(self.claim.name)
        except Exception as error:  # noqa: BLE001 - it concerns this name alone
            logger.warning("the name %s is taken until it expires: %r", self.claim.name, error)


class _ClaimLost(Exception):
    def __init__(self, why: Lost) -> None:
        self.why = why
