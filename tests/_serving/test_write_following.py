"""One response of a followed stream: how it begins and ends, stuck clients, mistakes of servers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import pytest
from anyio import (
    CancelScope,
    Event,
    create_task_group,
    current_time,
    fail_after,
    sleep,
    sleep_forever,
)

from streamkit import Format, MemoryStore, Streams, as_sse, as_text
from streamkit._serving.client import Left, Stuck
from streamkit.errors import CursorLost, ServerStopping, StreamCancelled

from .._streams.fakes import eventually, numbers
from ..fakes import Fountain, jumping_clock
from .browser import PING, Browser, running

pytestmark = jumping_clock()


async def test_a_response_begins_with_the_wish_to_come_back_and_ends_with_the_end(
    clocked: MemoryStore,
) -> None:
    waits = set()
    async with running(clocked) as streams:
        await streams.start("a", numbers(2))
        for _ in range(10):
            browser = Browser()
            await browser.follow(streams)
            found = re.fullmatch(
                rb"retry: (\d+)\n"
                rb"data: 1\nid: (\w+)\.1\n\ndata: 2\nid: \2\.2\n\n"
                rb'event: end\ndata: {"state":"done","count":2}\nid: \2\.3\n\n',
                browser.body,
            )
            assert found is not None, browser.body
            waits.add(int(found[1]))
            assert browser.ended is True
            assert browser.finished
    assert len(waits) > 1
    assert all(1000 <= wait <= 3000 for wait in waits)


@pytest.mark.parametrize("when", ["start", "first", "later", "keep-alive"])
async def test_a_client_that_takes_nothing_is_given_up_and_the_others_are_not(
    clocked: MemoryStore, when: str
) -> None:
    async def source() -> AsyncGenerator[str, None]:
        yield "first"
        await sleep(5)
        yield "later"
        await sleep(100)

    class Stubborn(Browser):
        async def start(self) -> None:
            if when == "start":
                await sleep_forever()

    async def taking(data: bytes) -> None:
        if when.encode() in data:
            await sleep_forever()

    stuck, healthy = Stubborn(taking), Browser()
    async with running(clocked) as streams, create_task_group() as tasks:
        await streams.start("a", source())
        tasks.start_soon(healthy.follow, streams)
        begin = current_time()
        await stuck.follow(streams)
        assert isinstance(stuck.ended, Stuck)
        assert 30 <= current_time() - begin <= 30 + 2 + {"keep-alive": 20, "later": 5}.get(when, 0)
    assert healthy.ended is True


@pytest.mark.parametrize("send_timeout", [0.5, 2.0, 30.0])
async def test_a_client_that_is_slow_but_takes_all_in_time_is_not_given_up(
    clocked: MemoryStore, send_timeout: float
) -> None:
    async def taking(data: bytes) -> None:
        await sleep(send_timeout * 0.9)

    async def source() -> AsyncGenerator[str, None]:
        for _ in range(100):
            yield "x"
            await sleep(send_timeout / 3)

    browser = Browser(taking)
    async with running(clocked) as streams:
        await streams.start("a", source())
        await browser.follow(streams, send_timeout=send_timeout)
    assert browser.ended is True
    assert browser.body.count(b"data: x") == 100


@pytest.mark.parametrize("when", ["idle", "busy", "resting"])
async def test_a_client_that_leaves_is_let_go(clocked: MemoryStore, when: str) -> None:
    browser = Browser()
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", Fountain(*["x"] * 5, wait=True))
            tasks.start_soon(browser.follow, streams)
            if when != "busy":
                await eventually(lambda: browser.chunks)
                await sleep(100 if when == "resting" else 0.1)
            browser.left.set()
        assert isinstance(browser.ended, Left)
        assert streams.statistics().followers == 0


@pytest.mark.parametrize("resting", [False, True])
async def test_an_error_of_a_server_is_that_of_one_response(
    clocked: MemoryStore, *, resting: bool
) -> None:
    async def taking(data: bytes) -> None:
        if (PING if resting else b"x") in data:
            raise ValueError("a server's mistake")

    broken, healthy = Browser(taking), Browser()
    async with running(clocked) as streams, create_task_group() as tasks:
        await streams.start("a", Fountain("x", wait=True))
        tasks.start_soon(healthy.follow, streams)
        with fail_after(100):
            await broken.follow(streams)
        assert isinstance(broken.ended, ValueError)
        await sleep(100)
        assert len(healthy.times(PING)) > 3
        healthy.left.set()


async def test_a_rest_is_ended_by_an_event_at_once(clocked: MemoryStore) -> None:
    async def source() -> AsyncGenerator[str, None]:
        for _ in range(5):
            await sleep(99.5)
            sent.append(current_time())
            yield "x"

    sent: list[float] = []
    browser = Browser()
    async with running(clocked) as streams:
        await streams.start("a", source())
        await browser.follow(streams)
    assert [round(time, 3) for time in browser.times(b"data: x")] == [
        round(time, 3) for time in sent
    ]


@pytest.mark.parametrize("format", [as_sse, as_text], ids=str)
@pytest.mark.parametrize("rested", [False, True])
async def test_when_streams_stop_a_client_may_come_back_or_is_cut(
    clocked: MemoryStore, format: Format[object], *, rested: bool
) -> None:
    browser = Browser()
    async with Streams(clocked, drain=0) as writer, create_task_group() as tasks:
        async with Streams(clocked, drain=0) as streams:
            await writer.start("a", Fountain("x", wait=True))
            tasks.start_soon(browser.follow, streams, format)
            await eventually(lambda: browser.chunks)
            await sleep(100 if rested else 0.1)
        await eventually(lambda: browser.ended is not None)
    if format is as_sse:
        assert browser.ended is True
        assert browser.finished
        assert re.fullmatch(rb"retry: \d+\n(: keep-alive\n\n)?", browser.chunks[-1][1])
        assert b"event:" not in browser.body
    else:
        assert isinstance(browser.ended, ServerStopping)
        assert isinstance(browser.was_cut, ServerStopping)
        assert browser.body == b"x"


async def test_a_client_that_is_stuck_in_a_keep_alive_when_streams_stop_is_given_up(
    clocked: MemoryStore,
) -> None:
    stuck = Event()

    async def taking(data: bytes) -> None:
        if data == PING:
            stuck.set()
            await sleep_forever()

    browser = Browser(taking)
    with CancelScope() as scope:
        async with Streams(clocked, drain=0) as writer, create_task_group() as tasks:
            scope.deadline = current_time() + 500
            async with Streams(clocked, drain=0) as streams:
                await writer.start("a", Fountain("x", wait=True))
                tasks.start_soon(browser.follow, streams)
                await stuck.wait()
            begin = current_time()
            await eventually(lambda: browser.ended is not None, within=100)
            assert current_time() - begin <= 40
    assert not scope.cancelled_caught


async def test_text_has_no_words_for_a_cancelled_stream_or_a_lost_cursor(
    clocked: MemoryStore,
) -> None:
    cancelled, lost = Browser(), Browser()
    async with running(clocked) as streams:
        await streams.start("a", Fountain("x", wait=True))
        async with create_task_group() as tasks:
            tasks.start_soon(cancelled.follow, streams, as_text)
            await eventually(lambda: cancelled.chunks)
            await streams.cancel("a")
        await lost.follow(streams, as_text, last_event_id="abcdefgh.1")
    assert isinstance(cancelled.was_cut, StreamCancelled)
    assert isinstance(lost.ended, CursorLost), lost.ended
    assert not lost.finished
