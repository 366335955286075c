"""All mirrors of this process: who feeds them, who rings, and the clock that all followers share.

One task reads each stream that is watched here and not pumped here, so the load on a store is the
number of streams watched, not of people watching. Bells are hints: each task also looks by itself,
the longer nothing happens, the more rarely.
"""

from __future__ import annotations

__all__ = ("PAGE", "Mirrors")

import logging
from collections.abc import Callable, Iterator

from anyio import CancelScope, Event, current_time, move_on_after, sleep
from anyio.abc import TaskGroup

from .._store.contract import Head, Store
from .._upstream.reconnect import backoff
from ..errors._streams import StoreAway
from .mirror import Mirror
from .waiting import OpenResponse

logger = logging.getLogger("streamkit")

# Events in one read of a store: about 100 KB of events of 200 bytes.
PAGE = 500

# How long a task that reads a stream trusts in bells, in seconds: at first, and after long silence.
MIN_SAFETY = 1.0
MAX_SAFETY = 15.0

# The shared clock: keep-alives, stuck clients and absent followers are looked at this often.
TICK = 1.0

# For so long after the last stream went, bells are still listened to: the next may come.
LINGER = 5.0

# For a last write to all clients when the application stops.
FAREWELL = 1.0


class Mirrors:
    """The mirrors of one `Streams`; it runs its tasks in a group of somebody else."""

    def __init__(self, store: Store) -> None:
        """`store` is where they are read from."""
        self.store = store
        self.stopping = False
        """Whether followers are to go, and come back elsewhere."""
        self.on_tick: Callable[[float], None] = lambda _: None
        """Called by the clock."""
        self.on_bell: Callable[[str | None], None] = lambda _: None
        """Called for streams that a pump of this process feeds."""
        self._tasks: TaskGroup | None = None
        self._mirrors: dict[str, Mirror] = {}
        self._wanted = Event()
        self._listening: CancelScope | None = None
        self._unused_since = 0.0

    def run_in(self, tasks: TaskGroup) -> None:
        """Start to listen, and the clock."""
        self._tasks = tasks
        # Nothing of an earlier run: what it waited for may belong to another event loop.
        self._mirrors, self._wanted = {}, Event()
        tasks.start_soon(self._listen)
        tasks.start_soon(self._tick, tasks)

    async def stop(self) -> None:
        """Have all followers go, and give up those clients that do not take it."""
        self.stopping = True
        self._tasks = None  # nothing is read any more
        for mirror in self._mirrors.values():
            mirror.ring()
        with move_on_after(FAREWELL):
            while list(self._responses()):  # noqa: ASYNC110 - at the end of an application
                await sleep(0.01)
        for response in list(self._responses()):
            response.give_up()

    def _responses(self) -> Iterator[OpenResponse]:
        for mirror in list(self._mirrors.values()):
            for room in mirror.rooms():
                yield from room.responses

    @property
    def followers(self) -> int:
        """How many follow, in this process."""
        return sum(mirror.followers for mirror in self._mirrors.values())

    @property
    def watched(self) -> int:
        """How many streams are read from the store because somebody follows."""
        return sum(mirror.reading is not None for mirror in self._mirrors.values())

    def get(self, name: str) -> Mirror | None:
        """Return a mirror if there is one."""
        return self._mirrors.get(name)

    def feed_here(self, name: str) -> Mirror:
        """Return a mirror that a pump will feed."""
        mirror = self._mirror_of(name)
        mirror.fed = True
        mirror.stop_reading()
        return mirror

    def feed_no_more(self, mirror: Mirror) -> None:
        """Say that the pump will feed it no more."""
        mirror.fed = False
        self._forget_or_read(mirror)

    def attach(self, name: str, head: Head) -> Mirror:
        """Follow a stream whose head was just read; `detach` must come after it."""
        self.saw(self._mirror_of(name), head)
        return self._join(name)

    def attach_again(self, name: str, head: Head) -> Mirror:
        """Follow a stream whose head was read long ago."""
        mirror = self._mirror_of(name)
        if mirror.head is None:
            self.saw(mirror, head)
        return self._join(name)

    def saw(self, mirror: Mirror, head: Head) -> None:
        """Note a head that was just read, if it is of a later claim than was known."""
        if mirror.head is not None and not mirror.gone and not _is_later(head, mirror.head):
            return
        if mirror.fed:
            self.on_bell(mirror.name)  # its pump has to learn of it
        else:
            mirror.feed(head, head.tail, [])
            if mirror.followers:
                self._forget_or_read(mirror)

    def detach(self, mirror: Mirror) -> None:
        """Follow it no more."""
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
            self._wanted.set()
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
        except Exception:  # such as a line that nobody can read; it shall not end other streams
            logger.exception("the stream %s cannot be read", mirror.name)
            mirror.lose()
        finally:
            if mirror.reading is scope:
                mirror.reading = None

    async def _read(self, mirror: Mirror, scope: CancelScope) -> None:
        """Feed a mirror from the store until the stream has ended, or nobody follows."""
        safety, pauses = MIN_SAFETY, backoff()
        with scope:
            while True:
                mirror.bell = Event()
                known, after = mirror.head, mirror.seq
                try:
                    page = await self.store.read(mirror.name, after, PAGE)
                except StoreAway:
                    await sleep(next(pauses))
                    continue
                pauses = backoff()
                if mirror.head is not known or mirror.seq != after:
                    continue  # it was moved meanwhile, by who has seen another head
                if page is None:
                    mirror.lose()
                    break
                head, lines = page
                if known is None or (known.life, known.epoch) != (head.life, head.epoch):
                    mirror.feed(head, head.tail, [])
                elif lines:
                    mirror.feed(head, max(after, head.first - 1), lines)
                    safety = MIN_SAFETY
                    continue
                elif head.state != known.state or head.first > after + 1:
                    mirror.feed(head, max(after, head.first - 1), [])
                if head.state != "open" and head.tail <= mirror.seq:
                    break
                with move_on_after(safety):
                    await mirror.bell.wait()
                    safety = MIN_SAFETY
                    continue
                safety = min(1.5 * safety, MAX_SAFETY)

    async def _listen(self) -> None:
        pauses = backoff()
        while True:
            await self._wanted.wait()
            try:
                with CancelScope() as self._listening:
                    async with self.store.bells() as bells:
                        self._ring(None)
                        async for name in bells:
                            self._ring(name)
                            pauses = backoff()
            except StoreAway as error:
                logger.warning("nothing is heard of the store: %s", error.why)
            except Exception:  # bells are hints: without them it takes longer
                logger.exception("nothing is heard of the store")
            finally:
                self._listening = None
            if self._wanted.is_set():  # or it is over because nobody wants to hear
                await sleep(next(pauses))

    def _ring(self, name: str | None) -> None:
        for mirror in list(self._mirrors.values()) if name is None else [self._mirrors.get(name)]:
            if mirror is not None:
                mirror.bell.set()
        self.on_bell(name)

    async def _tick(self, tasks: TaskGroup) -> None:
        pause = TICK
        while True:
            await sleep(pause)
            pause = TICK
            now = current_time()
            for mirror in list(self._mirrors.values()):
                for room in mirror.rooms():
                    pause = min(pause, room.period / 4)
                    try:
                        room.tick(now, tasks.start_soon)
                    except Exception:  # a mistake of one response shall not end all streams
                        logger.exception("a response could not be looked after")
            self.on_tick(now)
            self._rest(now)

    def _rest(self, now: float) -> None:
        """Stop listening when there has been nothing to listen for."""
        if self._mirrors or not self._wanted.is_set():
            self._unused_since = now
        elif now - self._unused_since > LINGER:
            self._wanted = Event()
            if self._listening is not None:
                self._listening.cancel()


def _is_later(head: Head, known: Head) -> bool:
    """Tell whether a head is of a later claim; two reads may overtake each other."""
    if head.life == known.life:
        return head.epoch > known.epoch
    return head.started >= known.started
