"""A store on a bad day, a zombie, a store that forgot: no event lost, doubled or out of order."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from anyio import Event, create_task_group, fail_after, sleep
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import Head, MemoryStore, Streams
from streamkit.errors import StoreAway, StreamExists, StreamOrphaned

from ..fakes import Fountain, jumping_clock
from .fakes import (
    BadDay,
    claim_of,
    collect,
    data,
    eventually,
    held,
    last_type,
    line,
    numbers,
    numbers_of,
    read,
)

DAYS = [
    pytest.param({"lost_acks": 0.3}, id="lost answers"),
    pytest.param({"hints": 0.0}, id="no hints"),
    pytest.param({"delays": 0.3}, id="delays"),
    pytest.param({"away": 0.2, "lost_acks": 0.2, "delays": 0.1, "hints": 0.5}, id="all of it"),
]


@pytest.mark.slow  # a store that is away is asked again after 50 ms
@pytest.mark.parametrize("faults", DAYS)
@pytest.mark.parametrize("first", [0, 5])
async def test_on_a_bad_day_each_event_is_there_once_and_in_order(faults: Any, first: int) -> None:
    async def run(number: int) -> None:
        store = MemoryStore()
        faulty = BadDay(store, random=Random(number), **faults)
        async with Streams(store, drain=0) as good, Streams(faulty, drain=0) as bad:
            await bad.start("a", numbers(40))
            for streams in (good, bad):
                events = await retried(streams)
                assert data(events) == [str(number) for number in range(1, 41)]
                assert numbers_of(events) == list(range(1, 41))
            history = (await good.history("a"))["events"]
            assert [each["type"] for each in history] == ["message"] * 40 + ["end"]

    with fail_after(30):
        async with create_task_group() as tasks:
            for number in range(first, first + 5):
                tasks.start_soon(run, number)


async def retried(streams: Streams) -> list[StreamEvent]:
    """Follow, and come back with the last id, as a client does."""
    found: list[StreamEvent] = []
    while True:
        try:
            await collect(streams.follow("a", found[-1].id if found else ""), found)
        except StoreAway:
            continue
        return found


async def test_a_claim_whose_answer_is_lost_is_made_again() -> None:
    store = MemoryStore()
    claim, answers = store.claim, [False, True, True]

    async def lossy(*args: Any) -> Head | None:
        head = await claim(*args)
        if answers and not answers.pop(0):
            raise StoreAway("the answer was lost")
        return head

    store.claim = lossy  # type: ignore[method-assign, assignment]
    async with Streams(store, drain=0) as streams:
        assert data(await read(await streams.start("a", numbers(2)))) == ["1", "2"]
        with pytest.raises(StreamExists):
            await streams.start("a", numbers(2))


@pytest.mark.slow  # as above
async def test_on_a_bad_day_a_cancelled_stream_has_one_end() -> None:
    async def run(number: int) -> None:
        store = MemoryStore()
        faulty = BadDay(store, random=Random(number), lost_acks=0.3, delays=0.3)
        async with Streams(store, drain=0) as good, Streams(faulty, drain=0) as bad:
            await bad.start("a", numbers(20))
            for _ in range(number * 3):
                await checkpoint()
            await good.cancel("a", "enough")
            last = await last_type(good.follow("a"))
            types = [each["type"] for each in (await good.history("a"))["events"]]
            assert last in {"end", "cancelled"}
            assert types == ["message"] * (len(types) - 1) + [last]

    with fail_after(30):
        async with create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(run, number)


def head_of(store: MemoryStore, name: str = "a") -> Head:
    return store._logs[name].head


@jumping_clock()
async def test_a_zombie_is_fenced_its_source_closed_and_its_followers_told(
    clocked: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    source = Fountain("x", wait=True)
    gate, slow = held(clocked)
    async with Streams(slow, drain=0, lease=3, sweep=1000) as zombie:
        following = await zombie.start("a", source)
        await read(following, 1)
        gate.hold("append")  # it sleeps, for longer than its lease
        async with Streams(clocked, drain=0, sweep=1) as other:
            assert await last_type(other.follow("a")) == "orphaned"
        assert not source.closed
        gate.release("append")
        await source.was_closed.wait()
        assert await last_type(following) == "orphaned"
        assert zombie.statistics().producers == 0
    told = [record.getMessage() for record in caplog.records if not record.exc_info]
    assert "the producer of the stream a vanished" in told
    assert "the stream a cannot be written any more: another process has taken it over" in told
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("forgotten", [1, 5, 30])
async def test_a_store_that_forgot_its_tail_gets_the_same_bytes_again(
    caplog: pytest.LogCaptureFixture, forgotten: int
) -> None:
    store = MemoryStore()
    go = Event()

    async def source() -> AsyncGenerator[str, None]:
        async for item in numbers(20):
            yield item
        await go.wait()
        async for item in numbers(20, prefix="late "):
            yield item

    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        readings: list[list[StreamEvent]] = [[] for _ in range(4)]

        async def follow(here: Streams, into: list[StreamEvent]) -> None:
            await collect(here.follow("a"), into)

        with fail_after(10):
            async with create_task_group() as tasks:
                await streams.start("a", source())
                for number, into in enumerate(readings):
                    tasks.start_soon(follow, (streams, other)[number % 2], into)
                await eventually(lambda: all(len(into) == 20 for into in readings))
                kept = [*store._logs["a"].events_after(0, 100)]
                log = store._logs["a"]
                tail = max(0, 20 - forgotten)
                log.head = replace(log.head, tail=tail)
                del log._events[tail:]
                go.set()
        assert store._logs["a"].events_after(0, 20) == kept
        for events in readings:
            assert numbers_of(events) == list(range(1, 41))
            assert data(events)[20:] == [f"late {number}" for number in range(1, 21)]
        fresh = await read(streams.follow("a"))
        assert fresh == readings[0]
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "forgot" in text] == [
        f"the store forgot {min(20, forgotten)} events of the stream a that it had acknowledged"
    ]


@jumping_clock()
async def test_a_store_that_forgot_its_tail_and_lost_its_producer_makes_nobody_skip_an_event(
    clocked: MemoryStore,
) -> None:
    claim = claim_of("a", lease=3.0)
    await clocked.claim(claim, "nothing")
    await clocked.append(claim, 0, [line(number) for number in range(1, 11)])
    earlier = copy.deepcopy(clocked._logs["a"])
    await clocked.append(claim, 10, [line(number) for number in range(11, 16)])
    got: list[StreamEvent] = []
    async with Streams(clocked, drain=0, sweep=5) as streams:

        async def follow() -> None:
            try:
                await collect(streams.follow("a"), got)
            except Exception as error:
                ended.append(type(error).__name__)

        ended: list[str] = []
        async with create_task_group() as tasks:
            tasks.start_soon(follow)
            await eventually(lambda: len(got) == 15)
            clocked._logs["a"] = earlier
        assert ended == ["StreamOrphaned"]
        assert [event.type for event in got] == ["message"] * 15 + ["reset"] + ["message"] * 10
        assert data(got[16:]) == [str(number) for number in range(1, 11)]
        late = await read_to_the_end(streams, got[14].id)
        assert late[0].type == "reset"
        assert data(late[1:]) == data(got[16:])
        seen = await read_to_the_end(streams, got[9].id)
        assert seen == []


async def read_to_the_end(streams: Streams, after: str) -> list[StreamEvent]:
    found: list[StreamEvent] = []
    with suppress(StreamOrphaned):
        await collect(streams.follow("a", after), found)
    return found


@jumping_clock()
async def test_a_producer_whose_claim_was_rolled_back_claims_again_and_goes_on(
    clocked: MemoryStore,
) -> None:
    go = Event()
    got: list[StreamEvent] = []

    async def source() -> AsyncGenerator[str, None]:
        async for item in numbers(10):
            yield item
        await go.wait()
        yield "late"

    async with Streams(clocked, drain=0, lease=3, sweep=1000) as streams:

        async def follow() -> None:
            await collect(streams.follow("a"), got)

        await streams.start("a", source())
        async with create_task_group() as tasks:
            tasks.start_soon(follow)
            await eventually(lambda: len(got) == 10)
            log = clocked._logs["a"]
            log.head = replace(log.head, epoch=1)
            go.set()
        assert data(got) == [*map(str, range(1, 11)), "late"]
        assert numbers_of(got) == list(range(1, 12))
        assert head_of(clocked).state == "done"


@jumping_clock()
async def test_a_store_that_was_emptied_ends_its_producers(clocked: MemoryStore) -> None:
    source = Fountain("x", wait=True)
    async with Streams(clocked, drain=0, lease=3) as streams:
        await read(await streams.start("a", source), 1)
        clocked._logs.clear()
        with fail_after(10):
            await source.was_closed.wait()
        await sleep(1)
        assert streams.statistics().producers == 0
