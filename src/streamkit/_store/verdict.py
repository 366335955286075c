"""What a writer concludes from the head that its append returned. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("Lost", "new_epoch", "verdict")

from enum import Enum
from secrets import randbits

from .contract import Claim, Head


class Lost(Enum):
    """Why a claim is no longer valid."""

    GONE = "it was deleted, or its store was emptied"
    REPLACED = "its name was started again"
    FENCED = "another process has taken it over"
    ROLLED_BACK = "its store forgot the claim itself"
    BROKEN = "its store failed"


def verdict(claim: Claim, head: Head | None, expected: int) -> int | Lost:
    """Judge the head that an append returned: how many events the store has beyond `expected`.

    They landed now, or in an earlier attempt whose acknowledgement was lost. A negative number
    means that the store has forgotten events that it had acknowledged.
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
    """Return an epoch above another. Two that are made at the same time very likely differ."""
    return ((over >> 24) + 1 << 24) + randbits(24)
