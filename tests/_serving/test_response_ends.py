"""How a response ends: a client that goes in the middle of a flood, a text that lost its place."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after
from anyio.lowlevel import checkpoint

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Streams, as_sse, as_text
from streamkit._following.clock import Clock
from streamkit._following.mirror import MAX_WRITE, Mirror
from streamkit._following.waiting import WaitingRoom
from streamkit._serving.client import Left
from streamkit._store.listening import Listening
from streamkit.errors import CursorLost, StreamCancelled

from .._streams.fakes import answered, claim_of, collect, data, eventually, line, read, send_alone
from ..fakes import Fountain
from .browser import PING, Browser


@pytest.mark.parametrize("number", [1, 3], ids=["first", "later"])
async def test_a_write_that_fails_is_a_client_that_has_left(number: int) -> None:
    async def taking(data: bytes) -> None:
        await checkpoint()
        if b"data: %d\n" % number in data:
            raise ConnectionResetError("gone")

    browser = Browser(taking)
    async with Streams(MemoryStore(), drain=0) as streams:
        async with streams.open("a") as stream, create_task_group() as tasks:
            tasks.start_soon(browser.follow, streams)
            for each in range(1, 4):
                await stream.send(str(each))
                await eventually(lambda: browser.ended or b"data: " in browser.body)
            with fail_after(10):
                await eventually(lambda: browser.ended)
        assert streams.statistics().followers == 0
    assert isinstance(browser.ended, Left)
    assert not browser.finished
    assert browser.was_cut is None


@pytest.mark.parametrize("number", [1, 2], ids=["first", "later"])
async def test_a_client_that_goes_while_a_server_shields_its_write_gets_no_more(
    number: int,
) -> None:
    async def taking(data: bytes) -> None:
        if b"data: %d\n" % number in data:
            browser.left.set()
            with CancelScope(shield=True):
                for _ in range(10):
                    await checkpoint()

    async def source() -> AsyncGenerator[str, None]:
        yield "1"
        await eventually(lambda: b"data: 1\n" in browser.body)
        yield "2"
        await eventually(lambda: b"data: 2\n" in browser.body)
        yield "3"

    browser = Browser(taking)
    async with Streams(MemoryStore(), drain=0) as streams:
        await streams.start("a", source())
        with fail_after(10):
            await browser.follow(streams)
        assert streams.statistics().followers == 0
    assert isinstance(browser.ended, Left)
    assert browser.body.count(b"data: ") == number


async def test_a_large_page_is_written_in_parts_and_is_whole() -> None:
    item = "x" * (3 * MAX_WRITE)
    browser = Browser()
    async with Streams(MemoryStore(), drain=0) as streams:
        await read(await streams.start("a", [item, "after"]))
        await browser.follow(streams)
    assert b"data: " + item.encode() + b"\n" in browser.body
    assert b"data: after\n" in browser.body
    assert browser.ended is True
    sizes = [len(chunk) for _, chunk in browser.chunks]
    assert max(sizes) <= MAX_WRITE
    assert len(sizes) >= 4


async def test_a_client_that_has_seen_all_is_sent_nothing() -> None:
    browser = Browser()
    async with Streams(MemoryStore(), drain=0) as streams:
        await read(await streams.start("a", ["x"]))
        last = (await streams.history("a"))["next"]
        await browser.follow(streams, last_event_id=last)
    assert browser.ended is False
    assert not browser.started


async def test_a_busy_response_sends_its_keep_alive_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WaitingRoom, "idle", property(lambda _: False))
    browser = Browser()
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        await streams.start("a", Fountain("x", wait=True))
        tasks.start_soon(browser.follow, streams)
        with fail_after(10):
            await eventually(lambda: b"data: x\n" in browser.body)
            known = streams._mirrors.get("a")
            assert known is not None
            (room,) = known.rooms()
            for number in range(1, 4):
                room.pings += 1  # as the clock does
                room._wake()
                while len(browser.times(PING)) < number:
                    await checkpoint()
        assert not room.resting
        browser.left.set()
    assert len(browser.times(PING)) == 3


async def test_a_text_is_cut_when_its_stream_is_started_again() -> None:
    browser, other = Browser(), Browser()
    async with Streams(MemoryStore(), drain=0) as streams:
        await streams.start("a", Fountain("x", wait=True))
        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(browser.follow, streams, as_text)
                tasks.start_soon(other.follow, streams, as_sse)
                await eventually(lambda: browser.chunks and other.chunks)
                await streams.start("a", ["new"], if_exists="restart")
    assert isinstance(browser.ended, CursorLost)
    assert browser.was_cut is browser.ended
    assert browser.body == b"x"
    assert other.ended is True
    assert b"event: reset\n" in other.body
    assert b"data: new\n" in other.body


async def test_a_format_follows_the_store_where_its_tail_is_too_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mirror, "max_bytes", 1)
    async with Streams(MemoryStore(), drain=0) as streams, streams.open("a") as stream:
        follower = await answered(streams.follow("a"), as_text)
        for each in "abcdef":
            await send_alone(streams, stream, each)
        body = b""
        while len(body) < 6:
            body += await follower.take()
        follower.leave()
    assert body == b"abcdef"


async def test_a_reader_learns_of_events_that_came_and_went_between_two_looks() -> None:
    store, got = MemoryStore(), list[StreamEvent]()
    claim = claim_of("a")
    await store.claim(claim, "nothing")
    await store.append(claim, 0, [line(1)])
    async with Streams(store, drain=0) as streams, create_task_group() as tasks:
        tasks.start_soon(collect, streams.follow("a"), got)
        with fail_after(10):
            await eventually(lambda: got)
            await store.append(claim, 1, [line(2), line(3)], forget=4)
            await eventually(lambda: len(got) == 2)
            await store.append(claim, 3, [line(4)])
            await eventually(lambda: len(got) == 3)
        tasks.cancel_scope.cancel()
    assert (got[1].type, got[1].data) == ("gap", {"first": 4, "missed": 2})
    assert data([got[0], got[2]]) == ["1", "4"]


async def test_who_listens_to_bells_stops_when_nobody_follows_and_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Clock, "tick", 0.001)
    monkeypatch.setattr(Listening, "linger", 0.0)
    store = MemoryStore()
    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        stop = Event()

        async def source() -> AsyncGenerator[str, None]:
            yield "x"
            await stop.wait()
            yield "y"

        await writer.start("a", source())
        for _ in range(2):
            reading = aiter(streams.follow("a"))
            assert (await anext(reading)).data == "x"
            await eventually(lambda: streams._listening._scope is not None)
            del reading
            await eventually(lambda: streams._listening._scope is None)
        reading = aiter(streams.follow("a"))
        assert (await anext(reading)).data == "x"
        stop.set()
        with fail_after(10):
            assert (await anext(reading)).data == "y"


async def test_a_cancelled_stream_is_told_to_each_format_in_its_way() -> None:
    browser, text = Browser(), Browser()
    async with Streams(MemoryStore(), drain=0) as streams:
        await streams.start("a", Fountain("x", wait=True))
        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(browser.follow, streams, as_sse)
                tasks.start_soon(text.follow, streams, as_text)
                await eventually(lambda: browser.chunks and text.chunks)
                await streams.cancel("a", "enough")
    assert browser.ended is True
    assert b"event: cancelled\n" in browser.body
    assert isinstance(text.ended, StreamCancelled)
    assert text.was_cut is text.ended
