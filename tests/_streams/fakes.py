"""Sources, readers and a store that can be held, for the tests of `Streams`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
)
from contextlib import asynccontextmanager
from typing import Any, cast

from anyio import Event, create_task_group, fail_after, sleep
from anyio.lowlevel import checkpoint

from streamkit import Claim, Following, Format, Head, Store, Stream, Streams, as_event_jsonl
from streamkit import Event as StreamEvent
from streamkit._following.follower import FrameFollower
from streamkit._serving.client import Asked
from streamkit._serving.place import place_of
from streamkit._store.contract import Over
from streamkit.testing import FaultyStore

# What is not there by then never comes: the slowest test needs 2 s, on an idle machine.
SOON = 30.0


async def numbers(count: int, *, prefix: str = "") -> AsyncGenerator[str, None]:
    """Give way before each, as real sources do."""
    for number in range(1, count + 1):
        await checkpoint()
        yield f"{prefix}{number}"


@asynccontextmanager
async def slow_to_enter(entering: Event, go: Event) -> AsyncIterator[list[str]]:
    """Say that it is being entered, and wait to be told that it may go on."""
    entering.set()
    await go.wait()
    yield ["a"]


async def read(following: Following, count: int = -1) -> list[StreamEvent]:
    """Return so many events, or all up to a good end."""
    found: list[StreamEvent] = []
    with fail_after(SOON):
        async for event in following:
            found.append(event)
            if len(found) == count:
                break
    return found


async def collect(following: AsyncIterable[StreamEvent], found: list[StreamEvent]) -> None:
    """Add all events to a list, which others see meanwhile, and which stays when this fails."""
    async for event in following:
        found.append(event)  # noqa: PERF401 - or nobody would see it grow


def data(events: list[StreamEvent]) -> list[object]:
    return [event.data for event in events]


def numbers_of(events: list[StreamEvent]) -> list[int]:
    """Return the numbers in the ids; 0 for a gap or a reset."""
    return [int(event.id.partition(".")[2] or 0) for event in events]


async def answered(
    following: Following, format: Format[Any], *, last_event_id: str = "", after: str = ""
) -> FrameFollower:
    """Return what a response follows with."""
    asked = Asked(head=False, last_event_id=last_event_id or None, after=after or None, status=200)
    place = await place_of(following, format, asked)
    assert place is not None
    return following.frames(*place, format=format, keep_alive=None)


async def rest(follower: FrameFollower) -> bytes:
    """Return all that a response would send, but for its last event."""
    body = b""
    try:
        with fail_after(SOON):
            while not follower.ended:
                event = follower.room.event
                found = await follower.take()
                body += found
                if not found and follower.pause == "idle":
                    await event.wait()
    finally:
        follower.leave()
    return body


async def body(following: Following, format: Format[Any] = as_event_jsonl, **cursor: str) -> bytes:
    """Return the whole body of a response but for its last event."""
    return await rest(await answered(following, format, **cursor))


async def last_type(following: Following) -> str:
    """Return the type of the event that ended a stream, after waiting for it."""
    follower = await answered(following, as_event_jsonl)
    await rest(follower)
    return "" if follower.last is None else follower.last.type


async def eventually(condition: Callable[[], object], *, within: float = SOON) -> None:
    """Wait for what nobody tells, such as the end of a task of the library."""
    with fail_after(within):
        while not condition():
            await sleep(0.001)


async def at_once(*calls: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Make calls side by side, within a bound."""
    with fail_after(SOON):
        async with create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(call)


async def send_alone(streams: Streams, stream: Stream, item: str) -> None:
    """Have an item acknowledged before the next is sent, so that it may be dropped alone."""
    before = (await streams.status(stream.name))["tail"]
    await stream.send(item)
    with fail_after(5):
        while (await streams.status(stream.name))["tail"] == before:
            pass


def claim_of(name: str, **fields: Any) -> Claim:
    """Return a claim of a producer that nobody runs."""
    given = {"life": "life1", "epoch": 1, "token": "token1", "lease": 100.0, "keep": 100.0}
    return Claim(name, **{**given, **fields})


def line(number: object) -> bytes:
    """Return the line of a kept event."""
    return b'{"type":"message","kind":"text","time":1.000,"data":"%b"}' % str(number).encode()


class Retention:
    """A store that writes down what it is asked, and holds back some of its answers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.durable = store.durable
        self.bells = store.bells
        self.calls: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.closes: list[tuple[int, str | None]] = []
        """Of each append that had something: how many events, and how it closed."""
        self._gates: dict[str, Event] = {}
        self._reached: defaultdict[str, Event] = defaultdict(Event)

    def hold(self, call: str, *, where: Callable[..., bool] = lambda *_: True) -> None:
        """Hold back the answers to a call from now on."""
        self._gates[call] = Event()
        self._where = where
        self._reached[call] = Event()

    def release(self, call: str) -> None:
        self._gates.pop(call).set()

    async def is_held(self, call: str) -> None:
        """Return when somebody waits."""
        with fail_after(SOON):
            await self._reached[call].wait()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def ask(*args: Any, **options: Any) -> object:
            self.calls[name].append(args)
            if name == "append" and args[2]:
                self.closes.append((len(args[2]), options.get("close")))
            answer = await getattr(self.store, name)(*args, **options)
            gate = self._gates.get(name)
            if gate is not None and self._where(*args):
                self._reached[name].set()
                await gate.wait()
            return answer

        return ask


def held(store: Store) -> tuple[Retention, Store]:
    """Return a store that can be held, and the same for who wants a `Store`."""
    made = Retention(store)
    return made, cast(Store, made)


class BadDay(FaultyStore):
    """One on which names can be claimed: a start that cannot raises, and is not tried here."""

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        return await self._store.claim(claim, over)
