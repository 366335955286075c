"""`Stream`: what a job writes to. Call its methods from any thread unless they say otherwise."""

from __future__ import annotations

__all__ = ("Stream",)

from typing import TYPE_CHECKING

from ..logs import Level, LogRecord, ProgressTracker
from .inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream:
    """Write to one stream, from your job.

    Items are stored and numbered in the order you write them, then delivered. Up to 10,000 items
    or 16 MiB may wait for the store. Beyond that `send` and `send_sync` wait, `send_nowait` raises
    `Overflow`, and `log` drops records and reports how many. After the end, all methods but `log`
    raise `StreamEnded`.

    Example:
        async def generate(stream: Stream, parts: list[str]) -> None:
            stream.log("parsing metadata")
            async for part in stream.progress.track(parts):
                await stream.send({"part": part})
    """

    def __init__(self, name: str, inbox: Inbox, cancelled: Callable[[], bool]) -> None:
        self.name = name
        """The name of the stream."""
        self._inbox = inbox
        self._cancelled = cancelled

    async def send(self, item: object) -> None:
        """Wait for room, then write an item. Call this in the event loop."""
        await self._inbox.send(item)

    def send_nowait(self, item: object) -> None:
        """Write an item at once, from any thread. Raises `Overflow` if there is no room."""
        self._inbox.send_nowait(item)

    def send_sync(self, item: object) -> None:
        """Wait for room, then write an item. Call this in a thread."""
        self._inbox.send_sync(item)

    def log(self, message: str, level: Level = "info") -> None:
        """Write a log record, from any thread. Never waits, and never raises for lack of room."""
        self._inbox.log(LogRecord(message, level))

    @property
    def progress(self) -> ProgressTracker:
        """Return the tracker to report progress with: `track(items)`, `update(done, total=…)`."""
        return self._inbox.progress

    @property
    def cancelled(self) -> bool:
        """Return whether the stream was cancelled. A job in a thread has to check this itself."""
        return self._cancelled()


Stream.__module__ = "streamkit"
