"""The contract of a store, and what flows through it.

A store never judges: it applies or it does not, and returns the head as it then is. Whether an
append landed, was fenced, or hit a store that lost its tail is one pure function of the core,
`verdict`, tested once. So a retry after a lost acknowledgement needs no case of its own.

Rules for every store. Sequence numbers are contiguous from 1 in each stream. An event is one line
of JSON, bytes without a LF. Times and leases are compared on the store's clock alone. An exception
means that the store is away, and is a `StoreAway`; everything else is said by the head.
"""

# Annotations are evaluated here: frameworks read those of public classes, to make schemas of them.

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

# A head remembers so many claims. A stream is claimed once, and once more by who closes an orphan.
CLAIMS_KEPT = 8

# Of one page: what a store reads at once for one who is behind.
PAGE_BYTES = 1 << 20

Over: TypeAlias = Literal["nothing", "lapsed", "anything"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who may write. Every append renews its lease."""

    name: str
    life: str
    """Random, new with each life of the name."""
    epoch: int
    """Grows with each claim of one life; the low bits are random, so that two takers differ."""
    token: str
    """Random and short: the first part of the cursors of what is written under this claim."""
    lease: float
    """In seconds from each write on, on the store's clock. 0 hands the stream on."""
    keep: float | None
    """For how many seconds the stream is kept once it has ended; None for ever."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a store knows of one stream."""

    life: str
    epoch: int
    claims: tuple[tuple[str, int], ...]
    """The newest claims, oldest first: each token, and the number of the first event under it."""
    first: int
    """The number of the first event that is kept; `tail + 1` when none is."""
    tail: int
    """The number of the last event; 0 when nothing was written yet."""
    state: State
    cancel: str | None
    """The reason for which somebody wishes the stream cancelled, or None."""
    started: float
    ended: float | None
    expires: float | None
    """When an ended stream will be removed, in the seconds of the store's wall clock."""


class Page(NamedTuple):
    """Events, contiguous from `max(after + 1, head.first)`, and the head they belong to."""

    head: Head
    events: list[bytes]


class Store(Protocol):
    """Keep the log of each stream. An optional `__aenter__` and `__aexit__` open and close it."""

    durable: bool
    """Whether what it acknowledged outlives the process."""

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        """Become the writer, and return the head as it then is; None when there is no stream.

        Over "nothing": of a name that is free. Over "lapsed": of an open stream of the same life
        whose lease has passed; `epoch` must be above its own, and its `keep` stays. Over
        "anything": whatever is there is replaced by a new life, unless it already is this life.
        A repeated claim changes nothing.
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

        It applies when the stream is open, of the claim's life and epoch, and `expected` is its
        tail. `forget` drops what is below that number. Adding nothing renews the lease.
        """
        ...

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Return up to `limit` events and the head, from one snapshot; None for no such stream.

        Fewer when they are large: no more than make `PAGE_BYTES`, but at least one.
        """
        ...

    async def cancel(self, name: str, reason: str) -> Head | None:
        """Note the wish in the head of an open stream, unless there is one; ring its bell."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a stream, and ring its bell."""
        ...

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        """Return streams by name, in the order of code points: those above `after`."""
        ...

    async def sweep(self) -> list[tuple[str, Head]]:
        """Remove what is past its `keep`; return open streams whose lease has passed."""
        ...

    def bells(self) -> AbstractAsyncContextManager[AsyncIterator[str | None]]:
        """Give names that may have changed; None: any may have. They may be late, lost, doubled.

        An append of events, a cancel, a claim and a delete ring; a renewal does not.
        """
        ...


for _public in (Claim, Head, Page, Store):
    _public.__module__ = "streamkit"
