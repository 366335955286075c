"""`Log`: what library and servers log, so that each warning and error is expected by some test."""

from __future__ import annotations

__all__ = ("Log",)

import logging
from threading import Condition

# A line may come a moment after what caused it was seen.
WAIT = 5.0


class Log(logging.Handler):
    """Keep the warnings and errors of all threads until a test takes them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._changed = Condition()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record with its traceback."""
        with self._changed:
            self._lines.append(f"{record.name}: {self.format(record)}")
            self._changed.notify_all()

    def take(self, *parts: str) -> str:
        """Wait for a line with all `parts`, and return it; nobody else sees it any more."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._found(parts), WAIT):
                raise AssertionError(f"{parts} was not logged, but {self._lines}")
            line = self._found(parts)
            self._lines.remove(line)
            return line

    def take_rest(self) -> list[str]:
        """Return the lines that nobody took."""
        with self._changed:
            rest, self._lines = self._lines, []
            return rest

    def _found(self, parts: tuple[str, ...]) -> str:
        for line in self._lines:
            if all(part in line for part in parts):
                return line
        return ""
