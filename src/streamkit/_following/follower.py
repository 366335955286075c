"""`Follower`: the loop of one reader of a stream, over the mirror and the store.

Events that the mirror has are taken from it, as bytes that all followers share. The others are
read from the store, page by page. Nothing is handed over between the two, so nothing can get lost.

A follower holds a number, `_seq`, and the head of the claim under which that event was written. In
`take` it checks, in this order:

1. Is the stream gone? Then it is over.
2. Is the mirror's head of another claim? A later claim is judged: if nothing was lost, the follower
   goes on, else it starts again and sends a `reset`. An earlier claim is ignored: the pump in this
   process has not noticed yet that another process writes.
3. Does the mirror know events above `_seq`? They come from the mirror, or else from the store.
4. Has the stream ended, or must all followers leave? Then it is over.
5. Otherwise it waits for the room's event, and reports when a keep-alive is due or it may rest.
"""

from __future__ import annotations

__all__ = ("EventFollower", "Follower", "FrameFollower")

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from anyio import sleep

from .._items.format import Format
from .._items.stored import StoredEvent, make_stored, stored_event
from .._store.contract import Head
from .._store.cursor import START, Cursor, format_cursor, ids, is_valid, token_at
from .._store.patience import Patience
from ..errors import CursorLost, StoreAway
from .mirror import Mirror
from .mirrors import Mirrors
from .waiting import WaitingRoom

V = TypeVar("V", bytes, list[StoredEvent])

# Seconds to wait before reading again from a store that is behind what its producer knows.
RETRY_PAUSE = 0.2


class Follower(ABC, Generic[V]):
    """A reader's place in a stream, and what comes next. Call `leave()` on every way out."""

    __slots__ = (
        "_head",
        "_left",
        "_lost",
        "_mirror",
        "_patience",
        "_pings",
        "_seen",
        "_seq",
        "last",
        "mirrors",
        "name",
        "pause",
        "room",
    )

    _nothing: V
    _rests = False
    _left: bool
    _mirror: Mirror
    _pings: int
    room: WaitingRoom

    def __init__(
        self,
        mirrors: Mirrors,
        name: str,
        cursor: Cursor,
        head: Head,
        keep_alive: float | None = None,
    ) -> None:
        self.pause: Literal["ended", "ping", "idle"] = "idle"
        """Why `take` returned nothing: the stream is over, a keep-alive is due, or the follower may
        rest until the room rings."""
        self.last: StoredEvent | None = None
        """How the stream ended; None while a client may come back to it."""
        self.mirrors = mirrors
        self.name = name
        self._take_place(mirrors.attach(name, head), keep_alive)
        self._seq = cursor.seq
        self._seen: Head | None = (
            None  # nothing has come after `_seq` as long as the mirror has this head
        )
        self._head = head  # of the claim under which the last seen event was written
        self._lost = not is_valid(cursor, head)
        self._patience = Patience()

    async def take(self) -> V:
        """Wait for what comes next and return it. If it returns nothing, `pause` says why.

        Cancelling a call loses nothing.
        """
        while True:
            event = self.room.event  # before the check: what comes meanwhile sets it
            mirror = self._mirror
            unchanged = mirror.head is self._seen and mirror.seq == self._seq and not mirror.gone
            # Most calls come right after a delivery, with nothing new yet. Detecting that is
            # cheaper than calling `_ready` again.
            if not (unchanged and not self.mirrors.stopping) and (found := self._ready()):
                return found
            if self.ended:
                return self._nothing
            if self._mirror.seq > self._seq:
                if found := await self._page():
                    return found
            elif self._pings != self.room.pings:
                self._pings, self.pause = self.room.pings, "ping"
                return self._nothing
            elif self.room.idle and self._rests:
                self.pause = "idle"
                return self._nothing
            else:
                await event.wait()

    def rested(self) -> None:
        """Note that the keep-alives of a rest were sent."""
        self._pings = self.room.pings

    @property
    def waits(self) -> bool:
        """Return whether `take` would have to wait."""
        mirror, head = self._mirror, self._mirror.head
        return (
            head is not None
            and not (mirror.gone or self.mirrors.stopping or self._lost)
            and (self._knows(head) or self._is_old(head))
            and mirror.seq <= self._seq
            and (head.state == "open" or self._seq < head.tail)
        )

    @property
    def ended(self) -> bool:
        """Return whether nothing more will come."""
        return self.pause == "ended"

    @property
    def gone(self) -> bool:
        """Return whether the stream was deleted or has expired."""
        return self._mirror.gone

    def come_back(self) -> None:
        """Follow again from the same place after `leave()`."""
        if self._left:
            self._take_place(self.mirrors.attach_again(self.name, self._head), None)

    def _take_place(self, mirror: Mirror, keep_alive: float | None) -> None:
        self._left = False
        self._mirror = mirror
        self.room = mirror.room(keep_alive)
        self.room.places += 1
        self._pings = self.room.pings

    def leave(self) -> None:
        """Stop following."""
        if not self._left:
            self._left = True
            self.room.places -= 1
            self.mirrors.detach(self._mirror)

    def _ready(self) -> V | None:
        mirror, head = self._mirror, self._mirror.head
        if head is None or mirror.gone:
            self.pause = "ended"
        elif self._lost:
            return self._judge(self._head)
        elif head.epoch != self._head.epoch or head.life != self._head.life:
            if not self._is_old(head):
                return self._judge(head)
        elif mirror.seq > self._seq:
            if mirror.last is not None and self._seq == mirror.seq - 1:
                self._end(mirror.last)
                return None
            if found := self._from_mirror():
                value, self._seq = found
                self._seen = head
                return value
        elif head.state != "open" and self._seq >= head.tail:
            self.pause = "ended"  # it already had the last event
        if self.mirrors.stopping:  # events that are ready are delivered first
            self.pause = "ended"
        return None

    def _knows(self, head: Head) -> bool:
        """Return whether a head is of the claim that was judged last."""
        return head.epoch == self._head.epoch and head.life == self._head.life

    def _is_old(self, head: Head) -> bool:
        """Return whether a head is of an earlier claim, because its pump has not noticed yet."""
        return head.life == self._head.life and head.epoch < self._head.epoch

    def _judge(self, head: Head) -> V | None:
        """Compare with a new head: go on if nothing was lost, else start again with a reset."""
        seq, old, self._head = self._seq, self._head, head
        place = Cursor(token_at(old, seq), seq) if seq else START
        if not self._lost and old.life == head.life and is_valid(place, head):
            return None
        self._lost = False
        self._seq = head.first - 1
        return self._notice("reset", {"first": head.first})

    async def _page(self) -> V | None:
        """Read events that the mirror no longer has."""
        mirror, known = self._mirror, self._mirror.head
        try:
            page = await self.mirrors.store.read(mirror.name, self._seq, self.mirrors.page)
        except StoreAway as error:
            await sleep(self._patience.pause(error))
            return None
        self._patience.over()
        if page is None:
            if mirror.head is known:  # else it was started again meanwhile
                mirror.lose()
            return None
        head, lines = page
        if not self._knows(head):
            self.mirrors.saw(mirror, head)  # it is judged once the mirror knows it
        elif head.first > self._seq + 1:
            missed, self._seq = head.first - 1 - self._seq, head.first - 1
            return self._notice("gap", {"first": head.first, "missed": missed})
        elif lines:
            return self._paged(head, lines)
        # Else the store forgot the events ahead of us; the producer writes them again.
        await sleep(RETRY_PAUSE)
        return None

    def _paged(self, head: Head, lines: list[bytes]) -> V | None:
        after, self._seq = self._seq, self._seq + len(lines)
        if head.state != "open" and self._seq == head.tail:
            last = stored_event(lines.pop(), format_cursor(head, self._seq))
            if not lines:
                self._end(last)
                return None
            self._seq -= 1
        return self._made(lines, head, after)

    def _end(self, last: StoredEvent) -> None:
        self.last, self.pause = last, "ended"

    def _from_mirror(self) -> tuple[V, int] | None:
        """Return what the mirror has, and the number of its last event; None if it is not there."""
        lines = self._mirror.lines(self._seq)
        if lines is None or self._mirror.head is None:
            return None
        return self._made(lines, self._mirror.head, self._seq), self._seq + len(lines)

    @abstractmethod
    def _made(self, lines: Sequence[bytes], head: Head, after: int) -> V:
        """Convert the lines of a page."""

    @abstractmethod
    def _notice(self, type: str, facts: dict[str, object]) -> V:
        """Return a gap or a reset."""


