"""Leaving `Streams`: what ends, what is cancelled, who is told, and that nothing is left."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator

import anyio
import pytest
from anyio import (
    Event,
    create_task_group,
    current_time,
    fail_after,
    get_running_tasks,
    sleep,
    sleep_forever,
)

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Store, Stream, Streams, as_sse
from streamkit.errors import ServerStopping, StreamCancelled

from ..fakes import Fountain, jumping_clock
from .fakes import answered, collect, data, eventually, held, numbers, read, rest


@jumping_clock()
async def test_streams_that_end_within_the_drain_end_well_and_the_others_are_cancelled(
    clocked: MemoryStore,
) -> None:
    async def job(stream: Stream, seconds: float) -> None:
        await stream.send("x")
        await sleep(seconds)

    async with Streams(clocked, drain=2) as streams:
        await streams.launch("short", job, 1.5)
        await streams.launch("long", job, 100)
        begin = current_time()
    assert 2 <= current_time() - begin < 2.5
    async with Streams(clocked) as streams:
        assert data(await read(streams.follow("short"))) == ["x"]
        with pytest.raises(StreamCancelled, match="server-stopping"):
            await read(streams.follow("long"))


@jumping_clock()
async def test_leaving_waits_no_longer_than_there_is_something_to_end(
    clocked: MemoryStore,
) -> None:
    async with Streams(clocked, drain=2) as streams:
        await read(await streams.start("a", numbers(3)))
        await sleep(1)
        begin = current_time()
    assert current_time() - begin < 0.5


@jumping_clock()
async def test_followers_go_without_a_last_event(clocked: MemoryStore) -> None:
    got: list[StreamEvent] = []
    raised: list[str] = []
    async with Streams(clocked, drain=0) as writer, create_task_group() as tasks:
        async with Streams(clocked, drain=0) as streams:
            await writer.start("a", Fountain("x", wait=True))

            async def follow() -> None:
                try:
                    await collect(streams.follow("a"), got)
                except ServerStopping:
                    raised.append("stopping")

            for _ in range(3):
                tasks.start_soon(follow)
            follower = await answered(streams.follow("a"), as_sse)
            await eventually(lambda: len(got) == 3)
        assert await rest(follower) in (b"", b"data: x\nid: " + got[0].id.encode() + b"\n\n")
        assert follower.last is None
        await eventually(lambda: len(raised) == 3)
        assert streams.statistics().followers == 0
        assert (await writer.status("a"))["active"]


async def test_nothing_is_left_when_streams_are_left(store: Store) -> None:
    def count() -> int:
        return len(get_running_tasks())

    tasks, threads = count(), threading.active_count()
    source = Fountain("x", wait=True)
    async with Streams(store, drain=0) as streams:
        await streams.start("a", source)
        await streams.launch("b", lambda stream: None)
        await read(streams.follow("a"), 1)
    source.assert_closed_where_it_ran()
    assert streams.statistics().producers == 0
    assert streams.statistics().followers == streams.statistics().watched == 0
    await eventually(lambda: count() == tasks)
    await eventually(lambda: threading.active_count() <= threads + 1)  # anyio's own idle one


@jumping_clock()
async def test_while_streams_stop_nothing_can_be_started(clocked: MemoryStore) -> None:
    refused = []

    async def late(streams: Streams) -> None:
        await sleep(1)
        source = Fountain("x")
        try:
            await streams.start("late", source)
        except ServerStopping as error:
            refused.append((error.status, source.closed))

    async with create_task_group() as tasks, Streams(clocked, drain=2) as streams:
        await streams.start("a", Fountain(wait=True))
        tasks.start_soon(late, streams)
    assert refused == [(503, True)]
    with pytest.raises(ServerStopping):
        streams.follow("a")
    async with Streams(clocked) as streams:
        assert [each["name"] for each in await streams.list()] == ["a"]


@pytest.mark.parametrize("when", ["while it stops", "when it has stopped"])
async def test_a_start_whose_claim_is_under_way_when_streams_stop_leaves_nothing(
    when: str,
) -> None:
    memory = MemoryStore()
    gate, store = held(memory)
    source = Fountain("x", wait=True)
    raised: list[Exception] = []
    stopping = Event()

    async def job(stream: Stream) -> None:
        try:
            await sleep_forever()
        finally:
            stopping.set()
            if when == "while it stops":
                gate.release("claim")
                await eventually(lambda: raised)

    with fail_after(20):
        async with create_task_group() as tasks:
            async with Streams(store, drain=0) as streams:
                await streams.launch("job", job)
                gate.hold("claim")

                async def begin() -> None:
                    try:
                        await streams.start("a", source)
                    except Exception as error:
                        raised.append(error)

                tasks.start_soon(begin)
                await gate.is_held("claim")
            if when != "while it stops":
                gate.release("claim")
    assert [type(error) for error in raised] == [ServerStopping]
    assert source.closed
    async with Streams(memory, drain=0) as streams:
        assert [each["name"] for each in await streams.list(state="open")] == []


async def test_an_error_of_the_block_comes_out_as_it_is(store: Store) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with Streams(store, drain=0):
            raise ValueError("mine")


@jumping_clock()
async def test_a_cancelled_block_still_ends_its_streams(clocked: MemoryStore) -> None:
    source = Fountain("x", wait=True)
    with anyio.move_on_after(5):
        async with Streams(clocked, drain=1) as streams:
            await streams.start("a", source)
            await sleep_forever()
    assert source.closed
    assert clocked._logs["a"].head.state == "cancelled"


@jumping_clock()
async def test_a_source_that_does_not_end_is_given_up_when_streams_stop(
    clocked: MemoryStore,
) -> None:
    async def stubborn() -> AsyncGenerator[str, None]:
        try:
            yield "x"
            await sleep_forever()
        finally:
            await sleep(1000)

    async with Streams(clocked, drain=1) as streams:
        await read(await streams.start("a", stubborn()), 1)
        begin = current_time()
    assert current_time() - begin < 1 + 6 + 1
    assert clocked._logs["a"].head.state == "cancelled"
