"""`Stream`: what a job writes to. Each line of it may come from any thread but where it says so."""

from __future__ import annotations

__all__ = ("Stream",)

from typing import TYPE_CHECKING

from ..logs import Level, LogRecord, ProgressTracker
from .inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream:
    """One stream, as its producer sees it.

    What is written is kept in this order and numbered, then delivered. Up to 10,000 items or
    16 MiB may wait for the store; beyond that `send` and `send_sync` wait, `send_nowait` raises
    `Overflow`, and `log` counts what it leaves out and says so. After the end all but `log` raise
    `StreamEnded`.

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
        """Write an item, after waiting for room; call it in the event loop."""
        await self._inbox.send(item)

    def send_nowait(self, item: object) -> None:
        """Write an item at once, from any thread; raises `Overflow` when there is no room."""
        self._inbox.send_nowait(item)

    def send_sync(self, item: object) -> None:
        """Write an item, after waiting for room; call it in a thread."""
        self._inbox.send_sync(item)

    def log(self, message: str, level: Level = "info") -> None:
        """Write a log record, from any thread; it never waits and never raises for lack of room."""
        self._inbox.log(LogRecord(message, level))

    @property
    def progress(self) -> ProgressTracker:
        """Return what tells how far the job is: `track(items)`, `update(done, total=…)`."""
        return self._inbox.progress

    @property
    def cancelled(self) -> bool:
        """Tell whether the stream was cancelled; a job in a thread has to look by itself."""
        return self._cancelled()


Stream.__module__ = "streamkit"