class FrameFollower(Follower[bytes]):
    """Follow a stream as the bytes of a format."""

    __slots__ = ("_format", "encoder")

    _nothing = b""
    _rests = True

    def __init__(
        self,
        mirrors: Mirrors,
        name: str,
        cursor: Cursor,
        head: Head,
        *,
        format: Format[Any],
        keep_alive: float | None,
    ) -> None:
        """Create the encoder. A format without comments has no keep-alive."""
        self.encoder = format.encoder()
        self._format = format
        super().__init__(
            mirrors, name, cursor, head, keep_alive if self.encoder.keep_alive else None
        )

    def _from_mirror(self) -> tuple[bytes, int] | None:
        if self._format.shared:
            return self._mirror.encoded(self._seq, self._format)
        return super()._from_mirror()

    def _made(self, lines: Sequence[bytes], head: Head, after: int) -> bytes:
        return b"".join(map(self.encoder.kept, lines, ids(head, after + 1, len(lines))))

    def _notice(self, type: str, facts: dict[str, object]) -> bytes:
        notice = self.encoder.notice(make_stored(type, facts))
        if notice is None:
            raise CursorLost
        return notice


class EventFollower(Follower[list[StoredEvent]]):
    """Follow a stream as events."""

    __slots__ = ()

    _nothing = []  # noqa: RUF012 - nothing writes to it

    def _made(self, lines: Sequence[bytes], head: Head, after: int) -> list[StoredEvent]:
        return list(map(stored_event, lines, ids(head, after + 1, len(lines))))

    def _notice(self, type: str, facts: dict[str, object]) -> list[StoredEvent]:
        return [make_stored(type, facts)]
