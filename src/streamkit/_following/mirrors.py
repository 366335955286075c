"""All tails of this process: who feeds them, who rings, and the clock that all followers share.

One task reads each stream that is watched here and not pumped here, so the load on a store is the
number of streams watched, not of people watching. Bells are hints: each task also looks by itself,
the longer nothing happens, the more rarely.
"""

from __future__ import annotations

__all__ = ("PAGE", "Tails")

import logging
from collections.abc import Callable, Iterator

from anyio import CancelScope, Event, current_time, move_on_after, sleep
from anyio.abc import TaskGroup

from .._store.contract import Head, Store
from .._upstream.reconnect import patience
from ..errors._streams import StoreAway
from .mirror import Tail
from .waiting import Writer

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


class Tails:
    """The tails of one `Streams`; it runs its tasks in a group of somebody else."""

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
        self._tails: dict[str, Tail] = {}
        self._wanted = Event()
        self._listening: CancelScope | None = None
        self._unused_since = 0.0

    def run_in(self, tasks: TaskGroup) -> None:
        """Start to listen, and the clock."""
        self._tasks = tasks
        # Nothing of an earlier run: what it waited for may belong to another event loop.
        self._tails, self._wanted = {}, Event()
        tasks.start_soon(self._listen)
        tasks.start_soon(self._tick, tasks)

    async def stop(self) -> None:
        """Have all followers go, and give up those clients that do not take it."""
        self.stopping = True
        self._tasks = None  # nothing is read any more
        for tail in self._tails.values():
            tail.ring()
        with move_on_after(FAREWELL):
            while list(self._writers()):  # noqa: ASYNC110 - at the end of an application
                await sleep(0.01)
        for writer in list(self._writers()):
            writer.give_up()

    def _writers(self) -> Iterator[Writer]:
        for tail in list(self._tails.values()):
            for bay in tail.bays():
                yield from bay.writers

    @property
    def followers(self) -> int:
        """How many follow, in this process."""
        return sum(tail.followers for tail in self._tails.values())

    @property
    def watched(self) -> int:
        """How many streams are read from the store because somebody follows."""
        return sum(tail.reading is not None for tail in self._tails.values())

    def get(self, name: str) -> Tail | None:
        """Return a tail if there is one."""
        return self._tails.get(name)

    def feed_here(self, name: str) -> Tail:
        """Return a tail that a pump will feed."""
        tail = self._tail(name)
        tail.fed = True
        tail.stop_reading()
        return tail

    def feed_no_more(self, tail: Tail) -> None:
        """Say that the pump will feed it no more."""
        tail.fed = False
        self._forget_or_read(tail)

    def attach(self, name: str, head: Head) -> Tail:
        """Follow a stream whose head was just read; `detach` must come after it."""
        self.saw(self._tail(name), head)
        return self._join(name)

    def attach_again(self, name: str, head: Head) -> Tail:
        """Follow a stream whose head was read long ago."""
        tail = self._tail(name)
        if tail.head is None:
            self.saw(tail, head)
        return self._join(name)

    def saw(self, tail: Tail, head: Head) -> None:
        """Note a head that was just read, if it is of a later claim than was known."""
        if tail.head is not None and not tail.gone and not _is_later(head, tail.head):
            return
        if tail.fed:
            self.on_bell(tail.name)  # its pump has to learn of it
        else:
            tail.feed(head, head.tail, [])
            if tail.followers:
                self._forget_or_read(tail)

    def detach(self, tail: Tail) -> None:
        """Follow it no more."""
        tail.followers -= 1
        self._forget_or_read(tail)

    def _join(self, name: str) -> Tail:
        tail = self._tail(name)
        tail.followers += 1
        tail.visits += 1
        self._forget_or_read(tail)
        return tail

    def _tail(self, name: str) -> Tail:
        tail = self._tails.get(name)
        if tail is None:
            tail = self._tails[name] = Tail(name)
            self._wanted.set()
        return tail

    def _forget_or_read(self, tail: Tail) -> None:
        if tail.fed or self._tails.get(tail.name) is not tail:
            return
        if not tail.followers:
            del self._tails[tail.name]
            tail.stop_reading()
        elif (
            tail.reading is None
            and self._tasks is not None
            and (tail.head is None or tail.head.state == "open")
        ):
            tail.reading = CancelScope()
            self._tasks.start_soon(self._read_guarded, tail, tail.reading)

    async def _read_guarded(self, tail: Tail, scope: CancelScope) -> None:
        try:
            await self._read(tail, scope)
        except Exception:  # such as a line that nobody can read; it shall not end other streams
            logger.exception("the stream %s cannot be read", tail.name)
            tail.lose()
        finally:
            if tail.reading is scope:
                tail.reading = None

    async def _read(self, tail: Tail, scope: CancelScope) -> None:
        """Feed a tail from the store until the stream has ended, or nobody follows."""
        safety, pauses = MIN_SAFETY, patience()
        with scope:
            while True:
                tail.bell = Event()
                known, after = tail.head, tail.seq
                try:
                    page = await self.store.read(tail.name, after, PAGE)
                except StoreAway:
                    await sleep(next(pauses))
                    continue
                pauses = patience()
                if tail.head is not known or tail.seq != after:
                    continue  # it was moved meanwhile, by who has seen another head
                if page is None:
                    tail.lose()
                    break
                head, lines = page
                if known is None or (known.life, known.epoch) != (head.life, head.epoch):
                    tail.feed(head, head.tail, [])
                elif lines:
                    tail.feed(head, max(after, head.first - 1), lines)
                    safety = MIN_SAFETY
                    continue
                elif head.state != known.state or head.first > after + 1:
                    tail.feed(head, max(after, head.first - 1), [])
                if head.state != "open" and head.tail <= tail.seq:
                    break
                with move_on_after(safety):
                    await tail.bell.wait()
                    safety = MIN_SAFETY
                    continue
                safety = min(1.5 * safety, MAX_SAFETY)

    async def _listen(self) -> None:
        pauses = patience()
        while True:
            await self._wanted.wait()
            try:
                with CancelScope() as self._listening:
                    async with self.store.bells() as bells:
                        self._ring(None)
                        async for name in bells:
                            self._ring(name)
                            pauses = patience()
            except StoreAway as error:
                logger.warning("nothing is heard of the store: %s", error.why)
            except Exception:  # bells are hints: without them it takes longer
                logger.exception("nothing is heard of the store")
            finally:
                self._listening = None
            if self._wanted.is_set():  # or it is over because nobody wants to hear
                await sleep(next(pauses))

    def _ring(self, name: str | None) -> None:
        for tail in list(self._tails.values()) if name is None else [self._tails.get(name)]:
            if tail is not None:
                tail.bell.set()
        self.on_bell(name)

    async def _tick(self, tasks: TaskGroup) -> None:
        pause = TICK
        while True:
            await sleep(pause)
            pause = TICK
            now = current_time()
            for tail in list(self._tails.values()):
                for bay in tail.bays():
                    pause = min(pause, bay.period / 4)
                    try:
                        bay.tick(now, tasks.start_soon)
                    except Exception:  # a mistake of one response shall not end all streams
                        logger.exception("a response could not be looked after")
            self.on_tick(now)
            self._rest(now)

    def _rest(self, now: float) -> None:
        """Stop listening when there has been nothing to listen for."""
        if self._tails or not self._wanted.is_set():
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
