"""What one task makes and another takes: order, bounds, the end, and whose cancellation it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from time import monotonic
from typing import ClassVar

import anyio
import pytest
from anyio import (
    create_task_group,
    fail_after,
    get_current_task,
    move_on_after,
    wait_all_tasks_blocked,
)
from anyio.lowlevel import checkpoint

from streamkit import Encoder, as_sse, as_text
from streamkit._feeding.batched import Batched
from streamkit._feeding.handover import Handover
from streamkit._feeding.leaving import _the_one
from streamkit._loop import MAX_TURN
from streamkit.errors import SourceCancelled

from ..fakes import Fountain, drain, feed_until, while_the_source_waits


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


# Only there: trio wakes tasks in a random order, so the source may have a second turn first.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_first_item_is_there_before_the_source_has_had_its_turn() -> None:
    made = 0

    async def flood() -> AsyncGenerator[str, None]:
        nonlocal made
        while True:
            made += 1
            yield "a"

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, flood(), as_text.encoder())
        first, made_by_then = await hand.take(), made
        hand.leave()
    assert (first, made_by_then) == (b"a", 1)


async def test_a_source_that_works_hard_gives_way_after_its_turn_however_much_waits() -> None:
    made = 0

    async def hard() -> AsyncGenerator[str, None]:
        nonlocal made
        while True:
            made += 1
            if made > 20:  # quick at first, and nobody takes anything
                end = monotonic() + 2 * MAX_TURN
                while monotonic() < end:
                    pass
            yield "a"

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, hard(), as_text.encoder())
        while made <= 20:
            await checkpoint()
        enough, turns = made + 8, 0
        while made < enough:
            turns += 1
            await checkpoint()
        hand.leave()
    assert turns >= 6  # about one for each item


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
    class InBatches(Batched[str]):
        left: ClassVar = [["a", "b"], ["c"], []]

        async def read(self) -> list[str]:
            return self.left.pop(0)

        async def __anext__(self) -> str:
            raise AssertionError("it has batches")

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, InBatches(), as_sse.encoder())
        assert await drain(hand) == b"data: a\n\ndata: b\n\ndata: c\n\n"
    assert hand.count == 3


async def test_batches_are_bounded_in_bytes_like_single_items() -> None:
    class InBatches(Batched[str]):
        left: ClassVar = [["x" * 40_000] * 10, []]

        async def read(self) -> list[str]:
            return self.left.pop(0)

        async def __anext__(self) -> str:
            raise AssertionError("it has batches")

    hand = Handover()
    sizes = []
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, InBatches(), as_text.encoder())
        while batch := await hand.take():
            sizes.append(len(batch))
    assert sum(sizes) == 400_000
    assert max(sizes) == 80_000
    assert hand.count == 10


async def test_an_encoder_that_stops_iterating_does_not_end_a_batch_well() -> None:
    class Stopping(Encoder[str]):
        def one(self, item: str) -> bytes:
            return next(iter([])) if item == "b" else item.encode()

    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, ["a", "b", "c"], Stopping())
        with pytest.raises(RuntimeError, match="StopIteration"):
            await drain(hand)


async def test_a_program_that_is_being_stopped_is_not_taken_for_a_failed_source() -> None:
    group = BaseExceptionGroup("both", [ValueError(), KeyboardInterrupt()])
    assert _the_one(group) is group
    assert isinstance(_the_one(ExceptionGroup("one", [ValueError()])), ValueError)
    assert isinstance(_the_one(BaseExceptionGroup("", [ValueError(), GeneratorExit()])), ValueError)
    two = ExceptionGroup("two", [ValueError(), KeyError()])
    assert _the_one(two) is two


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
