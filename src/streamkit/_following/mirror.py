"""The newest events of one stream in this process, encoded once per format, and its followers.

A pump feeds it, or a task that reads the store. Followers only read: they hold a number, nothing
waits for them, and nothing is kept because of them. Rule: no I/O here.
"""

from __future__ import annotations

__all__ = ("MAX_WRITE", "Block", "Mirror")

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from anyio import CancelScope, Event

from .._items.format import Encoder, Format
from .._items.stored import StoredEvent, stored_event
from .._store.contract import Head
from .._store.cursor import format_cursor, ids
from .waiting import PLACES, WaitingRoom

# How many bytes go out in one write to a follower that is behind.
MAX_WRITE = 1 << 17


class Block:
    """Events that were written in one append, and their bytes in each format."""

    __slots__ = ("_encoded", "after", "head", "last", "lines", "size")

    def __init__(self, head: Head, after: int, lines: Sequence[bytes]) -> None:
        """`after` is the number just before the first line."""
        self.head = head
        self.after = after
        self.last = after + len(lines)
        self.lines = lines
        self.size = sum(map(len, lines))
        self._encoded: dict[Callable[[], Encoder[Any]], bytes] = {}

    def encoded(self, format: Format[Any]) -> bytes:
        """Return the whole block in a format, encoded once."""
        found = self._encoded.get(format.encoder)
        if found is None:
            found = self.encoded_after(self.after, format)
            self._encoded[format.encoder] = found
        return found

    def encoded_after(self, seq: int, format: Format[Any]) -> bytes:
        """Return the events after a number inside the block."""
        kept = format.encoder().kept
        lines = self.lines[seq - self.after :]
        return b"".join(map(kept, lines, ids(self.head, seq + 1, len(lines))))


class Mirror:
    """What this process knows of the newest part of a stream."""

    # How many bytes of the newest events are held here. Followers further behind read the store.
    # The pump writes these events again if the store forgets its tail.
    max_bytes = 1 << 19

    def __init__(self, name: str) -> None:
        self.name = name
        self.head: Head | None = None
        """The head as it was last seen."""
        self.gone = False
        """Whether the stream was deleted or has expired."""
        self.seq = 0
        """The number of the last event that was seen here."""
        self.last: StoredEvent | None = None
        """The event that ended the stream."""
        self.fed = False
        """Whether a pump of this process feeds it."""
        self.followers = 0
        self.visits = 0
        """How many followers have come so far."""
        self.bell = Event()
        """Set when the store may have more, for the task that reads it."""
        self.reading: CancelScope | None = None
        """The scope of that task, while there is one."""
        self._blocks: deque[Block] = deque()
        self._bytes = 0
        self._joined: dict[Callable[[], Encoder[Any]], tuple[int, int, bytes]] = {}
        self._rooms: dict[float | None, list[WaitingRoom]] = {}

    def feed(self, head: Head, after: int, lines: Sequence[bytes]) -> None:
        """Add events that come after number `after`, and the head that was seen with them."""
        known = self.head
        if known is None or (known.life, known.epoch) != (head.life, head.epoch):
            self._restart(after)  # the store may have forgotten events, and others were written
        if after < self.seq:
            lines = lines[self.seq - after :]
        elif after > self.seq:
            self._restart(after)
        self.head = head
        seq = self.seq + len(lines)
        if lines and head.state != "open" and seq == head.tail:
            self.last = stored_event(lines[-1], format_cursor(head, seq))
            lines = lines[:-1]
        if lines:
            self._blocks.append(Block(head, self.seq, lines))
            self._bytes += self._blocks[-1].size
            while self._bytes > self.max_bytes and len(self._blocks) > 1:
                self._bytes -= self._blocks.popleft().size
        self.seq = seq
        self.ring()

    def stop_reading(self) -> None:
        """End the task that reads the store."""
        scope, self.reading = self.reading, None
        if scope is not None:
            scope.cancel()

    def lose(self) -> None:
        """Note that the stream is gone."""
        self.gone = True
        self.ring()

    def ring(self) -> None:
        """Wake all followers that wait for more."""
        for rooms in self._rooms.values():
            for room in rooms:
                room.ring()

    def encoded(self, seq: int, format: Format[Any]) -> tuple[bytes, int] | None:
        """Return the bytes after a number, and their last number; None if no longer here."""
        blocks = self._blocks
        if not blocks:
            return None
        newest = blocks[-1]
        if newest.after == seq:
            return newest.encoded(format), newest.last
        if seq < blocks[0].after:
            return None
        return self._join(seq, format)

    def lines(self, seq: int) -> list[bytes] | None:
        """Return the lines after a number; None if they are no longer here."""
        if not self._blocks or seq < self._blocks[0].after:
            return None
        found: list[bytes] = []
        for block in self._blocks:
            if block.last > seq:
                found += block.lines[max(0, seq - block.after) :]
        return found

    def room(self, keep_alive: float | None) -> WaitingRoom:
        """Return a room to wait in, for followers that want this keep-alive."""
        rooms = self._rooms.setdefault(keep_alive, [])
        for room in reversed(rooms):
            if room.places < PLACES:
                return room
        rooms.append(room := WaitingRoom(keep_alive))
        return room

    def rooms(self) -> Iterator[WaitingRoom]:
        """Yield all rooms in which a follower waits, and forget the empty ones."""
        for keep_alive, rooms in list(self._rooms.items()):
            if left := [room for room in rooms if room.places]:
                self._rooms[keep_alive] = left
            else:
                del self._rooms[keep_alive]
            yield from left

    def _restart(self, after: int) -> None:
        self._blocks.clear()
        self._joined.clear()
        self._bytes = 0
        self.seq = after
        self.last = None
        self.gone = False

    def _join(self, seq: int, format: Format[Any]) -> tuple[bytes, int]:
        # Followers that fell behind together ask for the same bytes.
        newest = self._blocks[-1].last
        known = self._joined.get(format.encoder)
        if known is not None and known[:2] == (seq, newest):
            return known[2], newest
        parts: list[bytes] = []
        size, last = 0, seq
        for block in islice(self._blocks, self._index(seq), None):
            part = block.encoded(format) if block.after >= seq else block.encoded_after(seq, format)
            if parts and size + len(part) > MAX_WRITE:
                break
            parts.append(part)
            size += len(part)
            last = block.last
        joined = b"".join(parts)
        if last == newest:
            self._joined[format.encoder] = seq, last, joined
        return joined, last

    def _index(self, seq: int) -> int:
        """Return the index of the block after a number; most lookups are near the end."""
        index = len(self._blocks) - 1
        while self._blocks[index].after > seq:
            index -= 1
        return index
