"""`StreamOptions`: how a stream is kept, and what becomes of it when nobody follows."""

from __future__ import annotations

__all__ = ("GivenOptions", "Retention", "StreamOptions")

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypedDict


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is kept, and what becomes of it when nobody follows."""

    keep: float | None
    max_events: int = 100_000
    max_bytes: int = 64 << 20
    lease: float = 15.0
    on_leave: Literal["detach", "cancel"] = "detach"
    grace: float = 10.0
    when_full: Literal["wait", "fail"] = "wait"

    def __post_init__(self) -> None:
        """Refuse what would keep nothing, or spin."""
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
    """What a stream may have its own of; each is a keyword of `Streams` too, for all."""

    keep: float | None
    max_events: int
    max_bytes: int
    lease: float
    on_leave: Literal["detach", "cancel"]
    grace: float
    when_full: Literal["wait", "fail"]


class Retention:
    """How much of a stream is held, and what has to go for more; in the portions it was written."""

    def __init__(self, options: StreamOptions) -> None:
        """Nothing is held yet."""
        self._options = options
        self._portions: deque[tuple[int, int]] = deque()  # the last number and the bytes of each
        self._bytes = 0
        self._first = 0

    def add(self, last: int, size: int) -> None:
        """Note a portion up to a number."""
        self._portions.append((last, size))
        self._bytes += size

    def forget(self, last: int, size: int) -> int:
        """Return the number below which nothing is to be held once a portion more is there."""
        self._first = max(self._first, last - self._options.max_events + 1)
        while self._portions and (
            self._bytes + size > self._options.max_bytes or self._portions[0][0] < self._first
        ):
            gone, freed = self._portions.popleft()
            self._bytes -= freed
            self._first = max(self._first, gone + 1)
        return self._first
