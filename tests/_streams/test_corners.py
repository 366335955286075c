"""What happens rarely to a producer: no room, no claim, a store that closed or forgot it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from anyio import Event as Signal
from anyio import (
    create_task_group,
    fail_after,
    sleep_forever,
    to_thread,
    wait_all_tasks_blocked,
)

from streamkit import Claim, Head, Line, MemoryStore, Stream, Streams
from streamkit import Event as StreamEvent
from streamkit._following.mirror import Mirror
from streamkit._store.contract import Over
from streamkit._streams import pumps as producers
from streamkit._streams.inbox import Inbox
from streamkit._streams.orphans import end_orphan
from streamkit._streams.producer import SourceProducer
from streamkit._streams.pump import Pump
from streamkit.errors import Overflow, StoreAway

from ..fakes import Fountain
from .fakes import claim_of, collect, data, eventually, held, last_type, numbers, read, send_alone


async def test_a_job_in_a_thread_waits_for_room_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Inbox, "max_items", 2)
    gate, store = held(MemoryStore())
    sent: list[int] = []

    def work(stream: Stream) -> None:
        for number in range(10):
            stream.send_sync(number)
            sent.append(number)

    async with Streams(store, drain=0) as streams:
        gate.hold("append")
        following = await streams.launch("a", work)
        await gate.is_held("append")
        with fail_after(10):
            await to_thread.run_sync(lambda: None)
            assert len(sent) <= 6  # two are being written, two wait, and one has no room
            gate.release("append")
            assert data(await read(following)) == list(range(10))


async def test_a_job_that_outruns_a_store_that_is_away_fails_when_it_shall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Inbox, "max_items", 2)
    store = Deaf()

    async def work(stream: Stream) -> None:
        await stream.send("first")
        await eventually(lambda: store._logs["a"].head.tail == 1)
        store.deaf.add("append")
        for number in range(10):
            await stream.send(number)

    async with Streams(store, drain=0) as streams:
        following = await streams.launch("a", work, when_full="fail")
        await eventually(lambda: streams._pumps.get("a")._failure)  # type: ignore[union-attr]  # it is there
        store.deaf.clear()
        assert await last_type(following) == "error"
        status = await streams.status("a")
    assert status["error"] is not None
    assert status["error"]["code"] == Overflow.code


class Deaf(MemoryStore):
    """A store that does not answer some calls."""

    def __init__(self) -> None:
        super().__init__()
        self.deaf: set[str] = set()
        self.claims = 0

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        self.claims += 1
        if "claim" in self.deaf:
            raise StoreAway("the cable was pulled")
        return await super().claim(claim, over)

    async def append(self, claim: Claim, expected: int, events: Any, **options: Any) -> Head | None:
        if "append" in self.deaf:
            raise StoreAway("the cable was pulled")
        return await super().append(claim, expected, events, **options)


@pytest.mark.slow  # it asks four times
async def test_a_start_gives_up_a_store_that_does_not_answer_and_closes_its_source() -> None:
    store, source = Deaf(), Fountain("x", wait=True)
    store.deaf.add("claim")
    async with Streams(store, drain=0) as streams:
        with pytest.raises(StoreAway), fail_after(10):
            await streams.start("a", source)
        assert store.claims == producers.CLAIM_ATTEMPTS
        assert source.closed
        store.deaf.clear()
        assert data(await read(await streams.start("a", ["y"]))) == ["y"]


async def test_what_to_do_with_a_taken_name_has_three_answers(streams: Streams) -> None:
    source = Fountain("x", wait=True)
    with pytest.raises(ValueError, match=r"if_exists is one of .*not 'replace'"):
        await streams.start("a", source, if_exists="replace")  # type: ignore[arg-type]
    assert source.closed
    await streams.start("a", ["x"])
    with pytest.raises(ValueError, match="open writes"):
        async with streams.open("a", if_exists="follow"):  # type: ignore[arg-type]
            raise AssertionError("it was opened")


async def test_an_item_that_says_nothing_is_not_written(streams: Streams) -> None:
    async def work(stream: Stream) -> None:
        await stream.send(Line("50%", partial=True))
        stream.send_nowait(Line("60%", partial=True))
        await stream.send("after")

    assert data(await read(await streams.launch("a", work))) == ["after"]


async def test_a_stream_that_somebody_else_has_closed_is_written_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, go = MemoryStore(), Signal()
    closed = Signal()

    async def source() -> AsyncGenerator[str, None]:
        try:
            yield "x"
            await go.wait()
            yield "y"
            await sleep_forever()
        finally:
            closed.set()

    async with Streams(store, drain=0) as streams:
        await read(await streams.start("a", source()), 1)
        running = streams._pumps.get("a")
        assert running is not None
        await store.append(running.claim, 1, [], close="done")
        go.set()
        with fail_after(10):
            await closed.wait()
        await eventually(lambda: streams.statistics().producers == 0)
        assert (await store.read("a", 0, 9) or ((), []))[1][1:] == []
    assert "the stream a cannot be written any more: another process has taken it over" in [
        record.getMessage() for record in caplog.records
    ]


async def test_a_store_that_forgot_more_than_is_held_ends_the_producer_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Mirror, "max_bytes", 1)
    store, job_closed = MemoryStore(), Signal()

    async def job(stream: Stream) -> None:
        try:
            for number in range(5):
                await send_alone(streams, stream, str(number))
            log = store._logs["a"]
            log.head = replace(log.head, tail=1)
            del log._events[1:]
            await stream.send("after")
            await sleep_forever()
        finally:
            job_closed.set()

    async with Streams(store, drain=0) as streams:
        await streams.launch("a", job)
        with fail_after(10):
            await job_closed.wait()
        await eventually(lambda: streams.statistics().producers == 0)
    messages = [record.getMessage() for record in caplog.records]
    assert "the store forgot 4 events of the stream a that it had acknowledged" in messages
    assert "the stream a cannot be written any more: its store forgot the claim itself" in messages


async def test_a_source_at_work_fills_a_batch_when_many_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pump, "followers_per_turn", 1)
    gate, store = held(MemoryStore())
    go = Signal()

    async def source() -> AsyncGenerator[str, None]:
        yield "first"
        await go.wait()
        async for item in numbers(30):
            yield item

    async with Streams(store, drain=0) as streams:
        following = await streams.start("a", source())
        got: list[list[StreamEvent]] = [[] for _ in range(10)]
        async with create_task_group() as tasks:
            for each in got:
                tasks.start_soon(collect, following, each)
            await eventually(lambda: all(got))
            gate.closes.clear()
            go.set()
    for each in got:
        assert data(each) == ["first", *map(str, range(1, 31))]
    assert sum(count for count, _ in gate.closes) == 31
    assert max(count for count, _ in gate.closes) > 2


@pytest.mark.parametrize("entered", [True, False])
async def test_a_start_that_is_cancelled_leaves_its_source_unless_that_was_entered(
    *, entered: bool
) -> None:
    producer = SourceProducer(["x"])
    async with create_task_group() as tasks:
        tasks.start_soon(producer.wait_until_entered, Signal())
        await wait_all_tasks_blocked()
        producer._hand.iterated = entered
        tasks.cancel_scope.cancel()
    assert producer._hand.left is not entered


async def test_a_reader_behind_what_its_tail_has_seen_asks_the_store_again() -> None:
    store = MemoryStore()
    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        source = Fountain("1", "2", "3", wait=True)
        await writer.start("a", source)
        await eventually(lambda: store._logs["a"].head.tail == 3)
        got: list[StreamEvent] = []
        with fail_after(10):
            async with create_task_group() as tasks:
                log = store._logs["a"]
                kept = list(log._events)
                reading = aiter(streams.follow("a"))
                assert (await anext(reading)).data == "1"
                later = aiter(streams.follow("a"))
                log.head = replace(log.head, tail=1)
                del log._events[1:]  # it forgot, and gets them again
                tasks.start_soon(collect, later, got)
                await wait_all_tasks_blocked()
                log._events[:] = kept
                log.head = replace(log.head, tail=3)
                streams._listening.ring("a")
                await eventually(lambda: len(got) == 3)
                tasks.cancel_scope.cancel()
    assert data(got) == ["1", "2", "3"]


@pytest.mark.parametrize("when", ["before the claim", "after the claim"])
async def test_a_stream_that_another_sweep_has_ended_is_not_ended_twice(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    gate, slow = held(store)
    claim = claim_of("a", lease=0.0)
    head = await store.claim(claim, "nothing")
    assert head is not None
    gate.hold("claim")
    async with create_task_group() as tasks:
        if when == "after the claim":
            tasks.start_soon(end_orphan, slow, "a", head)
            await gate.is_held("claim")
            store._logs["a"]._deadline = 0.0
            now = (await store.read("a", 0, 0) or (head,))[0]
            await end_orphan(store, "a", now)
        else:
            await end_orphan(store, "a", head)
            tasks.start_soon(end_orphan, slow, "a", head)
        await gate.is_held("claim")
        gate.release("claim")
    page = await store.read("a", 0, 9)
    assert page is not None
    assert (page.head.state, page.head.tail, len(page.events)) == ("orphaned", 1, 1)
    assert {record.getMessage() for record in caplog.records} == {
        "the producer of the stream a vanished"
    }
