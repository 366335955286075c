"""The closing rule: on every way out, what a source opened is closed in the task that ran it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio import (
    create_task_group,
    fail_after,
    get_current_task,
    move_on_after,
    to_thread,
    wait_all_tasks_blocked,
)
from anyio.lowlevel import checkpoint

from streamkit import CleanupTimeout, ItemRefused, SourceCancelled, as_sse, as_text, step
from streamkit import _handover as handover_module
from streamkit._handover import Handover
from streamkit._source import feeding_now, register


class Fountain:
    """A source of the library's kind: it registers when iterated, and records how it was closed."""

    def __init__(self, *items: str, wait: bool = False) -> None:
        self.items = list(items)
        self.wait = wait
        self.registered = False
        self.iterated_in: int | None = None
        self.closed_in: list[int] = []

    def __aiter__(self) -> Fountain:
        return self

    async def __anext__(self) -> str:
        if not self.registered:
            self.registered = True
            self.iterated_in = get_current_task().id
            register(self)
        if self.items:
            await checkpoint()
            return self.items.pop(0)
        if self.wait:
            await anyio.sleep_forever()
        raise StopAsyncIteration

    @property
    def closed(self) -> bool:
        return bool(self.closed_in)

    async def aclose(self) -> None:
        if not self.closed_in:
            await checkpoint()  # cleanup may await
            self.closed_in.append(get_current_task().id)

    def assert_closed_where_it_ran(self) -> None:
        assert self.closed_in == [self.iterated_in]


async def upper(lines: AsyncIterable[str]) -> AsyncGenerator[str, None]:
    """A plain generator over a source: the step a user writes."""
    async for line in lines:
        yield line.upper()


nested = step(upper)


async def drain(hand: Handover) -> bytes:
    received = b""
    while batch := await hand.take():
        received += batch
    return received


async def feed_until(source: Any, leave_when: Callable[[Handover], Any] | None) -> Handover:
    """Feed a source, take until `leave_when` is done, leave, and wait for the feeder."""
    hand = Handover()
    with fail_after(10):
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, source, as_text.encoder())
            if leave_when is not None:
                await leave_when(hand)
            hand.leave()
    return hand


async def never_started(hand: Handover) -> None:
    pass


async def after_the_first(hand: Handover) -> None:
    await hand.take()


async def while_the_source_waits(hand: Handover) -> None:
    await hand.take()
    await wait_all_tasks_blocked()


async def before_the_first(hand: Handover) -> None:
    await wait_all_tasks_blocked()


async def at_the_end(hand: Handover) -> None:
    await drain(hand)


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

        class Refusing(type(as_text.encoder())):  # type: ignore[misc]
            def one(self, item: object) -> bytes:
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
@pytest.mark.parametrize("where", ["at_a_wait", "at_a_yield"])
async def test_cleanup_may_await_anything(cleanup: Callable[[], Any], where: str) -> None:
    source = Cleanup(cleanup)
    await feed_until(getattr(source, where)(), while_the_source_waits)
    assert source.done


async def test_cleanup_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handover_module, "CLOSE_TIMEOUT", 0.02)
    source = Cleanup(anyio.sleep_forever)
    await feed_until(source.at_a_wait(), while_the_source_waits)
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


async def test_an_error_comes_after_the_items_before_it() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        raise ValueError("now")

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, failing(), as_text.encoder())
        await wait_all_tasks_blocked()
        assert await hand.take() == b"ab"
        with pytest.raises(ValueError, match="now"):
            await hand.take()


async def test_an_error_in_the_finally_of_a_source_is_its_error_not_its_end() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        try:
            yield "a"
        finally:
            raise ValueError("late")

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, failing(), as_text.encoder())
        assert await hand.take() == b"a"
        with pytest.raises(ValueError, match="late"):
            await hand.take()


# Only there: trio does not let anybody raise its Cancelled by hand.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_source_cancelled_by_somebody_else_has_not_ended() -> None:
    async def cancelled() -> AsyncGenerator[str, None]:
        yield "a"
        raise anyio.get_cancelled_exc_class()

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, cancelled(), as_text.encoder())
        assert await hand.take() == b"a"
        with pytest.raises(SourceCancelled):
            await hand.take()


async def test_a_timeout_inside_the_source_is_its_own_affair() -> None:
    async def impatient() -> AsyncGenerator[str, None]:
        for letter in "ab":
            with move_on_after(0.001):
                await anyio.sleep_forever()
            yield letter
        await anyio.sleep(0.001)
        yield "c"

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, impatient(), as_text.encoder())
        assert await drain(hand) == b"abc"


