"""`StreamOptions`: how a stream is kept, and what happens to it without followers."""

from __future__ import annotations

__all__ = ("GivenOptions", "StreamOptions")

from dataclasses import dataclass
from typing import Literal, TypedDict


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is kept, and what happens to it without followers."""

    keep: float | None
    max_events: int = 100_000
    max_bytes: int = 64 << 20
    lease: float = 15.0
    on_leave: Literal["detach", "cancel"] = "detach"
    grace: float = 10.0
    when_full: Literal["wait", "fail"] = "wait"

    def __post_init__(self) -> None:
        """Refuse values that would keep nothing or make it spin."""
        if self.keep is not None and not self.keep >= 0:
            raise ValueError(f"keep is a time of 0 s or more, or None, not {self.keep}")
        for name in ("max_events", "max_bytes", "lease"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}")
        if not self.grace >= 0:
            raise ValueError(f"grace is a time of 0 s or more, not {self.grace}")
        if self.on_leave not in ("detach", "cancel"):
            raise ValueError(f'on_leave is "detach" or "cancel", not {self.on_leave!r}')
        if self.when_full not in ("wait", "fail"):
            raise ValueError(f'when_full is "wait" or "fail", not {self.when_full!r}')


class GivenOptions(TypedDict, total=False):
    """Options that each stream may set for itself. As keywords of `Streams` they apply to all."""

    keep: float | None
    max_events: int
    max_bytes: int
    lease: float
    on_leave: Literal["detach", "cancel"]
    grace: float
    when_full: Literal["wait", "fail"]
