"""What a writer concludes from the head that its append returned. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("Lost", "new_epoch", "verdict")

from enum import Enum
from secrets import randbits

from .contract import Claim, Head


class Lost(Enum):
    """Why a claim is worth nothing any more."""

    GONE = "it was deleted, or its store was emptied"
    REPLACED = "its name was started again"
    FENCED = "another process has taken it over"
    ROLLED_BACK = "its store forgot the claim itself"
    BROKEN = "its store failed"


def verdict(claim: Claim, head: Head | None, expected: int) -> int | Lost:
    """Judge what a store returned to an append: how many events are in it, beyond `expected`.

    They landed now, or in an attempt whose acknowledgement was lost. Below 0: the store has
    forgotten events that it had acknowledged.
    """
    if head is None:
        return Lost.GONE
    if head.life != claim.life:
        return Lost.REPLACED
    if head.epoch > claim.epoch:
        return Lost.FENCED
    if head.epoch < claim.epoch:
        return Lost.ROLLED_BACK
    return head.tail - expected


def new_epoch(over: int = 0) -> int:
    """Return an epoch above another; two that are made at once are very likely to differ."""
    return ((over >> 24) + 1 << 24) + randbits(24)
