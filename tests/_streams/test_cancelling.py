"""Cancelling: by whom, from where, when nobody follows; and leaving is not cancelling."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from random import Random

import pytest
from anyio import create_task_group, current_time, fail_after, sleep
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import Following, MemoryStore, Store, Streams
from streamkit.errors import StreamCancelled, UnknownStream
from streamkit.testing import FaultyStore

from ..fakes import Fountain, jumping_clock
from .fakes import at_once, collect, data, eventually, held, last_type, numbers, read


async def test_a_cancelled_stream_closes_its_source_and_tells_the_reason(
    streams: Streams,
) -> None:
    source = Fountain("x", wait=True)
    following = await streams.start("a", source)
    await read(following, 1)
    assert await streams.cancel("a", "enough") in {"open", "cancelled"}
    with pytest.raises(StreamCancelled, match="enough") as cancelled:
        await read(following)
    assert cancelled.value.reason == "enough"
    source.assert_closed_where_it_ran()
    last = (await streams.history("a"))["events"][-1]
    assert last["data"] == {"state": "cancelled", "reason": "enough"}


@pytest.mark.slow  # without hints the wish comes with the next renewal
@pytest.mark.parametrize("hints", [1.0, 0.0])
async def test_any_process_may_cancel(store: Store, hints: float) -> None:
    faulty = FaultyStore(store, random=Random(1), hints=hints)
    async with Streams(faulty, drain=0, lease=0.6) as streams, Streams(store, drain=0) as other:
        source = Fountain("x", wait=True)
        await read(await streams.start("a", source), 1)
        await other.cancel("a", "from elsewhere")
        with fail_after(5):
            await source.was_closed.wait()
            with pytest.raises(StreamCancelled, match="from elsewhere"):
                await read(other.follow("a"))


async def test_a_hint_is_enough(store: Store) -> None:
    async with Streams(store, drain=0, lease=100) as streams, Streams(store, drain=0) as other:
        source = Fountain("x", wait=True)
        await read(await streams.start("a", source), 1)
        await other.cancel("a")
        with fail_after(3):
            await source.was_closed.wait()


async def test_only_the_first_reason_counts(store: Store) -> None:
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        following = await streams.start("a", Fountain("x", wait=True))
        await other.cancel("a", "first")
        await streams.cancel("a", "second")
        await other.cancel("a", "third")
        with pytest.raises(StreamCancelled, match="first"):
            await read(following)
        assert await other.cancel("a", "late") == "cancelled"


async def test_an_ended_stream_stays_as_it_is(streams: Streams) -> None:
    following = await streams.start("a", ["x"])
    assert await last_type(following) == "end"
    assert await streams.cancel("a", "late") == "done"
    assert await last_type(following) == "end"
    assert (await streams.status("a"))["tail"] == 2


async def test_an_unknown_stream_cannot_be_cancelled(streams: Streams) -> None:
    with pytest.raises(UnknownStream):
        await streams.cancel("a")


async def test_a_new_life_is_not_cancelled_by_a_wish_for_the_old_one(streams: Streams) -> None:
    await streams.start("a", Fountain("x", wait=True))
    await streams.cancel("a")
    following = await streams.start("a", ["y"], if_exists="restart")
    assert data(await read(following)) == ["y"]
    assert await last_type(following) == "end"


async def test_a_cancel_that_races_the_end_leaves_one_of_both() -> None:
    ends = set()
    async with Streams(MemoryStore(), drain=0) as streams:
        for turns in range(40):
            name = f"run-{turns}"
            following = await streams.start(name, numbers(5))
            for _ in range(turns):
                await checkpoint()
            await at_once(lambda: streams.cancel(name), lambda: streams.cancel(name))  # noqa: B023
            ends.add(await last_type(following))
            events = (await streams.history(name))["events"]
            types = [each["type"] for each in events]
            assert types[:-1] == ["message"] * (len(types) - 1)
            assert [each["data"] for each in events[:-1]] == [str(n) for n in range(1, len(types))]
    assert ends <= {"end", "cancelled"}
    assert len(ends) == 2


async def test_items_before_the_cancellation_are_kept() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:
        async with create_task_group():
            gate.hold("append")
            following = await streams.start("a", Fountain("x", "y", "z", wait=True))
            await gate.is_held("append")
            await streams.cancel("a")
            gate.release("append")
        got: list[StreamEvent] = []
        with pytest.raises(StreamCancelled):
            await collect(following, got)
    assert data(got) == ["x", "y", "z"]


async def quick_ticks() -> AsyncGenerator[int, None]:
    number = 0
    while True:
        yield number
        number += 1
        await sleep(1)


@pytest.mark.slow  # a thousand ticks
@jumping_clock()
async def test_leaving_is_not_cancelling(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0) as streams:
        following = await streams.start("a", quick_ticks())
        await read(following, 3)
        await sleep(1000)
        assert (await streams.status("a"))["active"]
        assert data(await read(following, 1000)) == list(range(1000))


@pytest.mark.slow  # thousands of looks at the clock
@jumping_clock()
async def test_a_stream_that_nobody_follows_is_cancelled_after_the_grace_if_so_wished(
    clocked: MemoryStore,
) -> None:
    async with Streams(clocked, drain=0, on_leave="cancel", grace=10) as streams:
        following = await streams.start("a", quick_ticks())
        await streams.start("b", quick_ticks(), on_leave="detach")
        with fail_after(200):
            async with create_task_group() as tasks:
                tasks.start_soon(sleep, 50)
                assert len(await collected_until(following, until=50)) >= 49  # somebody follows
        left = current_time()
        await eventually(lambda: streams.statistics().producers == 1, within=30)
        assert 9 <= current_time() - left <= 13
        with pytest.raises(StreamCancelled, match="nobody follows it"):
            await read(following)
        assert (await streams.status("b"))["active"]


async def collected_until(following: Following, until: float) -> list[StreamEvent]:
    found: list[StreamEvent] = []
    async for event in following:
        found.append(event)
        if current_time() >= until:
            break
    return found


@jumping_clock()
async def test_who_comes_back_within_the_grace_finds_it_running(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0, on_leave="cancel", grace=10) as streams:
        following = await streams.start("a", quick_ticks())
        for _ in range(5):
            await collected_until(following, until=current_time() + 3)
            await sleep(8)
            assert (await streams.status("a"))["active"]
        await sleep(13)
        assert (await streams.status("a"))["state"] == "cancelled"


@jumping_clock()
async def test_short_visits_within_the_grace_keep_it_running(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0, on_leave="cancel", grace=10) as streams:
        following = await streams.start("a", quick_ticks())
        for _ in range(5):
            await read(following, 1)
            await sleep(8)
            assert (await streams.status("a"))["active"]


@jumping_clock()
async def test_a_stream_that_nobody_ever_followed_has_the_grace_too(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0, on_leave="cancel", grace=10) as streams:
        await streams.start("a", quick_ticks())
        await sleep(8)
        assert (await streams.status("a"))["active"]
        await sleep(5)
        assert (await streams.status("a"))["state"] == "cancelled"
