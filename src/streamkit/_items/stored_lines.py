"""`StoredLines`: the encoder that writes items as a store keeps them."""

from __future__ import annotations

__all__ = ("StoredLines",)

from .format import Encoder
from .stored import stored_line


class StoredLines(Encoder[object]):
    """Write each item as the line that a store keeps of it."""

    def one(self, item: object) -> bytes:
        return stored_line(item)