async def test_a_source_that_breaks_the_rule_about_task_groups_fails_with_its_one_error() -> None:
    async def breaker() -> AsyncGenerator[str, None]:
        async def fail() -> None:
            raise ValueError("child")

        async with create_task_group() as tasks:
            tasks.start_soon(fail)
            while True:
                yield "x" * 30_000

    hand = Handover()
    with fail_after(10):
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, breaker(), as_text.encoder())
            await wait_all_tasks_blocked()
            with pytest.raises(ValueError, match="child"):
                await drain(hand)


async def test_a_source_that_swallows_the_cancellation_is_closed_at_its_next_item() -> None:
    done = False

    async def stubborn() -> AsyncGenerator[str, None]:
        nonlocal done
        try:
            while True:
                try:
                    yield "a"
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    pass
        finally:
            done = True

    await feed_until(stubborn(), while_the_source_waits)
    assert done


async def test_a_source_that_never_awaits_gives_way_to_others() -> None:
    async def flood() -> AsyncGenerator[str, None]:
        while True:
            yield ""

    hand = Handover()
    with fail_after(10):
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, flood(), as_text.encoder())
            for _ in range(5):
                await checkpoint()
            hand.leave()


async def test_what_waits_to_be_taken_is_bounded_in_bytes_and_items() -> None:
    made = 0

    async def flood(item: str) -> AsyncGenerator[str, None]:
        nonlocal made
        while True:
            made += 1
            yield item

    for item, most in (("x" * 1000, 66), ("x", 1000)):
        made = 0
        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, flood(item), as_text.encoder())
            await wait_all_tasks_blocked()
            assert made == most
            assert len(await hand.take()) == most * len(item)
            await wait_all_tasks_blocked()
            assert made == 2 * most
            hand.leave()


async def test_one_item_is_handed_over_at_once() -> None:
    source = Fountain("a", wait=True)
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, as_text.encoder())
        assert await hand.take() == b"a"
        hand.leave()


async def test_a_cancelled_take_loses_nothing() -> None:
    ready = anyio.Event()

    async def late() -> AsyncGenerator[str, None]:
        await ready.wait()
        yield "a"

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, late(), as_text.encoder())
        with move_on_after(0):
            await hand.take()
        ready.set()
        assert await drain(hand) == b"a"


async def test_items_that_send_nothing_are_not_the_end_and_not_counted() -> None:
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, Fountain("a", "", "b"), as_text.encoder())
        assert await drain(hand) == b"ab"
    assert hand.count == 2


async def test_batches_are_encoded_as_they_are_and_counted_by_item() -> None:
    class Batched:
        async def batches(self) -> AsyncGenerator[list[str], None]:
            yield ["a", "b"]
            yield []
            yield ["c"]

        def __aiter__(self) -> AsyncIterator[str]:
            raise AssertionError("it has batches")

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, Batched(), as_sse.encoder())
        assert await drain(hand) == b"data: a\n\ndata: b\n\ndata: c\n\n"
    assert hand.count == 3


async def test_a_stopped_handover_gives_what_is_ready_and_then_nothing() -> None:
    source = Fountain("a", wait=True)
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, as_text.encoder())
        await wait_all_tasks_blocked()
        hand.stop()
        assert await hand.take() == b"a"
        assert await hand.take() == b""
        assert not hand.ended
        hand.leave()
    source.assert_closed_where_it_ran()


async def test_stopping_wakes_a_taker() -> None:
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, Fountain(wait=True), as_text.encoder())

        async def stop() -> None:
            await wait_all_tasks_blocked()
            hand.stop()

        tasks.start_soon(stop)
        assert await hand.take() == b""
        hand.leave()


async def test_a_context_manager_is_entered_and_left_in_the_feeding_task() -> None:
    tasks_seen: list[int] = []

    @asynccontextmanager
    async def connection() -> AsyncIterator[AsyncIterable[str]]:
        tasks_seen.append(get_current_task().id)
        try:
            yield Fountain("a", wait=True)
        finally:
            await checkpoint()
            tasks_seen.append(get_current_task().id)

    await feed_until(connection(), while_the_source_waits)
    assert len(tasks_seen) == 2
    assert len(set(tasks_seen)) == 1


async def test_the_source_sees_the_context_of_who_started_the_feeder() -> None:
    request_id: ContextVar[str] = ContextVar("request_id")
    request_id.set("r-1")

    async def source() -> AsyncGenerator[str, None]:
        yield request_id.get()

    def threaded() -> Iterator[str]:
        yield request_id.get()

    for each in (source(), threaded()):
        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, each, as_text.encoder())
            assert await drain(hand) == b"r-1"
