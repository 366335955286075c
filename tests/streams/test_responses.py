"""One response of a followed stream: keep-alives, stuck clients, and what is told at the end."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

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

from streamkit import (
    CursorLost,
    Format,
    MemoryStore,
    ServerStopping,
    StreamCancelled,
    Streams,
    as_sse,
    as_text,
)
from streamkit._answering import answer_following
from streamkit._writing import Left, Stuck, Timing

from ..fakes import Fountain, jumping_clock
from .fakes import eventually, numbers

pytestmark = jumping_clock()

PING = b": keep-alive\n\n"


class Browser:
    """A client that writes down what it is sent, and when."""

    def __init__(self, taking: Callable[[bytes], Awaitable[None]] | None = None) -> None:
        self.started = False
        self.finished = False
        self.was_cut: Exception | None = None
        self.chunks: list[tuple[float, bytes]] = []
        self.left = Event()
        self.ended: BaseException | bool | None = None
        self._taking = taking

    async def start(self) -> None:
        self.started = True

    async def write(self, data: bytes) -> None:
        if self._taking is not None:
            await self._taking(data)
        self.chunks.append((current_time(), data))

    async def finish(self) -> None:
        self.finished = True

    async def cut(self, error: Exception) -> None:
        self.was_cut = error

    async def gone(self) -> None:
        await self.left.wait()

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    def times(self, data: bytes) -> list[float]:
        return [time for time, chunk in self.chunks if data in chunk]

    async def follow(
        self,
        streams: Streams,
        format: Format[object] = as_sse,
        *,
        keep_alive: float | None = 15.0,
        send_timeout: float = 30.0,
        last_event_id: str | None = None,
    ) -> None:
        timing = Timing(keep_alive=keep_alive, send_timeout=send_timeout)
        try:
            self.ended = await answer_following(
                self, streams.follow("a"), format, timing, last_event_id=last_event_id, after=None
            )
        except Exception as error:
            self.ended = error


@asynccontextmanager
async def running(store: MemoryStore) -> AsyncGenerator[Streams, None]:
    async with Streams(store, drain=0) as streams:
        yield streams
        await eventually(lambda: streams.statistics().followers == 0)


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
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", source())
            for browser in browsers:
                tasks.start_soon(lambda one: one.follow(streams, keep_alive=keep_alive), browser)
                await sleep(keep_alive / 3)
    for browser in browsers:
        times = [time for time, _ in browser.chunks]
        silences = [later - time for time, later in zip(times, times[1:], strict=False)]
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
            tail = streams._tails.get("a")
            assert tail is not None
            assert len(list(tail.bays())) == 4  # 200 by 64
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
        assert list(tail.bays()) == []


async def test_no_keep_alive_is_sent_when_none_is_wanted_or_the_format_has_none(
    clocked: MemoryStore,
) -> None:
    async def source() -> AsyncGenerator[str, None]:
        yield "x"
        await sleep(1000)

    silent, text = Browser(), Browser()
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", source())
            tasks.start_soon(lambda: silent.follow(streams, keep_alive=None))
            tasks.start_soon(lambda: text.follow(streams, as_text))
    assert silent.times(PING) == text.times(PING) == []
    assert text.body == b"x"
    assert text.finished


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
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
            await streams.start("a", source())
            tasks.start_soon(healthy.follow, streams)
            begin = current_time()
            await stuck.follow(streams)
            assert isinstance(stuck.ended, Stuck)
            assert 30 <= current_time() - begin <= 30 + 2 + {"keep-alive": 20, "later": 5}.get(
                when, 0
            )
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
    async with running(clocked) as streams:
        async with create_task_group() as tasks:
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
