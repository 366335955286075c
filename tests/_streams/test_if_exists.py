"""A name that is taken: refused, followed, or started again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from anyio import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    sleep,
    wait_all_tasks_blocked,
)

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Store, Streams
from streamkit.errors import StreamExists

from ..fakes import Fountain, jumping_clock
from .fakes import at_once, data, eventually, numbers_of, read, slow_to_enter


async def test_a_taken_name_is_refused_and_the_source_closed(streams: Streams) -> None:
    first, second = Fountain("a", wait=True), Fountain("b")
    await streams.start("a", first)
    with pytest.raises(StreamExists, match="'a'"):
        await streams.start("a", second)
    assert second.closed
    assert not second.registered
    assert not first.closed


async def test_a_stream_that_has_ended_is_still_there(streams: Streams) -> None:
    await read(await streams.start("a", ["x"]))
    with pytest.raises(StreamExists):
        await streams.start("a", ["y"])
    assert data(await read(await streams.start("a", ["y"], if_exists="follow"))) == ["x"]


@jumping_clock()
async def test_a_stream_that_has_expired_is_not(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0, keep=60, sweep=5) as streams:
        await read(await streams.start("a", ["x"]))
        await sleep(50)
        with pytest.raises(StreamExists):
            await streams.start("a", ["y"])
        await sleep(20)
        assert data(await read(await streams.start("a", ["y"]))) == ["y"]


async def test_following_a_taken_name_enters_no_second_source(streams: Streams) -> None:
    await streams.start("a", Fountain("a", wait=True))
    second = Fountain("b")
    following = await streams.start("a", second, if_exists="follow")
    assert data(await read(following, 1)) == ["a"]
    assert second.closed
    assert not second.registered


async def test_a_job_is_not_run_when_its_name_is_followed(streams: Streams) -> None:
    ran = []
    for number in range(2):

        async def job(stream: Any, number: int = number) -> None:
            ran.append(number)

        await read(await streams.launch("a", job, if_exists="follow"))
    assert ran == [0]


@pytest.mark.parametrize("if_exists", ["raise", "follow"])
async def test_of_starts_at_the_same_time_one_source_is_entered(
    store: Store, if_exists: Any
) -> None:
    sources = [Fountain(str(number), wait=True) for number in range(8)]
    refused, got = [], []

    async with Streams(store, drain=0) as one, Streams(store, drain=0) as other:

        async def begin(streams: Streams, source: Fountain) -> None:
            try:
                following = await streams.start("a", source, if_exists=if_exists)
            except StreamExists as error:
                refused.append(error)
            else:
                got.extend(data(await read(following, 1)))

        with fail_after(10):
            async with create_task_group() as tasks:
                for number, source in enumerate(sources):
                    tasks.start_soon(begin, (one, other)[number % 2], source)
        assert sum(source.registered for source in sources) == 1
        assert sum(source.closed for source in sources) == 7
        assert len(refused) == (7 if if_exists == "raise" else 0)
        assert len(set(got)) == 1


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another process"])
async def test_a_restart_stops_the_old_producer_and_its_followers_are_told(
    store: Store, *, elsewhere: bool
) -> None:
    old = Fountain("a", "b", wait=True)
    got: list[StreamEvent] = []
    seen = Event()
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:

        async def follow() -> None:
            async for event in streams.follow("a"):
                got.append(event)
                if len(got) == 2:
                    seen.set()

        await streams.start("a", old)
        with fail_after(2):  # a wish that only the next renewal brings takes 5 s
            async with create_task_group() as tasks:
                tasks.start_soon(follow)
                await seen.wait()
                await (other if elsewhere else streams).start("a", ["c"], if_exists="restart")
                await old.was_closed.wait()
    assert [(event.type, event.data) for event in got] == [
        ("message", "a"),
        ("message", "b"),
        ("reset", {"first": 1}),
        ("message", "c"),
    ]
    assert numbers_of(got) == [1, 2, 0, 1]
    assert got[0].id.partition(".")[0] != got[-1].id.partition(".")[0]


async def test_the_old_source_is_closed_before_the_new_one_is_entered(streams: Streams) -> None:
    old = Fountain("a", wait=True)
    await read(await streams.start("a", old), 1)

    async def new() -> AsyncGenerator[bool, None]:
        yield old.closed

    assert data(await read(await streams.start("a", new(), if_exists="restart"))) == [True]


async def test_a_stream_that_has_ended_may_be_restarted(streams: Streams) -> None:
    await read(await streams.start("a", ["x"]))
    assert data(await read(await streams.start("a", ["y"], if_exists="restart"))) == ["y"]
    assert (await streams.status("a"))["tail"] == 2


async def test_a_restart_of_what_is_still_being_entered_leaves_the_new_one_alone(
    streams: Streams,
) -> None:
    entering, raised = Event(), []

    async def begin() -> None:
        try:
            await streams.start("a", slow_to_enter(entering, Event()))
        except Exception as error:
            raised.append(error)

    with fail_after(10):
        async with create_task_group() as tasks:
            tasks.start_soon(begin)
            await entering.wait()
            following = await streams.start("a", Fountain("b", wait=True), if_exists="restart")
            await eventually(lambda: raised)
            assert data(await read(following, 1)) == ["b"]
            assert (await streams.status("a"))["active"]


@pytest.mark.slow  # ten times, because trio wakes tasks in a random order
async def test_of_two_restarts_one_is_left_and_it_can_be_cancelled() -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        for _ in range(10):  # trio wakes tasks in a random order
            await streams.start("a", Fountain("x", wait=True), if_exists="restart")
            sources = [Fountain(name, wait=True) for name in ("y", "z")]

            async def restart(source: Fountain) -> None:
                with CancelScope():
                    try:
                        await streams.start("a", source, if_exists="restart")
                    except Exception:
                        return

            await at_once(lambda: restart(sources[0]), lambda: restart(sources[1]))  # noqa: B023
            await wait_all_tasks_blocked()
            assert (await streams.status("a"))["active"]
            assert streams.statistics().producers == 1
            assert [source.closed for source in sources].count(False) == 1


@jumping_clock()
async def test_a_restart_keeps_its_claim_while_the_old_source_closes(clocked: MemoryStore) -> None:
    async def slow_to_close() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            await sleep(1000)
        finally:
            await sleep(4)

    async with Streams(clocked, drain=0, lease=1, sweep=0.2) as streams:
        await read(await streams.start("a", slow_to_close()), 1)
        following = await streams.start("a", ["b"], if_exists="restart")
        assert data(await read(following)) == ["b"]
