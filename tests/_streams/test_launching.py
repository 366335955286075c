"""`launch`: a job that writes to its stream, in the event loop or in a thread."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from functools import partial
from itertools import count
from time import monotonic

import pytest
from anyio import fail_after, sleep, sleep_forever
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import Following, MemoryStore, Stream, Streams
from streamkit._streams import inbox
from streamkit.errors import Overflow, StreamCancelled, StreamEnded, StreamFailed

from ..fakes import Fountain, jumping_clock
from .fakes import body, collect, data, eventually, last_type, read


async def say(stream: Stream, *words: str) -> None:
    for word in words:
        await stream.send(word)


def say_in_a_thread(stream: Stream, *words: str) -> None:
    for word in words:
        stream.send_sync(word)


class Speaker:
    async def __call__(self, stream: Stream, *words: str) -> None:
        await say(stream, *words)


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(say, id="async def"),
        pytest.param(say_in_a_thread, id="def"),
        pytest.param(Speaker(), id="an object"),
        pytest.param(Speaker().__call__, id="a method"),
        pytest.param(partial(say), id="a partial"),
    ],
)
async def test_a_job_gets_its_stream_and_its_arguments(streams: Streams, job: object) -> None:
    assert callable(job)
    following = await streams.launch("a", job, "one", "two")
    assert isinstance(following, Following)
    assert data(await read(following)) == ["one", "two"]


async def test_the_stream_is_there_when_launch_returns(streams: Streams) -> None:
    async def wait(stream: Stream) -> None:
        await sleep_forever()

    await streams.launch("a", wait)
    assert (await streams.status("a"))["active"]


async def fail(stream: Stream) -> None:
    await stream.send("before")
    raise ValueError("hunter2")


def fail_in_a_thread(stream: Stream) -> None:
    stream.send_sync("before")
    raise ValueError("hunter2")


@pytest.mark.parametrize("job", [fail, fail_in_a_thread], ids=["async def", "def"])
async def test_an_error_of_a_job_is_told_after_all_it_wrote(
    streams: Streams, caplog: pytest.LogCaptureFixture, job: object
) -> None:
    assert callable(job)
    got: list[StreamEvent] = []
    with pytest.raises(StreamFailed) as failed:
        await collect(await streams.launch("a", job), got)
    assert data(got) == ["before"]
    assert failed.value.cause_code == "source-failed"
    assert b"hunter2" not in await body(streams.follow("a"))
    assert [record.getMessage() for record in caplog.records] == [
        f"the stream a failed after {got[0].id}"
    ]


async def test_sources_that_a_job_iterated_are_closed_with_it(streams: Streams) -> None:
    source = Fountain("a", "b", wait=True)

    async def relay(stream: Stream) -> None:
        async for item in source:
            await stream.send(item)
            if item == "b":
                break

    assert data(await read(await streams.launch("a", relay))) == ["a", "b"]
    await eventually(lambda: source.closed)
    source.assert_closed_where_it_ran()


async def test_a_cancelled_job_may_clean_up_and_say_so(streams: Streams) -> None:
    source, cleaned = Fountain("a", wait=True), []

    async def relay(stream: Stream) -> None:
        try:
            async for item in source:
                await stream.send(item)
        finally:
            await checkpoint()
            cleaned.append(stream.cancelled)
            await stream.send("goodbye")

    following = await streams.launch("a", relay)
    got = []
    with pytest.raises(StreamCancelled, match="enough"), fail_after(10):
        async for event in following:
            got.append(event.data)
            await streams.cancel("a", "enough")
    assert got == ["a", "goodbye"]
    assert cleaned == [True]
    assert source.closed


async def test_a_job_in_a_thread_sees_that_it_was_cancelled(streams: Streams) -> None:
    done = threading.Event()

    def work(stream: Stream) -> None:
        stream.send_nowait("working")
        end = monotonic() + 10
        while not stream.cancelled and monotonic() < end:
            done.wait(0.001)
        if stream.cancelled:
            done.set()

    following = await streams.launch("a", work)
    await read(following, 1)
    await streams.cancel("a")
    assert await last_type(following) == "cancelled"
    await eventually(done.is_set)


@jumping_clock()
async def test_a_job_that_does_not_end_when_cancelled_is_given_up(clocked: MemoryStore) -> None:
    async def stubborn(stream: Stream) -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(100)

    async with Streams(clocked, drain=0) as streams:
        following = await streams.launch("a", stubborn)
        await streams.cancel("a", "now")
        with pytest.raises(StreamCancelled), fail_after(6):
            await read(following)
        assert (await streams.status("a"))["state"] == "cancelled"


async def test_a_job_sees_the_context_of_who_launched_it(streams: Streams) -> None:
    request_id: ContextVar[str] = ContextVar("request_id")
    request_id.set("r-1")

    async def tell(stream: Stream) -> None:
        await stream.send(request_id.get())

    def tell_in_a_thread(stream: Stream) -> None:
        stream.send_sync(request_id.get())

    for name, job in (("a", tell), ("b", tell_in_a_thread)):
        assert data(await read(await streams.launch(name, job))) == ["r-1"]


async def test_after_the_end_nothing_is_taken_but_a_log_record_is_left_out(
    streams: Streams,
) -> None:
    kept: list[Stream] = []

    async def leak(stream: Stream) -> None:
        kept.append(stream)

    following = await streams.launch("a", leak)
    await read(following)
    with pytest.raises(StreamEnded, match="'a'"):
        await kept[0].send("late")
    with pytest.raises(StreamEnded):
        kept[0].send_nowait("late")
    kept[0].log("late")
    kept[0].progress.update(1, total=1)
    assert await read(following) == []


async def test_log_and_progress_are_events_like_others(streams: Streams) -> None:
    async def work(stream: Stream) -> None:
        stream.log("parsing", "warning")
        async for part in stream.progress.track(["x", "y"]):
            await stream.send(part)

    events = await read(await streams.launch("a", work))
    log, *_ = data(events)
    assert isinstance(log, dict)
    assert (log["log_level"], log["message"]) == ("warning", "parsing")
    last = [event.data for event in events if event.type == "progress"][-1]
    assert isinstance(last, dict)
    assert (last["done"], last["total"], last["percent"]) == (2, 2, 100.0)
    assert [item for item in data(events) if isinstance(item, str)] == ["x", "y"]


@pytest.mark.slow  # progress is held for 0.1 s
async def test_a_held_progress_comes_out_though_the_job_says_nothing_more(
    streams: Streams,
) -> None:
    async def work(stream: Stream) -> None:
        for done in range(96):
            stream.progress.update(done, total=100)
        await sleep_forever()

    events = await read(await streams.launch("a", work), 2)
    assert [event.data["done"] for event in events if isinstance(event.data, dict)] == [0, 95]


@pytest.mark.slow  # 10,000 items
async def test_send_nowait_refuses_what_there_is_no_room_for(streams: Streams) -> None:
    async def work(stream: Stream) -> None:
        sent = 0
        with pytest.raises(Overflow, match="'a'"):
            for sent in range(20_000):
                stream.send_nowait(sent)
        assert sent == 10_000

    assert len(await read(await streams.launch("a", work))) == 10_000


async def test_send_sync_is_refused_in_the_event_loop(streams: Streams) -> None:
    async def work(stream: Stream) -> None:
        with pytest.raises(RuntimeError, match="await send"):
            stream.send_sync("x")

    assert await read(await streams.launch("a", work)) == []


async def flood(stream: Stream) -> None:
    while True:
        await stream.send("x")


async def test_a_job_that_sends_without_end_gives_way_to_others(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count(0.0, 0.001)  # a look at the clock is a millisecond
    monkeypatch.setattr(inbox, "monotonic", lambda: next(clock))
    await streams.launch("a", flood)
    await checkpoint()
    most, before = 0.0, next(clock)
    for _ in range(20):
        await checkpoint()
        now = next(clock)
        most, before = max(most, now - before), now
    assert most <= 0.1
    await streams.cancel("a")


async def test_a_job_that_only_sends_can_be_cancelled(streams: Streams) -> None:
    following = await streams.launch("a", flood)
    await read(following, 1)
    await streams.cancel("a")
    await eventually(lambda: streams.statistics().producers == 0, within=3)
    assert (await streams.status("a"))["state"] == "cancelled"


async def test_a_job_may_launch_and_follow_others(streams: Streams) -> None:
    async def outer(stream: Stream) -> None:
        following = await streams.launch("inner", say, "x", "y")
        async for event in following:
            await stream.send(event)

    events = await read(await streams.launch("outer", outer))
    assert data(events) == ["x", "y"]
