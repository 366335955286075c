"""`Carrier`: what `ModelSource` asks of whatever carries an answer."""

from __future__ import annotations

__all__ = ("Carrier",)

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol


class Carrier(Protocol):
    """Ask a provider and hand on its JSON, whoever does the talking: a client of HTTP, an SDK."""

    complete: bool
    """Whether the provider's protocol said that this is all, apart from what the wire says."""

    @property
    @abstractmethod
    def secrets(self) -> Sequence[str]:
        """Return what must be in no text: keys."""
        ...

    async def open(self) -> None:
        """Send the request, and return when an answer has begun."""
        ...

    async def read(self) -> Sequence[object] | None:
        """Return the next JSON values, or none of them for a sign of life; None at the end."""
        ...

    async def close(self) -> None:
        """Close the connection at once, in whichever state it is."""
        ...
