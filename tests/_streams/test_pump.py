"""What is written: in batches of what gathered, bounded, once, and the end with the last of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from anyio import Event, create_task_group, fail_after, sleep, to_thread, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from streamkit import MemoryStore, Stream, Streams
from streamkit._streams.appending import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from streamkit._streams.inbox import Inbox
from streamkit.errors import StoreAway, StreamEnded, StreamFailed

from ..fakes import Fountain, jumping_clock
from .fakes import Retention, at_once, data, eventually, held, last_type, numbers, numbers_of, read


@pytest.mark.parametrize("count", [0, 1, 7])
async def test_the_end_is_in_the_same_append_as_the_last_items_when_it_came_with_them(
    count: int,
) -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:

        async def job(stream: Stream) -> None:
            for number in range(count):
                await stream.send(number)

        await read(await streams.launch("a", job))
    assert gate.closes == [(count + 1, "done")]


async def test_an_error_is_in_the_same_append_as_the_items_before_it() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:

        async def job(stream: Stream) -> None:
            await stream.send("x")
            raise ValueError

        assert await last_type(await streams.launch("a", job)) == "error"
    assert gate.closes == [(2, "error")]


async def test_what_is_sent_while_an_append_runs_is_the_next_one() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams, streams.open("a") as stream:
        gate.hold("append")
        await stream.send("first")
        await gate.is_held("append")
        for number in range(500):
            await stream.send(number)
            await checkpoint()
        gate.release("append")
        await eventually(lambda: len(gate.closes) == 2)
    assert gate.closes == [(1, None), (500, None), (1, "done")]


async def test_one_append_is_bounded_in_events_and_in_bytes() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:
        for item in ("x", "x" * 1000):
            async with streams.open("a", if_exists="restart") as stream:
                gate.closes.clear()
                for _ in range(Inbox.max_items):
                    await stream.send(item)
            assert sum(count for count, _ in gate.closes) == Inbox.max_items + 1
            assert max(count for count, _ in gate.closes) <= MAX_BATCH_EVENTS
            most = max(sum(map(len, events)) for _, _, events, *_ in gate.calls["append"] if events)
            assert most <= MAX_BATCH_BYTES
            assert [close for _, close in gate.closes][:-1] == [None] * (len(gate.closes) - 1)


async def test_a_single_item_is_written_at_once(streams: Streams) -> None:
    following = await streams.start("a", Fountain("x", wait=True))
    with fail_after(2):
        assert data(await read(following, 1)) == ["x"]


async def test_nothing_is_delivered_before_the_store_has_it() -> None:
    gate, store = held(MemoryStore())
    got: list[object] = []
    async with Streams(store, drain=0) as streams:

        async def follow() -> None:
            got.extend(data(await read(streams.follow("a"), 1)))

        gate.hold("append")
        async with create_task_group() as tasks:
            await streams.start("a", Fountain("x", wait=True))
            tasks.start_soon(follow)
            await gate.is_held("append")
            await wait_all_tasks_blocked()
            assert got == []
            gate.release("append")
        assert got == ["x"]


class Away(Retention):
    """A store that is away for a while."""

    away = False

    def __getattr__(self, name: str) -> Any:
        if not self.away:
            return super().__getattr__(name)

        async def refuse(*args: object, **options: object) -> object:
            await checkpoint()
            raise StoreAway("gone fishing")

        return refuse


@pytest.mark.slow  # 30,000 items
@jumping_clock()
@pytest.mark.parametrize("when_full", ["wait", "fail"])
async def test_while_the_store_is_away_the_source_waits_or_the_stream_fails(
    clocked: MemoryStore, caplog: pytest.LogCaptureFixture, when_full: Any
) -> None:
    store: Any = Away(clocked)
    made, go = 0, Event()

    async def flood() -> AsyncGenerator[str, None]:
        nonlocal made
        yield "first"
        await go.wait()
        for _ in range(30_000):
            made += 1
            yield "x" * 200

    async with Streams(store, drain=0, lease=1000, when_full=when_full) as streams:
        following = await streams.start("a", flood())
        await read(following, 1)
        store.away = True
        go.set()
        await sleep(100)
        bound = made
        await sleep(100)
        assert made == bound < 20_000
        assert not any(record.exc_info for record in caplog.records)
        store.away = False
        if when_full == "wait":
            assert len(await read(following)) == 30_001
        else:
            with pytest.raises(StreamFailed) as failed:
                await read(following)
            assert failed.value.cause_code == "overflow"
            assert (await streams.status("a"))["tail"] == 1 + bound + 1
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("the stream a waits for its store")
    assert told.count("the stream a has its store back") == 1


@pytest.mark.slow  # 10,000 items
async def test_jobs_that_wait_for_room_are_told_when_there_is_some_or_the_end() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:
        async with streams.open("a") as stream:
            gate.hold("append")
            await stream.send("first")
            await gate.is_held("append")
            for number in range(Inbox.max_items):
                stream.send_nowait(number)
            waited = []

            async def send() -> None:
                await stream.send("late")
                waited.append("late")

            async with create_task_group() as tasks:
                tasks.start_soon(send)
                await wait_all_tasks_blocked()
                assert waited == []
                gate.release("append")
        assert len(await read(streams.follow("a"))) == Inbox.max_items + 2


async def test_a_thread_that_waits_for_room_is_told_that_the_stream_has_ended() -> None:
    gate, store = held(MemoryStore())
    raised: list[Exception] = []

    def flood(stream: Stream) -> None:
        try:
            while True:
                stream.send_sync("x")
        except StreamEnded as error:
            raised.append(error)

    gate.hold("append")
    async with Streams(store, drain=0) as streams:
        await streams.launch("a", flood)
        await gate.is_held("append")
        await streams.cancel("a")
        gate.release("append")
        assert await last_type(streams.follow("a")) == "cancelled"
        await eventually(lambda: raised)


@pytest.mark.slow  # 10,000 records
async def test_log_records_without_room_are_counted_and_the_count_is_told() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:
        async with streams.open("a") as stream:
            gate.hold("append")
            await stream.send("first")
            await gate.is_held("append")
            for number in range(Inbox.max_items + 50):
                stream.log(str(number))
            gate.release("append")
            await eventually(lambda: len(gate.closes) >= 3)
            stream.log("again")
        events = await read(streams.follow("a"))
    messages = [each["message"] for each in data(events) if isinstance(each, dict)]
    assert messages == [*map(str, range(Inbox.max_items)), "50 records were dropped", "again"]
    told = [each for each in data(events) if isinstance(each, dict)][-2]
    assert told["log_level"] == "warning"


@pytest.mark.slow  # 4000 calls from four threads
async def test_threads_write_side_by_side_and_each_keeps_its_order(streams: Streams) -> None:
    async def work(stream: Stream) -> None:
        begin = threading.Barrier(4)

        def send(thread: int) -> None:
            begin.wait(10)
            for number in range(1000):
                stream.send_nowait([thread, number])

        async with create_task_group() as tasks:
            for thread in range(4):
                tasks.start_soon(to_thread.run_sync, send, thread)

    events = await read(await streams.launch("a", work))
    assert numbers_of(events) == list(range(1, 4001))
    for thread in range(4):
        mine = [item for item in data(events) if isinstance(item, list) and item[0] == thread]
        assert mine == [[thread, number] for number in range(1000)]


@jumping_clock()
async def test_the_lease_of_a_silent_source_is_renewed(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0, lease=3, sweep=0.5) as streams:
        source = Fountain("x", wait=True)
        following = await streams.start("a", source)
        await sleep(100)
        assert (await streams.status("a"))["active"]
        assert data(await read(following, 1)) == ["x"]
        assert not source.closed


@jumping_clock()
async def test_a_renewal_writes_nothing_and_rings_nobody(clocked: MemoryStore) -> None:
    gate, store = held(clocked)
    async with Streams(store, drain=0, lease=3, sweep=1000) as streams:
        await read(await streams.start("a", Fountain("x", wait=True)), 1)
        before = len(gate.calls["append"])
        await sleep(10)
        assert 9 <= len(gate.calls["append"]) - before <= 12
        assert gate.closes == [(1, None)]


async def test_many_streams_are_written_side_by_side(streams: Streams) -> None:
    async def run(number: int) -> None:
        following = await streams.start(f"run-{number}", numbers(20, prefix=f"{number}."))
        assert data(await read(following)) == [f"{number}.{each}" for each in range(1, 21)]

    await at_once(*[lambda number=number: run(number) for number in range(30)])
    await eventually(lambda: streams.statistics().producers == 0)
