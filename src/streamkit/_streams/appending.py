"""`Appending`: append the lines of one stream to the store until they have landed.

```
pending ── batch ──► store.append(claim, expected=seq, batch) ──► head, as it then is
   ▲                         ▲                                        │
   │                         │                                     verdict
   │                         │                                        │
   │                         ├── wait ◄── 0: not applied, and the claim still holds
   │                         ├── wait ◄── ROLLED_BACK: the store forgot our claim; claim again
   │                         ├── wait ◄── (StoreAway: no answer; renew the lease, if that works)
   │                                                                  │
   └── n < 0: the store forgot events that it had acknowledged ◄──────┤
                                                                      │
       n > 0: they landed, now or in an attempt whose answer was lost ◄──────► delivered
       another Lost: somebody else has the stream, or it is gone ◄────┘──────► ClaimLost
```

A lost acknowledgement needs no special case: the same bytes are appended again, and the verdict
says how many of them the store has.
"""

from __future__ import annotations

__all__ = ("MAX_BATCH_BYTES", "MAX_BATCH_EVENTS", "Appending", "ClaimLost", "Retention")

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from anyio import sleep

from .._following.mirror import Mirror
from .._store.contract import Claim, Head, Store
from .._store.lifecycle import Ended
from .._store.patience import Patience
from .._store.verdict import Lost, new_epoch, verdict
from ..errors import StoreAway
from .options import StreamOptions

logger = logging.getLogger("streamkit")

# How much one append may hold: it is one transaction of the store, and one answer to wait for.
MAX_BATCH_EVENTS = 5_000
MAX_BATCH_BYTES = 1 << 20


class ClaimLost(Exception):
    """The claim is lost, so nothing more can be written."""

    def __init__(self, why: Lost) -> None:
        self.why = why


class Appending:
    """Append pending lines batch by batch. `mirror` keeps lines that the store may forget."""

    def __init__(
        self,
        store: Store,
        claim: Claim,
        mirror: Mirror,
        options: StreamOptions,
        *,
        waits: Callable[[], None],
    ) -> None:
        """Call `waits` each time the store is found to be away."""
        self.claim = claim
        self.pending: list[bytes] = []
        self.seq = 0
        """The number of the last event that the store acknowledged."""
        self.begun = self.acknowledged = 0
        """The numbers of the last append that began, and of the last that was answered."""
        self._store, self._mirror, self._waits = store, mirror, waits
        self._retention = Retention(options)

    async def append(self, close: Ended | None) -> tuple[Head, list[bytes]]:
        """Append one batch, the last with the end. Return the head and the lines that landed."""
        batch, size = self._batch()
        head, landed = await self._landed(
            batch, size, close if len(batch) == len(self.pending) else None
        )
        if landed < 0:
            self._write_again(head, -landed)
            return head, []
        if landed:
            self.pending = self.pending[landed:] if landed < len(self.pending) else []
            self.seq += landed
            self._retention.add(self.seq, size)
        return head, batch

    def _batch(self) -> tuple[list[bytes], int]:
        """Return the pending lines that fit in one append, and their size in bytes."""
        pending = self.pending
        size = sum(map(len, pending))
        if len(pending) <= MAX_BATCH_EVENTS and size <= MAX_BATCH_BYTES:
            return pending, size
        size = 0
        for count, line in enumerate(pending):
            if count == MAX_BATCH_EVENTS or (count and size + len(line) > MAX_BATCH_BYTES):
                return pending[:count], size
            size += len(line)
        return pending, size

    async def _landed(self, batch: list[bytes], size: int, close: Ended | None) -> tuple[Head, int]:
        """Append, with as many attempts as it takes. Return the head and how many events landed."""
        patience: Patience | None = None
        while True:
            try:
                head = await self._tried(batch, size, close)
                found = verdict(self.claim, head, self.seq)
                if found is Lost.ROLLED_BACK and head is not None:
                    await self._claim_again(head)
                elif head is None or isinstance(found, Lost):
                    raise ClaimLost(found if isinstance(found, Lost) else Lost.GONE)
                elif found or not batch:
                    if patience is not None:
                        patience.over()
                    return head, found
                elif head.state != "open":
                    raise ClaimLost(Lost.FENCED)
                patience = patience or self._patience()
                pause = patience.pause()
            except StoreAway as error:
                patience = patience or self._patience()
                pause = patience.pause(error)
                self._waits()
                # A full disk may have no room for the batch but still have room for the lease.
                with suppress(StoreAway):
                    await self._store.append(self.claim, self.seq, [])
            await sleep(min(pause, self.claim.lease / 3))

    def _patience(self) -> Patience:
        name = self.claim.name
        return Patience(
            f"the stream {name} waits for its store", f"the stream {name} has its store back"
        )

    async def _tried(self, batch: list[bytes], size: int, close: Ended | None) -> Head | None:
        self.begun += 1
        forget = self._retention.forget(self.seq + len(batch), size)
        head = await self._store.append(self.claim, self.seq, batch, close=close, forget=forget)
        self.acknowledged = self.begun
        return head

    async def _claim_again(self, head: Head) -> None:
        epoch = new_epoch(max(head.epoch, self.claim.epoch))
        self.claim = replace(self.claim, epoch=epoch)
        await self._store.claim(self.claim, "lapsed")

    def _write_again(self, head: Head, missing: int) -> None:
        """Queue the forgotten lines for another append: the same bytes, so cursors stay valid."""
        lines = self._mirror.lines(head.tail)
        logger.warning(
            "the store forgot %d events of the stream %s that it had acknowledged",
            missing,
            self.claim.name,
        )
        if lines is None or len(lines) < missing:
            raise ClaimLost(Lost.ROLLED_BACK)
        self.pending[:0] = lines[:missing]
        self.seq = head.tail


class Retention:
    """How much of a stream is kept, and what must be dropped, in the portions it was written."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._portions: deque[tuple[int, int]] = deque()  # the last number and the bytes of each
        self._bytes = 0
        self._first = 0

    def add(self, last: int, size: int) -> None:
        """Add a portion that ends at a number."""
        self._portions.append((last, size))
        self._bytes += size

    def forget(self, last: int, size: int) -> int:
        """Return the number below which events must be dropped once another portion is added."""
        self._first = max(self._first, last - self._options.max_events + 1)
        while self._portions and (
            self._bytes + size > self._options.max_bytes or self._portions[0][0] < self._first
        ):
            gone, freed = self._portions.popleft()
            self._bytes -= freed
            self._first = max(self._first, gone + 1)
        return self._first
