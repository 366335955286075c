"""`Inbox`: lines that your code wrote to a stream, from any thread, and the pump has not taken."""

from __future__ import annotations

__all__ = ("Inbox",)

from contextlib import suppress
from threading import Condition, RLock, get_ident
from time import monotonic

from anyio import Event, move_on_after
from anyio.lowlevel import current_token

from .._feeding.closing import feeding_now
from .._items.stored import stored_line
from .._loop import Turn, call_soon
from ..errors import ItemRefused, Overflow, SourceCancelled, StreamEnded
from ..logs import LogRecord, ProgressTracker

# How many characters are kept of a log message that is too large for one event.
CUT_MESSAGE = 100_000


class Inbox:
    """A queue of lines for the log of a stream, bounded in number and bytes."""

    # How much may wait while the store is slow or away. A log record has about 200 bytes.
    max_items = 10_000
    max_bytes = 16 << 20

    def __init__(self, name: str) -> None:
        """Create an empty inbox; call this inside the event loop."""
        self._name = name
        self._lock = RLock()  # costs a third of a Condition
        self._changed = Condition(self._lock)
        self._lines: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._ending = self._ended = False
        self._error: Exception | None = None
        self._wake: Event | None = None
        self._room: Event | None = None
        self._turn = Turn(monotonic)
        self._thread = get_ident()
        self._token = current_token()
        self.progress = ProgressTracker(self.send_nowait)
        """The tracker that `stream.progress` returns."""

    def send_nowait(self, item: object) -> None:
        """Add an item, from any thread; raise `Overflow` if there is no room."""
        if not self._add(stored_line(item)):
            raise Overflow(self._name)

    def log(self, record: LogRecord) -> None:
        """Add a record, from any thread. Without room, only count it; after the end, drop it."""
        try:
            line = stored_line(record)
        except ItemRefused:  # it is too large, but logging must never fail
            cut = record.message[:CUT_MESSAGE] + " …"
            line = stored_line(LogRecord(cut, record.level, timestamp=record.timestamp))
        with suppress(StreamEnded):  # a late record must not break the code that wrote it
            if not self._add(line):
                with self._lock:
                    self._dropped += 1

    async def send(self, item: object) -> None:
        """Wait for room, then add an item."""
        line = stored_line(item)
        if self._turn.over:
            await _give_way(self._turn)
        while not self._add(line):
            with self._lock:
                self._room = room = self._room or Event()
                if not self.stuck or self._ended:
                    continue
            await room.wait()

    def send_sync(self, item: object) -> None:
        """Wait for room, then add an item, in a thread that is not the event loop's."""
        if get_ident() == self._thread:
            raise RuntimeError("send_sync is for threads; in the event loop, await send(...)")
        line = stored_line(item)
        with self._lock:
            while not self._add(line):
                self._changed.wait()

    async def take(self) -> list[bytes]:
        """Wait for lines and return all of them; return nothing at the end.

        If it ended with an error, the error is raised after the items. Cancelling a call loses
        nothing.
        """
        while True:
            with self._lock:
                if self._lines or self._dropped:
                    return self._taken()
                if self._ended:
                    break
                self._wake = wake = Event()
            await self._wait(wake)
        if self._error is not None:
            raise self._error
        return []

    def end(self, error: Exception | None = None) -> None:
        """Stop accepting items. `error` says how the producer failed."""
        self._ending = True
        self.progress.flush()
        with self._lock:
            self._ended, self._error = True, error
            self._changed.notify_all()
            wake, self._wake = self._wake, None
        self._set(wake)
        self._make_room()

    @property
    def over(self) -> bool:
        """Return whether it has ended and everything was taken."""
        return self._ended and not self._lines and not self._dropped

    @property
    def ready(self) -> bool:
        """Return whether there is something to take."""
        return bool(self._lines)

    @property
    def stuck(self) -> bool:
        """Return whether there is no room."""
        return len(self._lines) >= self.max_items or self._bytes >= self.max_bytes

    def _add(self, line: bytes) -> bool:
        """Add a line. Return False if there is no room; raise `StreamEnded` after the end."""
        if not line:
            return True
        with self._lock:
            if self._ended:
                raise StreamEnded(self._name)
            lines = self._lines
            # The last progress must get through, however much waits.
            if self.stuck and not self._ending:
                return False
            lines.append(line)
            self._bytes += len(line)
            if self._wake is None:
                return True
            wake, self._wake = self._wake, None
        self._set(wake)
        return True

    def _taken(self) -> list[bytes]:
        lines, self._lines, self._bytes = self._lines, [], 0
        if self._dropped:
            said = f"{self._dropped} records were dropped"
            lines.append(stored_line(LogRecord(said, "warning")))
            self._dropped = 0
        self._changed.notify_all()
        self._make_room()
        return lines

    async def _wait(self, wake: Event) -> None:
        due = self.progress.due
        if due is None:
            await wake.wait()
            return
        with move_on_after(max(0.0, due - monotonic())):
            await wake.wait()
        self.progress.flush_due(monotonic())

    def _make_room(self) -> None:
        room, self._room = self._room, None
        self._set(room)

    def _set(self, event: Event | None) -> None:
        """Set an event in the event loop, from any thread."""
        if event is None:
            return
        if get_ident() == self._thread:
            event.set()
        else:
            call_soon(self._token, event.set)


async def _give_way(turn: Turn) -> None:
    feeding = feeding_now.get()
    left = feeding is not None and feeding.left
    await turn.give_way()
    if feeding is not None and feeding.left and not left:
        raise SourceCancelled  # trio's checkpoint swallowed the only cancellation
