"""Sources and helpers that the tests of the core share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, get_current_task, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from streamkit import as_text, step
from streamkit._feeding.closing import register
from streamkit._feeding.handover import Handover


def jumping_clock() -> pytest.MarkDecorator:
    """Run a test on trio's clock that jumps to the next deadline: time passes, exactly, at once."""
    trio = ("trio", {"clock": MockClock(autojump_threshold=0)})
    return pytest.mark.parametrize("anyio_backend", [pytest.param(trio, id="trio")])


class Fountain:
    """A source of the library's kind: it registers when iterated, and records how it was closed."""

    def __init__(self, *items: str, wait: bool = False) -> None:
        self.items = list(items)
        self.wait = wait
        self.registered = False
        self.iterated_in: int | None = None
        self.closed_in: list[int] = []
        self.was_closed = anyio.Event()

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
            self.was_closed.set()

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


async def feed_until(
    source: Any, leave_when: Callable[[Handover], Any] | None, *, close_timeout: float = 5.0
) -> Handover:
    """Feed a source, take until `leave_when` is done, leave, and wait for the feeder."""
    hand = Handover(close_timeout=close_timeout)
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


async def as_the_feeder_gets_room(hand: Handover) -> None:
    await wait_all_tasks_blocked()
    await hand.take()  # does not wait: the feeder is awake, but has not run, when it is left


async def before_the_first(hand: Handover) -> None:
    await wait_all_tasks_blocked()


async def at_the_end(hand: Handover) -> None:
    await drain(hand)
