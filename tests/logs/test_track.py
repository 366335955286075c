"""Tracked items are iterated like the items themselves, and the last value is a true one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from anyio import CancelScope, create_task_group, get_current_task
from anyio.lowlevel import checkpoint

from streamkit import _loop as loop_module
from streamkit import as_text, open_source, step
from streamkit._feeding.closing import Feeding, feeding_now
from streamkit._feeding.handover import Handover
from streamkit.errors import StreamEnded
from streamkit.logs import Progress, ProgressTracker

from ..fakes import Fountain, before_the_first, drain, feed_until, while_the_source_waits
from .test_progress import Watched


async def letters(text: str = "abc") -> AsyncGenerator[str, None]:
    for letter in text:
        await checkpoint()
        yield letter


@asynccontextmanager
async def a_job() -> AsyncGenerator[None, None]:
    """Close what is registered in this task, as the owner of a source or a job does."""
    feeding = Feeding()
    token = feeding_now.set(feeding)
    try:
        yield
    finally:
        feeding_now.reset(token)
        await feeding.close()


Loop: TypeAlias = Callable[[Any, Callable[[str], None]], Any]


async def plain_for(items: Iterable[str], body: Callable[[str], None]) -> None:
    for item in items:
        body(item)


async def async_for(items: AsyncIterable[str], body: Callable[[str], None]) -> None:
    async for item in items:
        body(item)


LOOPS = [
    pytest.param(plain_for, lambda: "abc", id="for over a sequence"),
    pytest.param(plain_for, lambda: iter("abc"), id="for over an iterator"),
    pytest.param(async_for, lambda: "abc", id="async for over a sequence"),
    pytest.param(async_for, lambda: iter("abc"), id="async for over an iterator"),
    pytest.param(async_for, letters, id="async for over an async generator"),
    pytest.param(async_for, step(letters), id="async for over a step"),
    pytest.param(async_for, lambda: Fountain(*"abc"), id="async for over a source"),
]


@pytest.mark.parametrize(("loop", "make"), LOOPS)
class TestEveryLoop:
    async def test_gives_the_items_and_counts_those_finished(self, loop: Loop, make: Any) -> None:
        tracker = Watched()
        seen: list[tuple[str, float]] = []

        def body(letter: str) -> None:
            seen.append((letter, tracker.last.done))
            tracker.now += 1

        await loop(tracker.track(make(), total=3, message="parsing"), body)
        assert seen == [("a", 0), ("b", 1), ("c", 2)]
        assert tracker.done == [0, 1, 2, 3]
        assert tracker.sent[0] == Progress(0, 3, 0.0, message="parsing")
        assert tracker.last == Progress(3, 3, 100.0, 1.0, 0.0, "parsing")

    async def test_sends_the_first_and_the_last_value_of_a_fast_one(
        self, loop: Loop, make: Any
    ) -> None:
        tracker = Watched()
        await loop(tracker.track(make()), lambda _: None)
        assert tracker.done == [0, 3]

    async def test_sends_what_was_reached_when_the_body_fails(self, loop: Loop, make: Any) -> None:
        tracker = Watched()

        def body(letter: str) -> None:
            if letter == "c":
                raise KeyError(letter)

        async with a_job():
            with pytest.raises(KeyError):
                await loop(tracker.track(make(), total=3), body)
        assert tracker.done == [0, 2]
        assert tracker.last.percent == 66.6

    async def test_starts_from_0_each_time(self, loop: Loop, make: Any) -> None:
        tracker = Watched()
        tracker.update(50, total=100, message="before")
        for _ in range(2):
            tracker.now += 1
            await loop(tracker.track(make(), total=3), lambda _: None)
        assert tracker.done == [50, 0, 3, 0, 3]
        assert tracker.last == Progress(3, 3, 100.0, None, 0.0, "")


def test_break_tells_what_was_reached() -> None:
    tracker = Watched()
    for letter in tracker.track("abc"):
        if letter == "b":
            break
    assert tracker.done == [0, 1]


async def test_a_break_of_async_for_is_told_when_it_is_due() -> None:
    tracker = Watched()
    async for letter in tracker.track("abc"):
        if letter == "b":
            break
    tracker.flush_due(tracker.now + 0.1)
    assert tracker.done == [0, 1]


def failing() -> Iterator[str]:
    yield from "ab"
    raise KeyError("c")


async def async_failing() -> AsyncGenerator[str, None]:
    for letter in failing():
        yield letter


@pytest.mark.parametrize(
    ("loop", "make"), [(plain_for, failing), (async_for, failing), (async_for, async_failing)]
)
async def test_items_that_fail_are_told_as_far_as_they_came(loop: Loop, make: Any) -> None:
    tracker = Watched()
    with pytest.raises(KeyError):
        await loop(tracker.track(make(), total=3), lambda _: None)
    assert tracker.done == [0, 2]


class Unsure(list[str]):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("items", "given", "total"),
    [
        pytest.param(["a", "b"], None, 2, id="the length"),
        pytest.param({"a": 1}.items(), None, 1, id="the length of a view"),
        pytest.param(["a"], 7, 7, id="what is given wins"),
        pytest.param(["a"], 0, 0, id="also when it is 0"),
        pytest.param(iter("ab"), None, None, id="none"),
        pytest.param(Unsure(TypeError()), None, None, id="one that is not known"),
        pytest.param(Unsure(NotImplementedError()), None, None, id="one that is not written"),
    ],
)
def test_the_total_is_the_length_when_there_is_one(
    items: Any, given: float | None, total: float | None
) -> None:
    tracker = Watched()
    tracker.update(0, total=99)
    list(tracker.track(items, total=given))
    assert tracker.last.total == total


def test_no_items_are_all_done_at_once() -> None:
    tracker = Watched()
    assert list(tracker.track([])) == []
    assert tracker.sent == [Progress(0, 0, 100.0, None, 0.0)]


def test_a_track_can_be_iterated_as_often_as_its_items() -> None:
    track = Watched().track("ab")
    assert list(track) == list(track) == ["a", "b"]


def test_nothing_is_told_before_the_first_item_is_asked_for() -> None:
    tracker = Watched()
    iter(tracker.track("ab"))
    assert tracker.sent == []


def test_what_cannot_be_iterated_is_refused() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="track takes something to iterate, not int"):
        Watched().track(wrong)


async def test_asynchronous_items_are_refused_by_for() -> None:
    track: Any = Watched().track(letters())
    with pytest.raises(TypeError, match="async_generator is asynchronous; write async for"):
        iter(track)


@pytest.mark.parametrize("total", [-1, float("nan")])
def test_a_total_that_says_nothing_is_refused(total: float) -> None:
    with pytest.raises(ValueError, match="total is"):
        Watched().track("abc", total=total)


@pytest.mark.parametrize("loop", [plain_for, async_for])
async def test_the_loop_goes_on_when_its_stream_has_ended(loop: Loop) -> None:
    tracker = Watched()
    tracker.error = StreamEnded("a")
    seen: list[str] = []
    await loop(tracker.track("abc"), seen.append)
    assert seen == ["a", "b", "c"]


async def test_synchronous_items_give_way_to_other_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "MAX_TURN", 0)
    order: list[str] = []
    async with create_task_group() as tasks:
        tasks.start_soon(async_for, Watched().track("abcdef"), order.append)
        tasks.start_soon(async_for, Watched().track("123456"), order.append)
    assert "".join(order) not in ("abcdef123456", "123456abcdef")


async def test_synchronous_items_can_be_cancelled() -> None:
    seen: list[str] = []
    with CancelScope() as scope:
        scope.cancel()
        await async_for(Watched().track("abc"), seen.append)
    assert scope.cancelled_caught
    assert seen == []


class Closing:
    """An async generator that records where it was closed, and what waits in it."""

    def __init__(self) -> None:
        self.iterated_in = 0
        self.closed_in: list[int] = []

    async def items(self) -> AsyncGenerator[str, None]:
        self.iterated_in = get_current_task().id
        try:
            yield "a"
            yield "b"
        finally:
            await checkpoint()
            self.closed_in.append(get_current_task().id)


async def test_a_break_closes_the_items_with_the_source_they_are_part_of() -> None:
    closing, tracker = Closing(), Watched()

    async def first() -> AsyncGenerator[str, None]:
        async for letter in tracker.track(closing.items()):
            yield letter
            break

    async with open_source(first()) as items:
        assert [item async for item in items] == ["a"]
        assert closing.closed_in == []
    assert closing.closed_in == [closing.iterated_in]
    assert tracker.done == [0]


def over(tracker: ProgressTracker) -> Callable[[AsyncIterable[str]], AsyncIterable[str]]:
    async def counted(items: AsyncIterable[str]) -> AsyncGenerator[str, None]:
        async for item in tracker.track(items):
            yield item

    return counted


@pytest.mark.parametrize("wrap", [over, lambda tracker: tracker.track], ids=["in a step", "alone"])
@pytest.mark.parametrize("leave_when", [while_the_source_waits, before_the_first])
async def test_a_tracked_source_is_closed_when_its_reader_leaves(
    wrap: Any, leave_when: Any
) -> None:
    source, tracker = Fountain("a", "b", wait=True), Watched()
    await feed_until(wrap(tracker)(source), leave_when)
    assert source.closed_in
    assert set(source.closed_in) == {source.iterated_in}
    assert tracker.done == [0, 2]


async def test_a_tracked_source_is_a_source() -> None:
    source, tracker = Fountain("a", "b"), Watched()
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, tracker.track(source), as_text.encoder())
        assert await drain(hand) == b"ab"
    source.assert_closed_where_it_ran()
    assert tracker.done == [0, 2]


async def test_closed_items_are_at_their_end() -> None:
    source, tracker = Fountain(*"abc"), Watched()
    items: Any = aiter(tracker.track(source))
    assert [await anext(items), await anext(items)] == ["a", "b"]
    await items.aclose()
    assert source.closed
    assert items.closed
    assert tracker.done == [0, 1]
    with pytest.raises(StopAsyncIteration):
        await anext(items)


async def test_items_that_came_to_their_end_need_no_closing() -> None:
    source = Fountain("a")
    items: Any = aiter(Watched().track(source))
    assert [item async for item in items] == ["a"]
    assert items.closed
    assert not source.closed


async def test_an_item_is_counted_once_though_the_wait_for_the_next_was_cancelled() -> None:
    tracker = Watched()
    items: Any = aiter(tracker.track(Fountain("a", wait=True)))
    assert await anext(items) == "a"
    for _ in range(2):
        with CancelScope() as scope:
            scope.cancel()
            await anext(items)
        assert scope.cancelled_caught
    assert tracker.done == [0, 1]
    await items.aclose()


async def test_items_that_nobody_began_to_iterate_are_closed_too() -> None:
    source = Fountain("a")
    items: Any = aiter(Watched().track(source))
    await items.aclose()
    assert source.closed


async def test_synchronous_items_are_closed_with_the_job_they_are_part_of() -> None:
    items = failing()
    async with a_job():
        async for _ in Watched().track(items):
            break
    assert list(items) == []
