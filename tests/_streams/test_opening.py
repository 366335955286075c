"""`open`: a stream for a block of code."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    move_on_after,
    sleep,
    sleep_forever,
    to_thread,
)

from streamkit import MemoryStore, Store, Stream, Streams
from streamkit.errors import StreamCancelled, StreamExists, StreamLost, UnknownStream

from ..fakes import jumping_clock
from .fakes import at_once, data, eventually, held, last_type, read


async def test_the_stream_ends_with_the_block(streams: Streams) -> None:
    async with streams.open("a") as stream:
        await stream.send("x")
        assert data(await read(streams.follow("a"), 1)) == ["x"]
        assert (await streams.status("a"))["active"]
    assert (await streams.status("a"))["state"] == "done"
    assert data(await read(streams.follow("a"))) == ["x"]


async def test_an_exception_is_the_error_of_the_stream_and_goes_on(streams: Streams) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with streams.open("a") as stream:
            await stream.send("x")
            raise ValueError("mine")
    assert (await streams.status("a"))["error"] == {
        "code": "source-failed",
        "message": "The source failed.",
    }


async def test_a_cancel_from_elsewhere_cancels_the_block_and_is_raised_behind_it(
    store: Store,
) -> None:
    cleaned = []
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        with fail_after(3), pytest.raises(StreamCancelled, match="enough"):
            async with streams.open("a"):
                try:
                    await other.cancel("a", "enough")
                    await sleep_forever()
                finally:
                    cleaned.append("a")
        assert cleaned == ["a"]
        assert await last_type(streams.follow("a")) == "cancelled"


async def test_an_outer_cancellation_ends_the_stream_and_goes_on(streams: Streams) -> None:
    with CancelScope() as outer:
        async with streams.open("a") as stream:
            await stream.send("x")
            outer.cancel()
            await sleep_forever()
    assert outer.cancelled_caught
    status = await streams.status("a")
    assert (status["state"], status["tail"]) == ("error", 2)
    assert status["error"] is not None
    assert status["error"]["code"] == "source-cancelled"


@pytest.mark.parametrize("how", ["restarted", "deleted"])
async def test_a_lost_name_cancels_the_block_and_is_raised_behind_it(
    store: Store, how: str
) -> None:
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        with fail_after(3), pytest.raises(StreamLost, match="'a'"):
            async with streams.open("a"):
                if how == "restarted":
                    await other.start("a", ["new"], if_exists="restart")
                else:
                    await other.delete("a")
                await sleep_forever()
        if how == "restarted":
            assert data(await read(streams.follow("a"))) == ["new"]


async def test_blocks_may_be_nested(streams: Streams) -> None:
    async with streams.open("a") as outer, streams.open("b") as inner:
        await outer.send("x")
        await inner.send("y")
    assert data(await read(streams.follow("a"))) == ["x"]
    assert data(await read(streams.follow("b"))) == ["y"]


async def test_an_error_of_the_inner_block_is_that_of_the_outer_one_too(streams: Streams) -> None:
    with pytest.raises(ValueError, match="both"):
        async with streams.open("a"), streams.open("b"):
            raise ValueError("both")
    assert [each["state"] for each in await streams.list()] == ["error", "error"]


async def test_a_taken_name_is_refused_or_taken_over(streams: Streams) -> None:
    async with streams.open("a") as stream:
        await stream.send("x")
    with pytest.raises(StreamExists):
        async with streams.open("a"):
            raise AssertionError
    async with streams.open("a", if_exists="restart") as stream:
        await stream.send("y")
    assert data(await read(streams.follow("a"))) == ["y"]


async def test_a_block_inside_a_block_of_its_own_name_takes_it_over(streams: Streams) -> None:
    async def outer() -> None:
        with pytest.raises(StreamLost):
            async with streams.open("a"):
                opened.set()
                await sleep_forever()

    async def inner() -> None:
        await opened.wait()
        async with streams.open("a", if_exists="restart") as stream:
            await stream.send("y")

    opened = Event()
    await at_once(outer, inner)
    assert data(await read(streams.follow("a"))) == ["y"]


async def test_what_was_cancelled_while_it_claimed_leaves_no_producer() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:

        async def write() -> None:
            async with streams.open("a"):
                raise AssertionError

        gate.hold("claim")
        async with create_task_group() as tasks:
            tasks.start_soon(write)
            await gate.is_held("claim")
            tasks.cancel_scope.cancel()
            gate.release("claim")
        await eventually(lambda: streams.statistics().producers == 0, within=2)
        try:
            state = (await streams.status("a"))["state"]
        except UnknownStream:
            state = "error"
        assert state == "error"


async def test_the_stream_says_that_it_was_cancelled(streams: Streams) -> None:
    seen: list[Any] = []

    async def write() -> None:
        async with streams.open("a") as stream:
            seen.append(stream.cancelled)
            try:
                await sleep_forever()
            finally:
                seen.append(stream.cancelled)

    async def cancel() -> None:
        await eventually(lambda: seen)
        await streams.cancel("a")

    async def both() -> None:
        with pytest.raises(StreamCancelled):
            await write()

    await at_once(both, cancel)
    assert seen == [False, True]


async def test_threads_of_the_block_may_write(streams: Streams) -> None:
    def work(stream: Stream) -> None:
        for number in range(100):
            stream.send_sync(number)

    async with streams.open("a") as stream:
        await to_thread.run_sync(work, stream)
    assert data(await read(streams.follow("a"))) == list(range(100))


@jumping_clock()
async def test_a_timeout_around_the_block_is_not_taken_for_its_end(clocked: MemoryStore) -> None:
    async with Streams(clocked, drain=0) as streams:
        with move_on_after(10):
            async with streams.open("a"):
                await sleep(100)
        assert (await streams.status("a"))["state"] == "error"
