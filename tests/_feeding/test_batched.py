"""A source that reads in batches: its items come one by one, and a large batch gives way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from anyio import CancelScope, create_task_group, move_on_after
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import Streams
from streamkit._feeding.batched import ITEMS_PER_TURN, Batched

MANY = 2 * ITEMS_PER_TURN + 10


class Numbers(Batched[int]):
    """So many numbers in one batch."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.batches_left = [range(count)] if count else []

    async def read(self) -> Sequence[int]:
        return self.batches_left.pop() if self.batches_left else []


async def test_items_come_one_by_one_in_order_and_then_there_are_none() -> None:
    assert [number async for number in Numbers(MANY)] == list(range(MANY))
    assert [number async for number in Numbers(0)] == []


async def test_a_large_batch_gives_way_to_others() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with create_task_group() as tasks:
        tasks.start_soon(count_turns)
        async for _ in Numbers(10 * ITEMS_PER_TURN):
            pass
        tasks.cancel_scope.cancel()
    assert turns >= 8  # the first two are over before the other task has begun


async def test_a_call_that_is_cancelled_while_it_gives_way_loses_nothing_and_gets_through() -> None:
    numbers, found = Numbers(MANY), []
    for _ in range(MANY + 10):
        with CancelScope() as scope:
            scope.cancel()
            found.append(await anext(numbers, None))
    assert [number for number in found if number is not None] == list(range(MANY))


@pytest.mark.slow  # 2,058 events in a store
async def test_a_stream_may_be_polled_with_a_timeout(streams: Streams) -> None:
    events: list[StreamEvent] = []
    reading = aiter(await streams.start("a", [{"n": number} for number in range(MANY)]))
    while len(events) < MANY:
        with move_on_after(0.01):
            events.append(await anext(reading))
    assert [event.data for event in events] == [{"n": number} for number in range(MANY)]
