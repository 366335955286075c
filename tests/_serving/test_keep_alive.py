"""Keep-alives: when nothing comes, often enough, and not for all at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from anyio import (
    Event,
    create_task_group,
    current_time,
    sleep,
    sleep_forever,
)

from streamkit import (
    MemoryStore,
    as_text,
)
from streamkit._serving.client import Left

from .._streams.fakes import eventually
from ..fakes import Fountain, jumping_clock
from .browser import PING, Browser, running

pytestmark = jumping_clock()


async def test_a_quiet_stream_is_kept_alive_and_a_busy_one_is_not(clocked: MemoryStore) -> None:
    quiet = Event()

    async def source() -> AsyncGenerator[str, None]:
        for _ in range(100):
            yield "x"
            await sleep(5)
        quiet.set()
        await sleep_forever()

    browser = Browser()
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", source())
            tasks.start_soon(browser.follow, streams)
            await quiet.wait()
            assert browser.times(PING) == []
            await sleep(300)
            assert 18 <= len(browser.times(PING)) <= 24
            browser.left.set()
        assert isinstance(browser.ended, Left)


@pytest.mark.slow  # hours of the clock
@pytest.mark.parametrize("keep_alive", [1.0, 15.0, 40.0])
async def test_no_silence_is_longer_than_was_asked_for(
    clocked: MemoryStore, keep_alive: float
) -> None:
    async def source() -> AsyncGenerator[str, None]:
        for number in range(60):
            yield "x"
            await sleep(keep_alive * (number % 13) / 5)
        await sleep(keep_alive * 5)

    browsers = [Browser() for _ in range(3)]
    async with running(clocked) as streams, create_task_group() as tasks:
        await streams.start("a", source())
        for browser in browsers:
            tasks.start_soon(lambda one: one.follow(streams, keep_alive=keep_alive), browser)
            await sleep(keep_alive / 3)
    for browser in browsers:
        times = [time for time, _ in browser.chunks]
        silences = [later - time for time, later in pairwise(times)]
        assert max(silences) <= keep_alive + 0.01
        assert browser.times(PING)


async def test_the_first_keep_alives_of_many_do_not_come_at_the_same_time(
    clocked: MemoryStore,
) -> None:
    browsers = [Browser() for _ in range(200)]
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", Fountain("x", wait=True))
            for browser in browsers:
                tasks.start_soon(browser.follow, streams)
            await eventually(lambda: all(browser.chunks for browser in browsers))
            tail = streams._mirrors.get("a")
            assert tail is not None
            rooms = tail.rooms
            assert len(list(rooms())) == 4  # 200 by 64
            begin = current_time()
            await sleep(16)
            firsts = [browser.times(PING)[0] - begin for browser in browsers]
            assert len(set(firsts)) >= 2
            assert all(0 < first <= 15 for first in firsts)
            for browser in browsers[:100]:
                browser.left.set()
            await eventually(lambda: streams.statistics().followers == 100)
            for browser in browsers[100:]:
                browser.left.set()
        await sleep(2)
        assert list(rooms()) == []


async def test_no_keep_alive_is_sent_when_none_is_wanted_or_the_format_has_none(
    clocked: MemoryStore,
) -> None:
    async def source() -> AsyncGenerator[str, None]:
        yield "x"
        await sleep(1000)

    silent, text = Browser(), Browser()
    async with running(clocked) as streams, create_task_group() as tasks:
        await streams.start("a", source())
        tasks.start_soon(lambda: silent.follow(streams, keep_alive=None))
        tasks.start_soon(lambda: text.follow(streams, as_text))
    assert silent.times(PING) == text.times(PING) == []
    assert text.body == b"x"
    assert text.finished
