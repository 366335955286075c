"""A keep-alive and an event at the same time: one write at a time, and none too many."""

from __future__ import annotations

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep_forever
from anyio.lowlevel import checkpoint

from streamkit import MemoryStore, Streams
from streamkit._following.clock import Clock
from streamkit._following.waiting import WaitingRoom
from streamkit._serving.client import Left

from .._streams.fakes import eventually, line
from ..fakes import Fountain
from .browser import PING, Browser

pytestmark = pytest.mark.usefixtures("_rests_at_once")


@pytest.fixture
def _rests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WaitingRoom, "idle", property(lambda _: True))


def room_of(streams: Streams) -> WaitingRoom:
    mirror = streams._mirrors.get("a")
    assert mirror is not None
    (room,) = mirror.rooms()
    return room


async def shown(browser: Browser, number: int) -> None:
    await eventually(lambda: browser.times(b"data: %d\n" % number))


async def test_a_keep_alive_that_an_event_overtakes_is_not_written_beside_it() -> None:
    writing = False

    async def taking(data: bytes) -> None:
        nonlocal writing
        assert not writing, "two writes at a time to one client"
        writing = True
        for _ in range(10):
            await checkpoint()
        writing = False

    browser = Browser(taking)
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        await streams.start("a", Fountain("0", wait=True))
        tasks.start_soon(browser.follow, streams)
        with fail_after(10):
            for number in range(1, 21):
                await eventually(lambda: browser.times(b"data: ") and room_of(streams).resting)
                mirror, room = streams._mirrors.get("a"), room_of(streams)
                assert mirror is not None
                assert mirror.head is not None
                (writer,) = room.resting
                room.pings += 1
                tasks.start_soon(writer.ping, CancelScope())  # as the clock does
                mirror.feed(mirror.head, mirror.seq, [line(number)])  # in the same turn of the loop
                await shown(browser, number)
        browser.left.set()
        await eventually(lambda: browser.ended)
        tasks.cancel_scope.cancel()
    assert isinstance(browser.ended, Left), browser.ended
    found = [part for part in browser.body.split(b"\n\n") if b"data: " in part]
    assert [int(part.rpartition(b"data: ")[2].split(b"\n")[0]) for part in found] == [*range(21)]


async def test_keep_alives_of_a_rest_are_not_sent_again_after_it() -> None:
    browser = Browser()
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        async with streams.open("a") as stream:
            tasks.start_soon(browser.follow, streams)
            for number in range(1, 4):
                await stream.send(str(number))
                with fail_after(10):
                    await shown(browser, number)
                    await eventually(lambda: room_of(streams).resting)
                assert len(browser.times(PING)) == number - 1
                room = room_of(streams)
                room.pings += 1
                for writer in list(room.resting):
                    await writer.ping(CancelScope())
                assert len(browser.times(PING)) == number
        with fail_after(10):
            await eventually(lambda: browser.ended)
    assert browser.ended is True
    assert len(browser.times(PING)) == 3


async def test_who_comes_out_of_a_rest_waits_for_the_keep_alive_that_is_being_written() -> None:
    order: list[bytes] = []

    async def taking(data: bytes) -> None:
        order.append(data)
        if data == PING:
            await eventually(lambda: streams._mirrors.get("a").seq >= 2)  # type: ignore[union-attr]  # it is followed
            await checkpoint()
            order.append(b"done")

    browser = Browser(taking)
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        async with streams.open("a") as stream:
            await stream.send("1")
            tasks.start_soon(browser.follow, streams)
            await eventually(lambda: browser.chunks and room_of(streams).resting)
            (writer,) = room_of(streams).resting
            tasks.start_soon(writer.ping, CancelScope())
            await eventually(lambda: PING in order)
            await stream.send("2")
        await eventually(lambda: browser.ended)
    assert order[1:3] == [PING, b"done"]
    assert b"data: 2" in order[3]


async def test_a_client_that_leaves_during_a_keep_alive_is_let_go() -> None:
    async def taking(data: bytes) -> None:
        if data == PING:
            raise ConnectionResetError("gone")

    browser = Browser(taking)
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        await streams.start("a", Fountain("x", wait=True))
        tasks.start_soon(browser.follow, streams)
        await eventually(lambda: browser.chunks and room_of(streams).resting)
        (writer,) = room_of(streams).resting
        await writer.ping(CancelScope())
        await eventually(lambda: browser.ended)
        assert streams.statistics().followers == 0
    assert isinstance(browser.ended, Left)


@pytest.mark.parametrize("idle", [True, False], ids=["resting", "at once"])
async def test_a_client_whose_leaving_cannot_be_watched_gets_all_events(
    idle: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unwatched(Browser):
        async def gone(self) -> None:
            raise OSError(24, "Too many open files")

    if not idle:
        monkeypatch.setattr(WaitingRoom, "idle", property(lambda _: False))
    browser = Unwatched()
    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        async with streams.open("a") as stream:
            tasks.start_soon(browser.follow, streams)
            for number in range(3):
                await stream.send(str(number))
                with fail_after(10):
                    await shown(browser, number)
        await eventually(lambda: browser.ended)
    assert browser.ended is True
    assert browser.body.count(b"data: ") == 4
    assert "a client's leaving will be noticed late" in caplog.text


async def test_a_mistake_of_a_response_ends_no_clock(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Clock, "tick", 0.002)

    class Mistaken:
        since: float | None = None
        send_timeout = 1.0

        def wake(self) -> None:
            pass

        def give_up(self) -> None:
            raise TypeError("a mistake")

        async def ping(self, pinger: CancelScope) -> None:
            await sleep_forever()

    async with Streams(MemoryStore(), drain=0) as streams, create_task_group() as tasks:
        browser = Browser()
        await streams.start("a", Fountain("x", wait=True))
        tasks.start_soon(lambda: browser.follow(streams, keep_alive=0.02))
        await eventually(lambda: browser.chunks)
        mistaken = Mistaken()
        mistaken.since = -100.0
        room = room_of(streams)
        room.responses.add(mistaken)
        await eventually(lambda: "a response could not be looked after" in caplog.text)
        room.responses.discard(mistaken)
        await eventually(lambda: browser.times(PING))  # it goes on
        browser.left.set()
        await eventually(lambda: browser.ended)
    assert isinstance(browser.ended, Left)
