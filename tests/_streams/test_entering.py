"""Entering `Streams`: once at a time, again and again, in any event loop; and their store."""

from __future__ import annotations

import gc

import anyio
import pytest
from anyio import (
    create_task_group,
    sleep_forever,
)

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Store, Streams
from streamkit.errors import NotRunning, UnknownStore

from ..fakes import Fountain
from .fakes import collect, data, eventually, read


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
            await call("a")
    assert streams.statistics().producers == 0


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
                await collect(streams.follow("a"), got)

            async with create_task_group() as tasks:
                tasks.start_soon(follow)
                await eventually(lambda: len(got) == 1)
                await writer.start("a", ["y"], if_exists="restart")
                await eventually(lambda: len(got) == 3)
                tasks.cancel_scope.cancel()
    assert [event.type for event in got] == ["message", "reset", "message"]
    del kept


@pytest.mark.parametrize("used", [False, True])
def test_streams_of_a_module_may_be_entered_in_one_event_loop_after_another(*, used: bool) -> None:
    streams = Streams(MemoryStore(), drain=0)

    async def lifespan() -> None:
        async with streams:
            await anyio.wait_all_tasks_blocked()
            if used:
                following = await streams.start("a", ["x"], if_exists="restart")
                assert data(await read(following)) == ["x"]

    for backend in ("asyncio", "asyncio", "trio", "trio", "asyncio"):
        anyio.run(lifespan, backend=backend)


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
    assert Streams()._store.durable is False


@pytest.mark.parametrize(
    "url", ["redis://localhost", "streams.db", "", "sqlite://streams.db", "sqlite:", "sqlite:///"]
)
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises((UnknownStore, ValueError)):
        Streams.from_url(url)


def test_a_url_names_a_store() -> None:
    assert Streams.from_url("memory:", drain=0)._store.durable is False
    assert Streams.from_url("sqlite:///x.db")._store.durable is True
