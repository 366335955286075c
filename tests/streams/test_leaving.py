"""Leaving `Streams`: what ends, what is cancelled, who is told, and that nothing is left."""

from __future__ import annotations

import gc
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

from streamkit import (
    MemoryStore,
    NotRunning,
    ServerStopping,
    Store,
    Stream,
    StreamCancelled,
    Streams,
    UnknownStore,
    as_sse,
)
from streamkit import Event as StreamEvent

from ..fakes import Fountain, jumping_clock
from .fakes import answered, data, eventually, held, numbers, read, rest


async def test_nothing_can_be_done_before_streams_are_entered(store: Store) -> None:
    streams = Streams(store)
    source = Fountain("x")
    with pytest.raises(NotRunning, match=r"lifespan.*cleanup_ctx"):
        await streams.start("a", source)
    assert source.closed
    with pytest.raises(NotRunning):
        await streams.launch("a", sleep_forever)  # type: ignore[arg-type]
    with pytest.raises(NotRunning):
        streams.follow("a")
    with pytest.raises(NotRunning):
        async with streams.open("a"):
            raise AssertionError
    for call in (streams.status, streams.history, streams.cancel, streams.delete, streams.list):
        with pytest.raises(NotRunning):
            await call("a")  # type: ignore[operator]
    assert streams.statistics().producers == 0


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
                    async for event in streams.follow("a"):
                        got.append(event)
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

    async with create_task_group() as tasks:
        async with Streams(clocked, drain=2) as streams:
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


async def test_streams_cannot_be_entered_twice_at_a_time(streams: Streams) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        async with streams:
            raise AssertionError
    assert data(await read(await streams.start("a", ["x"]))) == ["x"]


async def test_streams_may_be_entered_again(store: Store) -> None:
    streams = Streams(store, drain=0)
    for number in range(3):
        async with streams:
            following = await streams.start("a", [number], if_exists="restart")
            assert data(await read(following)) == [number]


async def test_an_iteration_that_was_kept_over_a_stop_stops_nobody_after_it() -> None:
    store = MemoryStore()
    streams = Streams(store, drain=0)
    async with Streams(store, drain=0) as writer:
        await writer.start("a", Fountain("x", wait=True))
        async with streams:
            kept = aiter(streams.follow("a"))
            await anext(kept)
        async with streams:
            got: list[StreamEvent] = []

            async def follow() -> None:
                async for event in streams.follow("a"):
                    got.append(event)

            async with create_task_group() as tasks:
                tasks.start_soon(follow)
                await eventually(lambda: len(got) == 1)
                await writer.start("a", ["y"], if_exists="restart")
                await eventually(lambda: len(got) == 3)
                tasks.cancel_scope.cancel()
    assert [event.type for event in got] == ["message", "reset", "message"]
    del kept


@pytest.mark.parametrize("used", [False, True])
def test_streams_of_a_module_may_be_entered_in_one_event_loop_after_another(
    *, used: bool
) -> None:
    streams = Streams(MemoryStore(), drain=0)

    async def lifespan() -> None:
        async with streams:
            await anyio.wait_all_tasks_blocked()
            if used:
                following = await streams.start("a", ["x"], if_exists="restart")
                assert data(await read(following)) == ["x"]

    for backend in ("asyncio", "asyncio", "trio", "trio", "asyncio"):
        anyio.run(lifespan, backend=backend)


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


def test_an_iteration_that_outlives_its_event_loop_is_collected_in_silence() -> None:
    store = MemoryStore()
    kept = []

    async def leave_one() -> None:
        async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
            await streams.start("a", Fountain("x", wait=True))
            kept.append(aiter(other.follow("a")))
            await anext(kept[0])

    anyio.run(leave_one)
    kept.clear()
    gc.collect()


def test_streams_have_a_store_in_memory_unless_told_otherwise() -> None:
    assert Streams()._store.durable is False  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "url", ["redis://localhost", "streams.db", "", "sqlite://streams.db", "sqlite:", "sqlite:///"]
)
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises((UnknownStore, ValueError)):
        Streams.from_url(url)


def test_a_url_names_a_store() -> None:
    assert Streams.from_url("memory:", drain=0)._store.durable is False
    assert Streams.from_url("sqlite:///x.db")._store.durable is True
