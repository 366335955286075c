"""`StoredLines`: the encoder of what a store keeps, for a feeder that feeds one."""

from __future__ import annotations

__all__ = ("StoredLines",)

from .format import Encoder
from .stored import stored_line


class StoredLines(Encoder[object]):
    """Each item as the line that a store keeps of it."""

    def one(self, item: object) -> bytes:
        return stored_line(item)
