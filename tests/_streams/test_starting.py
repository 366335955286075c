"""`start`: a name is claimed, the source entered, and what it gives written in the background."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio import Event, create_task_group, fail_after, move_on_after, sleep, wait_all_tasks_blocked

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Streams
from streamkit.errors import InvalidName, NotASource, StreamExists, StreamFailed, UnknownStream
from streamkit.sources.process import CommandNotFound, stream_process

from ..fakes import Fountain, jumping_clock, nested
from .fakes import collect, data, eventually, last_type, numbers, read, slow_to_enter


async def test_a_source_is_iterated_in_the_background_and_closed_at_its_end(
    streams: Streams,
) -> None:
    source = Fountain("a", "b")
    following = await streams.start("run-1", nested(source))
    assert data(await read(following)) == ["A", "B"]
    await eventually(lambda: source.closed)
    source.assert_closed_where_it_ran()
    assert (await streams.status("run-1"))["state"] == "done"


@asynccontextmanager
async def connection() -> AsyncIterator[list[str]]:
    yield ["a", "b"]


def threaded() -> Iterator[str]:
    yield from "ab"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ["a", "b"], id="a list"),
        pytest.param(threaded, id="a generator"),
        pytest.param(connection, id="a context manager"),
        pytest.param(lambda: Fountain("a", "b"), id="a source of the library"),
        pytest.param(lambda: stream_process("printf", r"a\nb\n"), id="a command"),
    ],
)
async def test_every_kind_of_source_may_be_started(streams: Streams, make: object) -> None:
    assert callable(make)
    events = await read(await streams.start("a", make()))
    assert data(events)[:2] == ["a", "b"]


async def test_an_error_comes_after_the_items_before_it_and_its_details_go_to_the_log_alone(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "a"
        raise ValueError("the password is hunter2")

    following = await streams.start("run-1", failing())
    got: list[StreamEvent] = []
    with pytest.raises(StreamFailed) as failed:
        await collect(following, got)
    assert data(got) == ["a"]
    assert failed.value.cause_code == "source-failed"
    assert "hunter2" not in str(failed.value)
    status = await streams.status("run-1")
    assert status["error"] == {"code": "source-failed", "message": "The source failed."}
    [record] = caplog.records
    assert record.getMessage() == f"the stream run-1 failed after {got[0].id}"
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])


@asynccontextmanager
async def refusing() -> AsyncIterator[list[str]]:
    raise ConnectionRefusedError("nobody there")
    yield []


@pytest.mark.parametrize(
    ("make", "error"),
    [
        pytest.param(refusing, ConnectionRefusedError, id="a context manager"),
        pytest.param(lambda: stream_process("/no/such"), CommandNotFound, id="a command"),
    ],
)
async def test_a_failure_to_enter_raises_and_frees_the_name(
    streams: Streams, make: object, error: type[Exception]
) -> None:
    assert callable(make)
    for _ in range(2):
        with pytest.raises(error):
            await streams.start("a", make())
        with pytest.raises(UnknownStream):
            await streams.status("a")
    assert data(await read(await streams.start("a", ["now"]))) == ["now"]


async def test_a_source_that_is_entered_holds_its_name(streams: Streams) -> None:
    entering, go = Event(), Event()
    async with create_task_group() as tasks:
        tasks.start_soon(streams.start, "a", slow_to_enter(entering, go))
        with fail_after(10):
            await entering.wait()
        assert (await streams.status("a"))["active"]
        with pytest.raises(StreamExists):
            await streams.start("a", ["b"])
        go.set()
    assert data(await read(streams.follow("a"))) == ["a"]


@jumping_clock()
async def test_entering_may_take_longer_than_the_lease(clocked: MemoryStore) -> None:
    @asynccontextmanager
    async def slow() -> AsyncIterator[list[str]]:
        await sleep(100)
        yield ["a"]

    async with Streams(clocked, drain=0, lease=3, sweep=1) as streams:
        assert data(await read(await streams.start("a", slow()))) == ["a"]


@jumping_clock()
@pytest.mark.parametrize("later", ["fails", "is entered"])
async def test_a_start_that_is_cancelled_while_entering_frees_the_name(
    clocked: MemoryStore, later: str
) -> None:
    closed = Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[list[str]]:
        try:
            await sleep(100)
            if later == "fails":
                raise ConnectionRefusedError
            yield ["a"]
        finally:
            closed.set()

    async with Streams(clocked, drain=0) as streams:
        with move_on_after(1):
            await streams.start("a", slow())
        await sleep(200)
        assert closed.is_set()
        with pytest.raises(UnknownStream):
            await streams.status("a")
        assert data(await read(await streams.start("a", ["b"]))) == ["b"]


async def test_a_stream_that_is_cancelled_while_entering_has_no_source_left(
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
            await streams.cancel("a")
    assert len(raised) == 1
    with pytest.raises(UnknownStream):
        await streams.status("a")


async def test_followers_may_come_while_the_source_is_entered(streams: Streams) -> None:
    entering, go = Event(), Event()
    got: list[object] = []

    async def follow() -> None:
        got.extend(data(await read(streams.follow("a"))))

    async with create_task_group() as tasks:
        tasks.start_soon(streams.start, "a", slow_to_enter(entering, go))
        await entering.wait()
        tasks.start_soon(follow)
        await wait_all_tasks_blocked()
        go.set()
    assert got == ["a"]


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ü", "a\n", "a" * 201, "a?b", None, 5])
async def test_what_is_no_name_is_refused_and_the_source_closed(name: str) -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        source = Fountain("a")
        with pytest.raises(InvalidName):
            await streams.start(name, source)
        assert source.closed
        for call in (streams.status, streams.history, streams.cancel, streams.delete):
            with pytest.raises(InvalidName):
                await call(name)
        with pytest.raises(InvalidName):
            streams.follow(name)


async def test_what_is_no_source_is_refused_before_the_name_is_claimed(streams: Streams) -> None:
    with pytest.raises(NotASource):
        await streams.start("a", "text")
    with pytest.raises(UnknownStream):
        await streams.status("a")


@pytest.mark.parametrize(
    "terms",
    [
        {"keep": -1},
        {"keep": float("nan")},
        {"max_events": 0},
        {"max_bytes": 0},
        {"lease": 0},
        {"grace": -1},
        {"on_leave": "stay"},
        {"when_full": "drop"},
    ],
    ids=str,
)
async def test_terms_that_make_no_sense_are_refused_and_the_source_closed(terms: Any) -> None:
    source = Fountain("a")
    async with Streams(MemoryStore(), drain=0) as streams:
        with pytest.raises(ValueError, match=next(iter(terms))):
            await streams.start("a", source, **terms)
        assert source.closed
        with pytest.raises(UnknownStream):
            await streams.status("a")


async def test_a_silent_source_is_started_without_waiting_for_its_first_item(
    streams: Streams,
) -> None:
    with fail_after(5):
        await streams.start("a", Fountain(wait=True))
    assert (await streams.status("a"))["tail"] == 0


@pytest.mark.slow  # 3,000 items
async def test_a_large_stream_comes_back_whole(streams: Streams) -> None:
    following = await streams.start("a", numbers(3_000))
    assert data(await read(following)) == [str(number) for number in range(1, 3_001)]
    assert await last_type(following) == "end"
