"""What a source or a job may do to itself, it cannot do to the streams beside it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from typing import Any

import anyio
import pytest
from anyio import CancelScope, fail_after, get_cancelled_exc_class, sleep_forever
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Stream, Streams, as_sse
from streamkit._serving.client import Timing
from streamkit._serving.write_source import write_source
from streamkit.errors import StreamFailed

from .._serving.browser import Browser
from ..fakes import Fountain
from .fakes import collect, data, eventually, read


async def borrowed_cancellation() -> BaseException:
    """Return a cancellation that was meant for somebody else."""
    kept: list[BaseException] = []
    with CancelScope() as scope:
        scope.cancel()
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as error:
            kept.append(error)
            raise
    return kept[0]


async def cancelled() -> AsyncGenerator[str, None]:
    yield "before"
    await checkpoint()
    raise await borrowed_cancellation()


async def cancelled_in_a_group() -> AsyncGenerator[str, None]:
    yield "before"
    raise BaseExceptionGroup("two tasks failed", [await borrowed_cancellation(), ValueError("x")])


async def exiting_in_a_group() -> AsyncGenerator[str, None]:
    yield "before"
    raise BaseExceptionGroup("a task exited", [SystemExit(3)])


async def exiting() -> AsyncGenerator[str, None]:
    yield "before"
    await checkpoint()
    sys.exit(3)


def exiting_in_a_thread() -> Generator[str, None, None]:
    yield "before"
    sys.exit(3)


async def cancelled_job(stream: Stream) -> None:
    await stream.send("before")
    raise await borrowed_cancellation()


async def exiting_job(stream: Stream) -> None:
    await stream.send("before")
    sys.exit(3)


def exiting_job_in_a_thread(stream: Stream) -> None:
    stream.send_sync("before")
    sys.exit(3)


SOURCES = [
    pytest.param(cancelled, "source-cancelled", id="cancelled by somebody else"),
    pytest.param(exiting, "source-cancelled", id="sys.exit"),
    pytest.param(exiting_in_a_thread, "source-failed", id="sys.exit in a thread"),
]
JOBS = [
    pytest.param(cancelled_job, "source-cancelled", id="cancelled by somebody else"),
    pytest.param(exiting_job, "source-cancelled", id="sys.exit"),
    pytest.param(exiting_job_in_a_thread, "source-failed", id="sys.exit in a thread"),
]


async def fails_alone(streams: Streams, code: str) -> None:
    """Check that "bad" failed after its item, and "good" goes on."""
    got: list[StreamEvent] = []
    with pytest.raises(StreamFailed) as failed, fail_after(10):
        await collect(streams.follow("bad"), got)
    assert failed.value.cause_code == code
    assert data(got) == ["before"]
    await eventually(lambda: streams.statistics().producers == 1)
    assert data(await read(streams.follow("good"), 1)) == ["x"]
    assert (await streams.status("good"))["active"]
    assert data(await read(await streams.start("later", ["y"]))) == ["y"]


@pytest.mark.parametrize(("source", "code"), SOURCES)
async def test_a_source_that_is_cancelled_or_exits_ends_its_own_stream_alone(
    streams: Streams, source: Callable[[], AsyncIterable[str]], code: str
) -> None:
    await streams.start("good", Fountain("x", wait=True))
    await streams.start("bad", source())
    await fails_alone(streams, code)


@pytest.mark.parametrize(("job", "code"), JOBS)
async def test_a_job_that_is_cancelled_or_exits_ends_its_own_stream_alone(
    streams: Streams, job: Callable[[Stream], object], code: str
) -> None:
    await streams.start("good", Fountain("x", wait=True))
    await streams.launch("bad", job)
    await fails_alone(streams, code)


# Futures that anybody may cancel are asyncio's.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_source_that_waits_for_a_cancelled_future_ends_its_own_stream_alone(
    streams: Streams,
) -> None:
    import asyncio  # noqa: PLC0415

    async def waiting() -> AsyncGenerator[str, None]:
        yield "before"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    await streams.start("good", Fountain("x", wait=True))
    await streams.start("bad", waiting())
    await fails_alone(streams, "source-cancelled")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param(cancelled_in_a_group, "source-failed", id="cancelled"),
        pytest.param(exiting_in_a_group, "source-cancelled", id="sys.exit"),
    ],
)
async def test_a_source_whose_tasks_fail_in_several_ways_ends_its_own_stream_alone(
    source: Callable[[], AsyncIterable[str]], code: str
) -> None:
    try:
        async with Streams(MemoryStore(), drain=0) as streams:
            await streams.start("good", Fountain("x", wait=True))
            await streams.start("bad", source())
            await fails_alone(streams, code)
    except BaseExceptionGroup as group:  # which would end the tests after this one, too
        raise AssertionError("it ended all streams") from group


@pytest.mark.parametrize(("source", "code"), SOURCES)
async def test_a_response_says_that_its_source_was_cancelled_or_exited(
    source: Callable[[], AsyncIterable[str]], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser()
    with fail_after(10):
        await write_source(browser, source(), as_sse, Timing())
    assert browser.finished
    assert browser.body.startswith(b"data: before\n\nevent: error\n")
    assert f'"code":"{code}"'.encode() in browser.body
    assert [record.getMessage() for record in caplog.records] == [f"a source failed: {code}"]


@pytest.mark.parametrize("ending", [cancelled_job, exiting_job], ids=["cancelled", "sys.exit"])
async def test_what_was_waiting_for_a_job_is_told_that_it_ended(
    ending: Callable[[Stream], object],
) -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        kept: list[Stream] = []

        async def job(stream: Stream) -> None:
            kept.append(stream)
            await anyio.sleep(0)
            result: Any = ending(stream)
            await result

        with pytest.raises(StreamFailed):
            await read(await streams.launch("a", job))
        kept[0].log("late")  # is left out, and breaks nobody
        history = (await streams.history("a"))["events"]
    assert [each["type"] for each in history] == ["message", "error"]
