"""A producer that vanished is noticed, and what is past its time is removed."""

from __future__ import annotations

import pytest
from anyio import create_task_group, current_time, fail_after, sleep

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Store, Streams
from streamkit.errors import StoreAway, StreamOrphaned
from streamkit.sinks.sqlite import SQLiteStore

from ..fakes import jumping_clock
from .fakes import claim_of, collect, data, eventually, held, last_type, line, read


async def abandoned(store: Store, lease: float = 3.0, count: int = 3) -> None:
    """Make a stream whose producer is never heard of again."""
    claim = claim_of("a", lease=lease)
    await store.claim(claim, "nothing")
    await store.append(claim, 0, [line(number) for number in range(1, count + 1)])


@jumping_clock()
async def test_a_dead_producer_is_noticed_within_its_lease_and_one_sweep(
    clocked: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[StreamEvent] = []
    async with Streams(clocked, drain=0, sweep=2) as streams:
        await sleep(1)
        begin = current_time()
        await abandoned(clocked)
        with pytest.raises(StreamOrphaned):
            await collect(streams.follow("a"), got)
        assert 3 <= current_time() - begin <= 3 + 2
        assert data(got) == ["1", "2", "3"]
        status = await streams.status("a")
        assert (status["state"], status["active"], status["tail"]) == ("orphaned", False, 4)
        history = (await streams.history("a"))["events"]
        assert (history[-1]["type"], history[-1]["data"]) == ("orphaned", {"state": "orphaned"})
        for seen in got:  # a cursor of the dead producer is still one
            with pytest.raises(StreamOrphaned):
                await read(streams.follow("a", seen.id))
    told = [record.getMessage() for record in caplog.records]
    assert told == ["the producer of the stream a vanished"]


@pytest.mark.slow  # a real lease has to pass
async def test_a_dead_producer_is_noticed_on_every_store(store: Store) -> None:
    async with Streams(store, drain=0, sweep=0.05) as streams:
        await abandoned(store, lease=0.1)
        with fail_after(5):
            assert await last_type(streams.follow("a")) == "orphaned"


@jumping_clock()
async def test_of_several_that_sweep_at_the_same_time_one_ends_it(clocked: MemoryStore) -> None:
    await abandoned(clocked)
    async with Streams(clocked, drain=0, sweep=1) as one, Streams(clocked, drain=0, sweep=1):
        async with Streams(clocked, drain=0, sweep=1):
            await sleep(20)
        types = [each["type"] for each in (await one.history("a"))["events"]]
    assert types == ["message", "message", "message", "orphaned"]


async def test_a_sweep_that_comes_second_changes_nothing() -> None:
    store = MemoryStore()
    gate, slow = held(store)
    await abandoned(store, lease=0.0)
    async with Streams(slow, drain=0, sweep=0.01):
        gate.hold("sweep", where=lambda: True)
        await gate.is_held("sweep")
        async with Streams(store, drain=0, sweep=0.01) as other:
            assert await last_type(other.follow("a")) == "orphaned"
            before = store._logs["a"].head
        gate.release("sweep")
        await eventually(lambda: len(gate.calls["sweep"]) > 3)
        assert not gate.calls["claim"]
        assert store._logs["a"].head == before


@jumping_clock()
async def test_one_who_vanishes_while_ending_an_orphan_is_followed_by_the_next(
    clocked: MemoryStore,
) -> None:
    await abandoned(clocked)
    head = clocked._logs["a"].head
    await sleep(4)
    taker = claim_of("a", epoch=head.epoch + 1, token="token2", lease=5.0)
    await clocked.claim(taker, "lapsed")  # and then it dies
    async with Streams(clocked, drain=0, sweep=1) as streams:
        assert await last_type(streams.follow("a")) == "orphaned"
        types = [each["type"] for each in (await streams.history("a"))["events"]]
    assert types == ["message", "message", "message", "orphaned"]


@jumping_clock()
async def test_an_orphan_keeps_the_time_that_its_producer_gave_it(clocked: MemoryStore) -> None:
    claim = claim_of("a", lease=1.0, keep=50.0)
    await clocked.claim(claim, "nothing")
    async with Streams(clocked, drain=0, sweep=1, keep=None) as streams:
        await sleep(10)
        assert (await streams.status("a"))["state"] == "orphaned"
        await sleep(60)
        assert await streams.list() == []


@jumping_clock()
async def test_a_store_that_is_away_is_swept_when_it_is_back(
    clocked: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with Streams(clocked, drain=0, sweep=1) as streams:
        sweep, away = clocked.sweep, True

        async def maybe() -> object:
            if away:
                raise StoreAway("gone fishing")
            return await sweep()

        clocked.sweep = maybe  # type: ignore[method-assign, assignment]
        await abandoned(clocked)
        await sleep(10)
        assert (await streams.status("a"))["active"]
        away = False
        await sleep(10)
        assert (await streams.status("a"))["state"] == "orphaned"
    assert any("gone fishing" in record.getMessage() for record in caplog.records)


async def test_streams_outlive_the_process_in_a_file(store: Store) -> None:
    if not isinstance(store, SQLiteStore):
        return
    async with Streams(store, drain=0) as streams:
        events = await read(await streams.start("a", ["x", "y"]))
    async with Streams(store, drain=0) as streams:
        assert await read(streams.follow("a")) == events
        assert await read(streams.follow("a", events[0].id)) == events[1:]


@pytest.mark.slow  # a real lease has to pass
async def test_followers_of_an_orphan_in_any_process_are_told(store: Store) -> None:
    ended: list[str] = []
    await abandoned(store, lease=0.1)
    async with Streams(store, drain=0, sweep=0.05) as one, Streams(store, drain=0) as other:

        async def follow(streams: Streams) -> None:
            ended.append(await last_type(streams.follow("a")))

        with fail_after(5):
            async with create_task_group() as tasks:
                for streams in (one, other, one, other):
                    tasks.start_soon(follow, streams)
    assert ended == ["orphaned"] * 4
