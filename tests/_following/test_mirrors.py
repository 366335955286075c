"""Followers share what a process knows of a stream; who is behind the times misleads nobody."""

from __future__ import annotations

import re
from itertools import count

import pytest
from anyio import create_task_group, move_on_after, sleep, wait_all_tasks_blocked

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Streams, as_event_jsonl, as_sse
from streamkit._following.follower import FrameFollower
from streamkit._following.waiting import WaitingRoom

from .._serving.browser import Browser
from .._streams.fakes import answered, collect, data, eventually, held, last_type, read
from ..fakes import Fountain


async def test_an_iteration_goes_on_after_a_timeout_and_loses_nothing(streams: Streams) -> None:
    async with streams.open("a") as stream:
        reading = aiter(streams.follow("a"))
        got: list[StreamEvent] = []
        for number in range(5):
            with move_on_after(0):
                await anext(reading)
            assert streams.statistics().followers == 0
            await stream.send(number)
            got.append(await anext(reading))
    got += [event async for event in reading]
    assert data(got) == [0, 1, 2, 3, 4]


@pytest.mark.slow  # a reader may have to look again after 1 s
async def test_an_iteration_that_goes_on_late_tells_others_no_old_news() -> None:
    store = MemoryStore()
    got: list[StreamEvent] = []
    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        await writer.start("a", Fountain("old", wait=True))
        async with create_task_group() as tasks:
            tasks.start_soon(collect, streams.follow("a"), got)
            reading = aiter(streams.follow("a"))
            assert (await anext(reading)).data == "old"
            with move_on_after(0.01):
                await anext(reading)
            await writer.start("a", Fountain("new", "newer", wait=True), if_exists="restart")
            await eventually(lambda: len(got) == 4)
            late = [await anext(reading) for _ in range(3)]
            assert [event.type for event in late] == ["reset", "message", "message"]
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert [event.type for event in got] == ["message", "reset", "message", "message"]
    assert data(got[2:]) == ["new", "newer"]


@pytest.mark.parametrize("seen", [1, 2, 3, 4, 99])
async def test_a_lost_cursor_is_told_by_a_process_that_does_not_know_it_was_fenced(
    seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    gate, slow = held(store)
    browser, room_is_idle = Browser(), property(lambda _: True)
    take, taken = FrameFollower.take, count()

    async def counted(follower: FrameFollower) -> bytes:
        assert next(taken) < 100, "it asks again and again"
        return await take(follower)

    monkeypatch.setattr(FrameFollower, "take", counted)
    monkeypatch.setattr(WaitingRoom, "idle", room_is_idle)
    async with Streams(slow, drain=0, sweep=1000) as zombie:
        await read(await zombie.start("a", Fountain(*"xyz", wait=True)), 3)
        gate.hold("append")
        store._logs["a"]._deadline = 0.0  # it was not heard of for long
        async with Streams(store, drain=0, sweep=0.01) as other:
            assert await last_type(other.follow("a")) == "orphaned"
            taken = count()
            async with create_task_group() as tasks:
                tasks.start_soon(lambda: browser.follow(zombie, last_event_id=f"abcdefgh.{seen}"))
                await sleep(0.05)
                gate.release("append")
    assert browser.ended is True
    types = re.findall(rb"event: (\w+)\n", browser.body)
    assert types == [b"reset", b"orphaned"]
    assert re.findall(rb"data: ([xyz])\n", browser.body) == [b"x", b"y", b"z"]


async def test_a_follower_for_each_format_and_place_shares_one_reading_task() -> None:
    store = MemoryStore()
    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        following = await writer.start("a", Fountain(*"abcdefgh", wait=True))
        events = await read(following, 8)
        followers = []
        for event in events:
            for format in (as_sse, as_event_jsonl):
                follower = await answered(streams.follow("a"), format, last_event_id=event.id)
                followers.append(follower)
        assert streams.statistics().followers == 16
        assert streams.statistics().watched == 1
        for number, follower in enumerate(followers[:-2]):
            found = await follower.take()
            assert found.count(b'"id":' if number % 2 else b"id: ") == 7 - number // 2
        for follower in followers:
            follower.leave()
            follower.leave()
        assert streams.statistics().followers == streams.statistics().watched == 0
