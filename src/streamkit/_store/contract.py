"""The contract of a store, and what flows through it.

A store never judges. It applies a call or does not, and returns the head as it is afterwards. One
pure function of the core, `verdict`, tested once, decides whether an append landed, was fenced, or
hit a store that lost its tail. So a retry after a lost acknowledgement needs no special case.

Rules for every store. Sequence numbers are contiguous from 1 in each stream. An event is one line
of JSON, as bytes without an LF. Times and leases are compared only on the store's clock. An
exception means that the store is away, and is a `StoreAway`; the head says everything else.
"""

# Annotations are evaluated here, because frameworks read those of public classes to build schemas.

__all__ = (
    "CLAIMS_KEPT",
    "PAGE_BYTES",
    "Claim",
    "Head",
    "Over",
    "Page",
    "Store",
)

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from .lifecycle import Ended, State

# How many claims a head remembers. A stream is claimed once, and again by the process that closes
# it as an orphan.
CLAIMS_KEPT = 8

# The size of one page: what a store reads at once for a follower that is behind.
PAGE_BYTES = 1 << 20

Over: TypeAlias = Literal["nothing", "lapsed", "anything"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a stream. Every append renews its lease."""

    name: str
    life: str
    """Random; each life of the name has a new one."""
    epoch: int
    """Grows with each claim of one life. The low bits are random, so that two claimants differ."""
    token: str
    """Random and short: the first part of the cursors of events written under this claim."""
    lease: float
    """In seconds from each write, on the store's clock. 0 lets another writer take over at once."""
    keep: float | None
    """How many seconds the stream is kept after it has ended; None means forever."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a store knows about one stream."""

    life: str
    epoch: int
    claims: tuple[tuple[str, int], ...]
    """The newest claims, oldest first: each token, and the number of the first event under it."""
    first: int
    """The number of the first event that is kept; `tail + 1` if none is kept."""
    tail: int
    """The number of the last event; 0 if nothing was written yet."""
    state: State
    cancel: str | None
    """The reason given in a request to cancel the stream, or None if there is no request."""
    started: float
    ended: float | None
    expires: float | None
    """When an ended stream will be removed, in seconds on the store's wall clock."""


class Page(NamedTuple):
    """Events, contiguous from `max(after + 1, head.first)`, and the head that they belong to."""

    head: Head
    events: list[bytes]


class Store(Protocol):
    """Keep the log of each stream. An optional `__aenter__` and `__aexit__` open and close it."""

    durable: bool
    """Whether acknowledged events outlive the process."""

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        """Become the writer. Return the head as it is afterwards, or None if there is no stream.

        Over "nothing": claim a name that is free. Over "lapsed": take over an open stream of the
        same life whose lease has passed; `epoch` must be above the stream's, and its `keep` stays.
        Over "anything": replace whatever exists with a new life, unless it is already this life.
        Repeating a claim changes nothing.
        """
        ...

    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        """Add, close, trim and renew the lease in one atomic step, or do nothing.

        The append applies if the stream is open, has the claim's life and epoch, and its tail is
        `expected`. `forget` drops all events below that number. Adding no events renews the lease.
        """
        ...

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Return up to `limit` events and the head, from one snapshot; None without a stream.

        Large events make a page shorter: it has at most `PAGE_BYTES`, but at least one event.
        """
        ...

    async def cancel(self, name: str, reason: str) -> Head | None:
        """Note a request to cancel in an open stream's head, unless it has one; ring its bell."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a stream, and ring its bell."""
        ...

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        """Return the streams with names above `after`, sorted by code points."""
        ...

    async def sweep(self) -> list[tuple[str, Head]]:
        """Remove streams that are past their `keep`; return open streams whose lease has passed."""
        ...

    def bells(self) -> AbstractAsyncContextManager[AsyncIterator[str | None]]:
        """Yield the names of streams that may have changed. None means that any may have changed.

        Names may arrive late, twice or never. Appending events, cancelling, claiming and deleting
        ring; renewing a lease does not.
        """
        ...


for _public in (Claim, Head, Page, Store):
    _public.__module__ = "streamkit"
