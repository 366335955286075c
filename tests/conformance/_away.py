"""`Away`: a store that does not answer when the test says so."""

from __future__ import annotations

__all__ = ("Away",)

from typing import Any

from anyio import Event

from streamkit import Claim, Head, MemoryStore, Page
from streamkit.errors import StoreAway


class Away(MemoryStore):
    """A store that does not answer when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.waits: Event | None = None
        """When there is one, a read waits for it."""
        self.waiting = 0
        """How many reads did."""

    async def append(self, claim: Claim, expected: int, events: Any, **options: Any) -> Head | None:
        self._look()
        return await super().append(claim, expected, events, **options)

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        if self.waits is not None:
            self.waiting += 1
            await self.waits.wait()
        self._look()
        return await super().read(name, after, limit)

    def _look(self) -> None:
        if self.away:
            raise StoreAway("the cable was pulled")
