"""`Reconnect`: when to ask an upstream again. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("Reconnect", "may_pass")

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import uniform

# Whatever a server asks for: one that says 0 and closes after each event would spin us both.
MIN_DELAY = 0.1


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Say how long to wait before each attempt to reconnect, and when to give up.

    The first wait is `first` seconds, each next one twice as long, none longer than `max_delay`.
    None is shorter than the server asks for, up to `max_delay` too. Up to `jitter` of it is added
    at random, so that the clients of a server that went down do not all come back at the same
    moment. After `max_attempts` in a row without an event, it gives up.

    Example:
        stream_sse(url, reconnect=Reconnect(max_attempts=3))
    """

    first: float = 1.0
    max_delay: float = 30.0
    max_attempts: int = 8
    jitter: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would spin, or never reconnect."""
        # Written so that NaN, which compares with nothing, is refused too.
        if not 0 < self.first <= self.max_delay:
            raise ValueError(f"first is a time above 0 s, up to max_delay, not {self.first}")
        if not self.max_attempts >= 0:
            raise ValueError(f"max_attempts is 0 or more, not {self.max_attempts}")
        if not self.jitter >= 0:
            raise ValueError(f"jitter is 0 or more, not {self.jitter}")

    def delays(
        self,
        wish: Callable[[], float | None],
        *,
        chance: Callable[[float, float], float] = uniform,
    ) -> Iterator[float]:
        """Yield the waits of one outage, in seconds; after a success, take new ones.

        `wish` is called before each, and returns what the server last said in `retry:` or
        `Retry-After`, in seconds, or None.
        """
        for attempt in range(self.max_attempts):
            wished = wish()
            if attempt == 0 and wished is not None:
                delay = max(wished, MIN_DELAY)
            else:
                # Not 2**attempt of a large one: that is no float any more.
                delay = max(self.first * 2.0 ** min(attempt, 60), wished or 0.0)
            yield min(delay, self.max_delay) * chance(1.0, 1.0 + self.jitter)


def may_pass(status: int) -> bool:
    """Tell whether the same request, refused with this status, may be answered later."""
    return status in (408, 409, 429) or status >= 500
