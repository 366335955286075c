"""How long to wait for a store that is away, and what to log about it. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("MAX_PAUSE", "Patience")

import logging
from random import uniform

from ..errors import StoreAway

logger = logging.getLogger("streamkit")

FIRST_PAUSE = 0.05
MAX_PAUSE = 2.0


class Patience:
    """Back off from one store: retry soon at first, then less and less often, until it is back.

    An outage is logged once, however often it is noticed, and so is its end. Where no text was
    given, nothing is logged.
    """

    __slots__ = ("_away", "_back", "_pause", "is_away")

    def __init__(self, away: str = "", back: str = "") -> None:
        """`away` is logged with the reason, as in "the store cannot be swept"."""
        self._away, self._back = away, back
        self._pause = FIRST_PAUSE
        self.is_away = False

    def pause(self, error: StoreAway | None = None) -> float:
        """Return how many seconds to wait now. Pass an error if the store is away."""
        if error is not None and not self.is_away:
            self.is_away = True
            if self._away:
                logger.warning("%s: %s", self._away, error.why)
        pause, self._pause = self._pause, min(2 * self._pause, MAX_PAUSE)
        return uniform(0.5, 1) * pause  # noqa: S311 - jitter is not a secret

    def over(self) -> None:
        """Note that the store has answered."""
        if self.is_away and self._back:
            logger.warning(self._back)
        self._pause, self.is_away = FIRST_PAUSE, False
