"""`MemoryStore`: streams in the memory of one process, and the model for every other store.

Rules here. A call gives way to other tasks once, and then does all its work in one step. So it is
atomic without a lock, and a cancelled call did nothing. Leases are measured on the monotonic clock,
because setting the machine's time must not orphan a stream. `expires` and other times that people
read are on the wall clock.
"""

from __future__ import annotations

__all__ = ("MemoryStore",)

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import accumulate, takewhile
from time import monotonic, time

from anyio.lowlevel import checkpoint

from .._store.bells import Listener
from .._store.contract import CLAIMS_KEPT, PAGE_BYTES, Claim, Head, Over, Page, Store
from .._store.lifecycle import Ended


class MemoryStore:
    """Keep streams in memory, for one event loop. Several `Streams` in that loop may share it.

    Nothing is written to disk: streams end with the process. The process that writes a stream
    decides how much it holds, by saying what to forget.

    Example:
        streams = Streams(MemoryStore())
    """

    durable = False

    def __init__(self) -> None:
        """Create an empty store. You may do this outside the event loop."""
        self._logs: dict[str, _Log] = {}
        self._listeners: set[Listener] = set()

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        """Become the writer. Return the head as it is afterwards, or None if there is no stream."""
        await checkpoint()
        log = self._logs.get(claim.name)
        if over == "lapsed":
            if log is not None and log.is_lapsed() and log.take_over(claim):
                self._ring(claim.name)
        elif log is None or (over == "anything" and log.head.life != claim.life):
            self._logs[claim.name] = log = _Log(claim)
            self._ring(claim.name)
        return None if log is None else log.head

    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        """Add, close, trim and renew the lease in one atomic step, or do nothing."""
        await checkpoint()
        log = self._logs.get(claim.name)
        if log is not None and log.accepts(claim, expected):
            log.add(events)
            log.forget(forget)
            log.renew(claim.lease)
            if close is not None:
                log.close(close)
            if events or close is not None:
                self._ring(claim.name)
        return None if log is None else log.head

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Return up to `limit` events and the head, from one snapshot; None without a stream."""
        await checkpoint()
        log = self._logs.get(name)
        return None if log is None else Page(log.head, log.events_after(after, limit))

    async def cancel(self, name: str, reason: str) -> Head | None:
        """Note a request to cancel in an open stream's head, unless it has one; ring its bell."""
        await checkpoint()
        log = self._logs.get(name)
        if log is not None and log.head.state == "open" and log.head.cancel is None:
            log.head = replace(log.head, cancel=reason)
            self._ring(name)
        return None if log is None else log.head

    async def delete(self, name: str) -> None:
        """Remove a stream, and ring its bell."""
        await checkpoint()
        if self._logs.pop(name, None) is not None:
            self._ring(name)

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        """Return the streams with names above `after`, sorted by code points."""
        await checkpoint()
        found = sorted(name for name in self._logs if name > after and name.startswith(prefix))
        return [(name, self._logs[name].head) for name in found[:limit]]

    async def sweep(self) -> list[tuple[str, Head]]:
        """Remove streams that are past their `keep`; return open streams whose lease has passed."""
        await checkpoint()
        self._logs = {name: log for name, log in self._logs.items() if not log.is_expired()}
        return [(name, log.head) for name, log in self._logs.items() if log.is_lapsed()]

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        """Yield the names of streams that may have changed. None means that any may have."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _ring(self, name: str) -> None:
        for listener in self._listeners:
            listener.ring((name,))


class _Log:
    """One life of a stream: its head, its events, and until when it is claimed."""

    __slots__ = ("_deadline", "_events", "_keep", "_offset", "head")

    def __init__(self, claim: Claim) -> None:
        self.head = Head(
            life=claim.life,
            epoch=claim.epoch,
            claims=((claim.token, 1),),
            first=1,
            tail=0,
            state="open",
            cancel=None,
            started=time(),
            ended=None,
            expires=None,
        )
        self._keep = claim.keep
        self._events: list[bytes] = []
        self._offset = 1  # the number of the list's first event, which may be a forgotten one
        self.renew(claim.lease)

    def renew(self, lease: float) -> None:
        self._deadline = monotonic() + lease

    def is_lapsed(self) -> bool:
        return self.head.state == "open" and self._deadline <= monotonic()

    def is_expired(self) -> bool:
        return self.head.expires is not None and self.head.expires <= time()

    def take_over(self, claim: Claim) -> bool:
        """Give a lapsed stream to another writer of the same life; its `keep` stays."""
        head = self.head
        if claim.life != head.life or claim.epoch <= head.epoch:
            return False
        claims = head.claims
        if claims[-1][0] != claim.token:  # the same token claims again after a store lost its tail
            claims = (*claims, (claim.token, head.tail + 1))[-CLAIMS_KEPT:]
        self.head = replace(head, epoch=claim.epoch, claims=claims)
        self.renew(claim.lease)
        return True

    def accepts(self, claim: Claim, expected: int) -> bool:
        head = self.head
        return (head.state, head.life, head.epoch, head.tail) == (
            "open",
            claim.life,
            claim.epoch,
            expected,
        )

    def add(self, events: Sequence[bytes]) -> None:
        if events:
            self._events += events
            head = self.head
            self.head = Head(  # half the cost of `replace`, and this runs on each append
                head.life,
                head.epoch,
                head.claims,
                head.first,
                head.tail + len(events),
                head.state,
                head.cancel,
                head.started,
                head.ended,
                head.expires,
            )

    def forget(self, below: int) -> None:
        first = min(below, self.head.tail + 1)
        if first <= self.head.first:
            return
        old, new = self.head.first - self._offset, first - self._offset
        # Free the memory of the events at once. Free their places in the list only once they are
        # half of it: moving the rest at each append would cost more the longer the stream is.
        self._events[old:new] = [b""] * (new - old)
        if new * 2 >= len(self._events):
            del self._events[:new]
            self._offset = first
        self.head = replace(self.head, first=first)

    def close(self, state: Ended) -> None:
        now = time()
        expires = None if self._keep is None else now + self._keep
        self.head = replace(self.head, state=state, ended=now, expires=expires)

    def events_after(self, after: int, limit: int) -> list[bytes]:
        start = max(after + 1, self.head.first) - self._offset
        events = self._events[start : start + limit]
        if sum(map(len, events)) <= PAGE_BYTES:
            return events
        sizes = accumulate(map(len, events))
        fitting = sum(1 for _ in takewhile(lambda size: size <= PAGE_BYTES, sizes))
        return events[: max(1, fitting)]


_: type[Store] = MemoryStore
