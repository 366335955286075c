"""The closing rule: on every way out, what a source opened is closed in the task that ran it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import (
    create_task_group,
    move_on_after,
    to_thread,
    wait_all_tasks_blocked,
)
from anyio.lowlevel import checkpoint

from streamkit import Encoder, as_text, step
from streamkit._feeding.closing import feeding_now
from streamkit._feeding.handover import Handover
from streamkit.errors import CleanupTimeout, ItemRefused

from ..fakes import (
    Fountain,
    as_the_feeder_gets_room,
    before_the_first,
    drain,
    feed_until,
    nested,
    upper,
    while_the_source_waits,
)

WRAPPINGS = [
    pytest.param(lambda lines: lines, id="no step"),
    pytest.param(upper, id="a plain generator"),
    pytest.param(nested, id="one step"),
    pytest.param(lambda lines: upper(nested(lines)), id="a generator over a step"),
    pytest.param(lambda lines: nested(nested(lines)), id="two nested steps"),
]


@pytest.mark.parametrize("wrap", WRAPPINGS)
class TestOnEveryWayOut:
    async def test_the_source_is_closed_after_its_end(self, wrap: Any) -> None:
        source = Fountain("a", "b")
        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, wrap(source), as_text.encoder())
            assert (await drain(hand)).lower() == b"ab"
            assert source.closed  # before the end is known
        source.assert_closed_where_it_ran()

    async def test_the_source_is_closed_when_left_while_it_waits(self, wrap: Any) -> None:
        source = Fountain("a", wait=True)
        await feed_until(wrap(source), while_the_source_waits)
        source.assert_closed_where_it_ran()

    async def test_the_source_is_closed_when_left_before_its_first_item(self, wrap: Any) -> None:
        source = Fountain(wait=True)
        await feed_until(wrap(source), before_the_first)
        source.assert_closed_where_it_ran()

    async def test_the_source_is_closed_when_left_while_the_feeder_waits_for_room(
        self, wrap: Any
    ) -> None:
        source = Fountain(*["x" * 40_000] * 5)
        await feed_until(wrap(source), before_the_first)
        source.assert_closed_where_it_ran()

    async def test_the_source_is_closed_when_an_item_is_refused(self, wrap: Any) -> None:
        source = Fountain("a", "b", wait=True)

        class Refusing(Encoder[str]):
            def one(self, item: str) -> bytes:
                raise ItemRefused("no")

        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, wrap(source), Refusing())
            with pytest.raises(ItemRefused):
                await hand.take()
        source.assert_closed_where_it_ran()

    async def test_the_source_is_closed_when_the_taker_is_cancelled(self, wrap: Any) -> None:
        source = Fountain("a", wait=True)
        hand = Handover()

        async def response() -> None:
            async with create_task_group() as tasks:
                tasks.start_soon(hand.feed, wrap(source), as_text.encoder())
                try:
                    await drain(hand)
                finally:
                    hand.leave()

        async with create_task_group() as server:
            server.start_soon(response)
            await wait_all_tasks_blocked()
            server.cancel_scope.cancel()
        source.assert_closed_where_it_ran()

    async def test_a_source_that_nobody_began_to_iterate_is_discarded(self, wrap: Any) -> None:
        hand = Handover()
        source = Fountain("a")
        hand.leave()
        await hand.feed(wrap(source), as_text.encoder())
        assert hand.ended
        assert not source.registered


async def test_a_step_that_raises_closes_the_source_under_it() -> None:
    source = Fountain("a", "b", wait=True)

    @step
    async def failing(lines: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        async for line in lines:
            yield line
            raise ValueError(line)

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, nested(failing(source)), as_text.encoder())
        assert await hand.take() == b"A"
        with pytest.raises(ValueError, match="a"):
            await hand.take()
    source.assert_closed_where_it_ran()


async def test_the_outer_generator_is_closed_before_the_sources_inside_it() -> None:
    order: list[str] = []

    class Named(Fountain):
        def __init__(self, name: str) -> None:
            super().__init__("x", wait=True)
            self.name = name

        async def aclose(self) -> None:
            order.append(self.name)
            await super().aclose()

    async def outer(lines: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        first, second = Named("first"), Named("second")
        try:
            async for line in first:
                yield line
                async for other in second:
                    yield other
        finally:
            order.append("outer")

    await feed_until(outer(Fountain()), while_the_source_waits)
    assert order == ["outer", "first", "second"]


async def test_a_source_opened_while_another_is_closed_is_closed_too() -> None:
    late = Fountain("x", wait=True)

    @step
    async def opens_when_closed() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            await anyio.sleep_forever()
        finally:
            await anext(late)

    await feed_until(upper(opens_when_closed()), while_the_source_waits)
    late.assert_closed_where_it_ran()


async def test_two_feeders_at_once_close_what_is_theirs() -> None:
    short, long = Fountain("a"), Fountain("b", wait=True)
    one, two = Handover(), Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(one.feed, upper(short), as_text.encoder())
        tasks.start_soon(two.feed, upper(long), as_text.encoder())
        assert await drain(one) == b"A"
        assert short.closed
        assert not long.closed
        two.leave()
    long.assert_closed_where_it_ran()


async def test_a_source_iterated_by_another_task_is_left_to_that_task() -> None:
    inner = Fountain("a")

    @asynccontextmanager
    async def with_a_task_of_its_own() -> AsyncIterator[AsyncIterable[str]]:
        send, receive = anyio.create_memory_object_stream[str]()

        async def pump() -> None:
            async with send:
                async for line in inner:
                    await send.send(line)

        async with create_task_group() as tasks, receive:
            tasks.start_soon(pump)
            yield receive

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, with_a_task_of_its_own(), as_text.encoder())
        assert await drain(hand) == b"a"
    assert not inner.closed


async def test_many_short_sources_in_one_step_are_forgotten_when_they_are_done() -> None:
    feedings: list[Any] = []

    @step
    async def short() -> AsyncGenerator[str, None]:
        feedings.append(feeding_now.get())
        yield "x"

    async def many() -> AsyncGenerator[str, None]:
        for _ in range(50):
            async for line in short():
                yield line
        assert len(feedings[0].opened) == 1

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, many(), as_text.encoder())
        assert await drain(hand) == b"x" * 50


class Cleanup:
    """A generator with a `finally` that awaits, and the proof that it ran to its end."""

    def __init__(self, cleanup: Callable[[], Any]) -> None:
        self.cleanup = cleanup
        self.done = False

    async def at_a_wait(self) -> AsyncGenerator[str, None]:
        try:
            yield "a"
            await anyio.sleep_forever()
        finally:
            await self.cleanup()
            self.done = True

    async def at_a_yield(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x" * 30_000
        finally:
            await self.cleanup()
            self.done = True


async def lock() -> None:
    async with anyio.Lock():
        await checkpoint()


async def memory_stream() -> None:
    send, receive = anyio.create_memory_object_stream[int]()
    async with send, receive, create_task_group() as tasks:
        tasks.start_soon(send.send, 1)
        assert await receive.receive() == 1


async def timeout() -> None:
    with move_on_after(0.001):
        await anyio.sleep_forever()


async def several() -> None:
    for cleanup in (lock, memory_stream, timeout, checkpoint):
        await cleanup()


CLEANUPS = [
    pytest.param(lock, id="a lock"),
    pytest.param(memory_stream, id="a stream and a task"),
    pytest.param(lambda: to_thread.run_sync(int), id="a thread"),
    pytest.param(timeout, id="a timeout"),
    pytest.param(checkpoint, id="a checkpoint"),
    pytest.param(several, id="several, one after the other"),
]


@pytest.mark.parametrize("cleanup", CLEANUPS)
@pytest.mark.parametrize(
    ("where", "leave_when"),
    [
        pytest.param(Cleanup.at_a_wait, while_the_source_waits, id="the source waits"),
        pytest.param(Cleanup.at_a_yield, before_the_first, id="the feeder waits for room"),
        pytest.param(Cleanup.at_a_yield, as_the_feeder_gets_room, id="the feeder gets room"),
    ],
)
async def test_cleanup_may_await_anything(
    cleanup: Callable[[], Any], where: Callable[[Cleanup], Any], leave_when: Any
) -> None:
    source = Cleanup(cleanup)
    await feed_until(where(source), leave_when)
    assert source.done


async def test_a_source_that_is_awake_already_is_cancelled_where_it_waits_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go, done = anyio.Event(), False

    async def awake() -> AsyncGenerator[str, None]:
        nonlocal done
        try:
            yield "a"
            await go.wait()
            async with anyio.Lock():
                await checkpoint()
            await anyio.sleep_forever()
        finally:
            await several()
            done = True

    async def as_it_wakes(hand: Handover) -> None:
        await hand.take()
        await wait_all_tasks_blocked()
        go.set()

    await feed_until(awake(), as_it_wakes)
    assert done
    assert caplog.records == []


async def test_leaving_while_a_connection_is_being_closed_does_not_interrupt_it() -> None:
    closing, done = anyio.Event(), False

    @asynccontextmanager
    async def connection() -> AsyncIterator[AsyncIterable[str]]:
        nonlocal done
        yield Fountain("a")
        closing.set()
        for _ in range(5):
            await checkpoint()
        done = True

    async def as_it_closes(hand: Handover) -> None:
        await hand.take()
        await closing.wait()

    await feed_until(connection(), as_it_closes)
    assert done


async def test_cleanup_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    source = Cleanup(anyio.sleep_forever)
    await feed_until(source.at_a_wait(), while_the_source_waits, close_timeout=0.02)
    assert not source.done
    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], CleanupTimeout)


async def test_a_failing_cleanup_is_logged_when_nobody_is_there_to_be_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise OSError("disk gone")

    await feed_until(Cleanup(fail).at_a_wait(), while_the_source_waits)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("streamkit", logging.ERROR)
    assert record.getMessage() == "a source failed while it was closed"


async def test_leaving_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await feed_until(Fountain("a", wait=True), while_the_source_waits)
    assert caplog.records == []
