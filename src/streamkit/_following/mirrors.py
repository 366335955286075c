"""All mirrors of this process, and the tasks that feed them.

One task reads each stream that is watched but not written here, so the load on a store depends on
the number of streams watched, not on the number of followers. Bells are only hints: each task also
polls by itself, less often the longer nothing happens.
"""

from __future__ import annotations

__all__ = ("PAGE", "Mirrors")

import logging
from collections.abc import Iterator
from typing import Literal

from anyio import CancelScope, Event, move_on_after, sleep
from anyio.abc import TaskGroup

from .._store.contract import Head, Store
from .._store.listening import Listening
from .._store.patience import Patience
from ..errors import StoreAway
from .clock import Clock
from .mirror import Mirror
from .waiting import OpenResponse, WaitingRoom

logger = logging.getLogger("streamkit")

# Events in one read of a store: about 100 KB with events of 200 bytes.
PAGE = 500

# How long a task that reads a stream relies on bells, in seconds: at first, and after long silence.
MIN_SAFETY = 1.0
MAX_SAFETY = 15.0

# Seconds for a last write to all clients when the application stops.
FAREWELL = 1.0


class Mirrors:
    """The mirrors of one `Streams`. Their tasks run in a group that the caller owns."""

    page = PAGE
    """How many events one read of the store asks for."""

    def __init__(self, store: Store, listening: Listening, clock: Clock) -> None:
        """`store` is where the streams are read from."""
        self.store = store
        self.stopping = False
        """Whether followers must leave, and reconnect elsewhere."""
        self._listening = listening
        self._tasks: TaskGroup | None = None
        self._mirrors: dict[str, Mirror] = {}
        listening.tell(self._rung)
        clock.look_after(self._rooms)
        clock.tell(self._look)

    def run_in(self, tasks: TaskGroup) -> None:
        """Start afresh. Nothing is left over from an earlier run, maybe in another event loop."""
        self._tasks, self._mirrors = tasks, {}

    async def stop(self) -> None:
        """Make all followers leave, and give up clients that do not take their last write."""
        self.stopping = True
        self._tasks = None  # stop reading
        for mirror in self._mirrors.values():
            mirror.ring()
        with move_on_after(FAREWELL):
            while list(self._responses()):  # noqa: ASYNC110 - only at the end of an application
                await sleep(0.01)
        for response in list(self._responses()):
            response.give_up()

    def _rooms(self) -> Iterator[WaitingRoom]:
        for mirror in list(self._mirrors.values()):
            yield from mirror.rooms()

    def _responses(self) -> Iterator[OpenResponse]:
        for room in self._rooms():
            yield from room.responses

    @property
    def followers(self) -> int:
        """How many followers there are in this process."""
        return sum(mirror.followers for mirror in self._mirrors.values())

    @property
    def watched(self) -> int:
        """How many streams are read from the store because they are followed here."""
        return sum(mirror.reading is not None for mirror in self._mirrors.values())

    def get(self, name: str) -> Mirror | None:
        """Return the mirror of a stream, if there is one."""
        return self._mirrors.get(name)

    def feed_here(self, name: str) -> Mirror:
        """Return the mirror of a stream for a pump to feed."""
        mirror = self._mirror_of(name)
        mirror.fed = True
        mirror.stop_reading()
        return mirror

    def feed_no_more(self, mirror: Mirror) -> None:
        """Note that the pump no longer feeds the mirror."""
        mirror.fed = False
        self._forget_or_read(mirror)

    def attach(self, name: str, head: Head) -> Mirror:
        """Follow a stream whose head was just read. Call `detach` afterwards."""
        self.saw(self._mirror_of(name), head)
        return self._join(name)

    def attach_again(self, name: str, head: Head) -> Mirror:
        """Follow a stream whose head was read long ago."""
        mirror = self._mirror_of(name)
        if mirror.head is None:
            self.saw(mirror, head)
        return self._join(name)

    def saw(self, mirror: Mirror, head: Head) -> None:
        """Note a head that was just read, if it is of a later claim than the known one."""
        if mirror.head is not None and not mirror.gone and not _is_later(head, mirror.head):
            return
        if mirror.fed:
            self._listening.ring(mirror.name)  # tell its pump
        else:
            mirror.feed(head, head.tail, [])
            if mirror.followers:
                self._forget_or_read(mirror)

    def detach(self, mirror: Mirror) -> None:
        """Stop following a stream."""
        mirror.followers -= 1
        self._forget_or_read(mirror)

    def _join(self, name: str) -> Mirror:
        mirror = self._mirror_of(name)
        mirror.followers += 1
        mirror.visits += 1
        self._forget_or_read(mirror)
        return mirror

    def _mirror_of(self, name: str) -> Mirror:
        mirror = self._mirrors.get(name)
        if mirror is None:
            mirror = self._mirrors[name] = Mirror(name)
            self._listening.want()
        return mirror

    def _forget_or_read(self, mirror: Mirror) -> None:
        if mirror.fed or self._mirrors.get(mirror.name) is not mirror:
            return
        if not mirror.followers:
            del self._mirrors[mirror.name]
            mirror.stop_reading()
        elif (
            mirror.reading is None
            and self._tasks is not None
            and (mirror.head is None or mirror.head.state == "open")
        ):
            mirror.reading = CancelScope()
            self._tasks.start_soon(self._read_guarded, mirror, mirror.reading)

    async def _read_guarded(self, mirror: Mirror, scope: CancelScope) -> None:
        try:
            await self._read(mirror, scope)
        except Exception:  # such as a line that cannot be parsed; it must not end other streams
            logger.exception("the stream %s cannot be read", mirror.name)
            mirror.lose()
        finally:
            if mirror.reading is scope:
                mirror.reading = None

    async def _read(self, mirror: Mirror, scope: CancelScope) -> None:
        """Feed a mirror from the store until the stream ends or has no followers."""
        safety, patience = MIN_SAFETY, Patience()
        with scope:
            while True:
                mirror.bell = Event()  # before the read: a change meanwhile sets it
                found = await self._found(mirror, patience)
                if found == "the end":
                    break
                silent = False
                if found == "nothing":
                    with move_on_after(safety) as waiting:
                        await mirror.bell.wait()
                    silent = waiting.cancelled_caught
                safety = min(1.5 * safety, MAX_SAFETY) if silent else MIN_SAFETY

    async def _found(
        self, mirror: Mirror, patience: Patience
    ) -> Literal["events", "nothing", "look again", "the end"]:
        """Feed a mirror with one page from the store, and return what was in it."""
        known, after = mirror.head, mirror.seq
        try:
            page = await self.store.read(mirror.name, after, self.page)
        except StoreAway as error:
            await sleep(patience.pause(error))
            return "look again"
        patience.over()
        if mirror.head is not known or mirror.seq != after:
            return "look again"  # meanwhile a follower saw another head, and moved the mirror
        if page is None:
            mirror.lose()
            return "the end"
        head, lines = page
        if known is None or (known.life, known.epoch) != (head.life, head.epoch):
            mirror.feed(head, head.tail, [])
        elif lines:
            mirror.feed(head, max(after, head.first - 1), lines)
            return "events"
        elif head.state != known.state or head.first > after + 1:
            mirror.feed(head, max(after, head.first - 1), [])
        return "the end" if head.state != "open" and head.tail <= mirror.seq else "nothing"

    def _rung(self, name: str | None) -> None:
        for mirror in list(self._mirrors.values()) if name is None else [self._mirrors.get(name)]:
            if mirror is not None:
                mirror.bell.set()

    def _look(self, now: float) -> None:
        self._listening.rest(now, used=bool(self._mirrors))


def _is_later(head: Head, known: Head) -> bool:
    """Return whether a head is of a later claim. Two reads may overtake each other."""
    if head.life == known.life:
        return head.epoch > known.epoch
    return head.started >= known.started
