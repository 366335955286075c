"""`Pump`: write what a source or a job produces to the log of its stream, until its only end.

It has no timer: it appends the lines that arrived during the last append.
"""

from __future__ import annotations

__all__ = ("Pump",)

import logging

from anyio import CancelScope, Event, move_on_after, sleep
from anyio.lowlevel import checkpoint

from .._following.mirror import Mirror
from .._items.stored import last_line
from .._store.contract import Claim, Head, Store
from .._store.lifecycle import Ended, last_event
from .._store.verdict import Lost
from ..errors import Overflow
from ..errors._base import public_words
from .appending import MAX_BATCH_EVENTS, Appending, ClaimLost
from .options import StreamOptions
from .producer import NeverOpened, Producer

logger = logging.getLogger("streamkit")

MAX_TURNS = 8


class Pump:
    """One stream while it is being written."""

    # One more turn for each 64 followers. At 1,000 events/s each write of one event costs 6 us (the
    # benchmark fan_out), so writing one batch to 64 followers takes about 0.4 ms.
    followers_per_turn = 64

    # How soon a silent stream sees a cancellation from another process, in seconds.
    look_pause = 0.2

    def __init__(
        self,
        store: Store,
        claim: Claim,
        mirror: Mirror,
        options: StreamOptions,
        producer: Producer,
    ) -> None:
        self.options = options
        self.mirror = mirror
        self.ready = Event()
        """Set when the source may begin, because the previous one has ended."""
        self.ended = Event()
        """Set when nothing more will be written."""
        self.scope = CancelScope(shield=True)
        """The only scope that cancels the pump's task, so that the end gets written."""
        self.lost: Lost | None = None
        """Why the end could not be written."""
        self.cancelled: str | None = None
        """The reason why it was cancelled."""
        self._store = store
        self._producer = producer
        self._log = Appending(store, claim, mirror, options, waits=self._refuse_more)
        self._displaced = False
        self._alone_since: float | None = None
        self._visits = 0
        self._heard = 0  # the number of the append that was running when a bell rang
        self._looking = False
        self._close: Ended | None = None
        self._failure: Exception | None = None

    @property
    def claim(self) -> Claim:
        """The claim under which it is written. If the store forgets it, it is claimed again."""
        return self._log.claim

    def displace(self) -> None:
        """Close the source, because another writer has the stream or the stream is gone."""
        if not self._displaced and not self.ended.is_set():
            self._displaced = True
            self._producer.leave()

    def cancel(self, reason: str) -> None:
        """Close the source, and end the stream as cancelled. The first reason counts."""
        if self.cancelled is None and self._close is None:
            self.cancelled = reason
            self._producer.leave()

    def look_at_followers(self, now: float) -> None:
        """Cancel the stream if it had no followers for `grace` seconds."""
        if self.mirror.followers or self.mirror.visits > self._visits:
            self._alone_since, self._visits = None, self.mirror.visits
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since >= self.options.grace:
            self.cancel("nobody follows it")

    def heard(self) -> bool:
        """Note that a bell rang; return whether to run `look_soon`."""
        self._heard = self._log.begun
        looking, self._looking = self._looking, True
        return not looking

    async def look_soon(self) -> None:
        """Read the head in a moment, unless an append that began after the bell has returned it.

        Most bells that a pump hears come from its own appends.
        """
        await sleep(self.look_pause)
        self._looking = False
        if self._log.acknowledged <= self._heard and not self.ended.is_set():
            await self.look()

    async def look(self) -> None:
        """Read the head: the stream may have a request to cancel it, or another writer."""
        try:
            page = await self._store.read(self.claim.name, 0, 0)
        except Exception:  # noqa: BLE001 - the next append will show it
            return
        self._obey(None if page is None else page.head)

    async def run(self) -> None:
        """Write until the end is written or the claim is lost."""
        try:
            while self._close is None or self._log.pending:
                if not self._log.pending:
                    await self._gather()
                await self._write()
        except NeverOpened:
            await self._free()  # the code that started it gets the error
        except ClaimLost as error:
            self.lost = error.why
            logger.warning(
                "the stream %s cannot be written any more: %s", self.claim.name, error.why.value
            )
            self._producer.leave()
        except Exception:
            logger.exception("the stream %s cannot be written", self.claim.name)
            self.lost = Lost.BROKEN
            self._producer.leave()
        finally:
            self.ended.set()

    async def _gather(self) -> None:
        """Take lines from the producer. Return without any in time to renew the lease."""
        try:
            with move_on_after(self.claim.lease / 3):
                self._log.pending = list(await self._producer.take())
                await self._let_gather()
                if self._log.pending and not self._producer.over:
                    return
                if self._log.pending:
                    await self._producer.take()  # returns nothing, but may raise its error
                self._finish(None)
        except NeverOpened:
            raise
        except Exception as error:  # noqa: BLE001 - the source's; it is written as the end
            self._finish(self._failure or error)

    async def _let_gather(self) -> None:
        """Let a busy source continue for a few turns of the event loop if there are many followers.

        One more event in a write costs next to nothing, but each append costs one write per
        follower. A source that has paused is not waited for.
        """
        for _ in range(min(self.mirror.followers // self.followers_per_turn, MAX_TURNS)):
            await checkpoint()
            if not self._producer.ready or len(self._log.pending) >= MAX_BATCH_EVENTS:
                break
            self._log.pending += await self._producer.take()

    def _finish(self, error: Exception | None) -> None:
        count = self._log.seq + len(self._log.pending)
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
        self._log.pending.append(last_line(last_event(self._close, **facts)))

    async def _write(self) -> None:
        after = self._log.seq
        head, landed = await self._log.append(self._close)
        if landed and not self._displaced:  # another pump feeds the mirror of a displaced one
            self.mirror.feed(head, after, landed)  # only now: stored before delivered
        self._obey(head)

    def _refuse_more(self) -> None:
        """When no more may wait, let the source wait or fail the stream, as `when_full` says."""
        if self.options.when_full == "fail" and self._producer.stuck and self._failure is None:
            self._failure = Overflow(self.claim.name)
            self._producer.leave()

    def _obey(self, head: Head | None) -> None:
        if head is not None and head.cancel is not None and head.life == self.claim.life:
            self.cancel(head.cancel)
        elif head is None or head.life != self.claim.life or head.epoch > self.claim.epoch:
            self.displace()  # the next append will say why

    async def _free(self) -> None:
        """Give the name back, if it is still ours."""
        try:
            page = await self._store.read(self.claim.name, 0, 0)
            if page is not None and page.head.life == self.claim.life:
                await self._store.delete(self.claim.name)
        except Exception as error:  # noqa: BLE001 - it concerns this name alone
            logger.warning("the name %s is taken until it expires: %r", self.claim.name, error)
