"""What a follower is told of events that it cannot have: gap, reset, and never a silent jump."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from anyio import Event, create_task_group, fail_after

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Store, Streams, as_sse, as_text
from streamkit._following.mirror import Mirror
from streamkit.errors import CursorLost

from .._streams.fakes import (
    answered,
    body,
    claim_of,
    collect,
    data,
    eventually,
    held,
    line,
    numbers,
    numbers_of,
    read,
    rest,
    send_alone,
)
from ..fakes import Fountain


async def trimmed(streams: Streams, count: int, **terms: Any) -> None:
    """Make a stream that forgot its oldest events before it ended."""
    async with streams.open("a", **terms) as stream:
        for number in range(1, count + 1):
            await send_alone(streams, stream, str(number))


@pytest.mark.parametrize("terms", [{"max_events": 5}, {"max_bytes": 320}], ids=str)
async def test_events_that_are_no_longer_kept_come_as_one_gap(
    streams: Streams, terms: dict[str, int]
) -> None:
    await trimmed(streams, 20, **terms)
    status = await streams.status("a")
    first = status["first"]
    assert 21 - 6 <= first <= 21
    assert status["tail"] == 21
    gap, *events = await read(streams.follow("a"))
    assert (gap.type, gap.data, gap.id) == ("gap", {"first": first, "missed": first - 1}, "")
    assert numbers_of(events) == list(range(first, 21))
    history = await streams.history("a")
    assert history["events"][0]["type"] == "gap"
    assert [each["data"] for each in history["events"][1:-1]] == data(events)


async def test_a_gap_says_how_many_were_missed_by_this_follower(streams: Streams) -> None:
    await trimmed(streams, 20, max_events=5)
    token = (await read(streams.follow("a")))[-1].id.partition(".")[0]
    for seen in (1, 10, 15, 16, 17, 20):
        found = await read(streams.follow("a", f"{token}.{seen}"))
        if seen < 16:
            assert found[0].data == {"first": 17, "missed": 16 - seen}
            found = found[1:]
        assert numbers_of(found) == list(range(max(17, seen + 1), 21))


async def test_a_gap_has_words_in_text_and_a_reset_has_none(streams: Streams) -> None:
    await trimmed(streams, 20, max_events=5)
    assert await body(streams.follow("a"), as_text) == (
        b"--- 16 events are no longer kept ---\n17181920"
    )
    assert (await body(streams.follow("a"), as_sse)).startswith(
        b'event: gap\ndata: {"first":17,"missed":16}\n\ndata: 17\nid: '
    )
    with pytest.raises(CursorLost):
        await body(streams.follow("a"), as_text, last_event_id="abcdefgh.3")


@pytest.mark.slow  # 15 MB go through the store
async def test_a_follower_that_falls_behind_while_events_go_is_told_each_time(
    store: Store,
) -> None:
    got: list[StreamEvent] = []
    async with Streams(store, drain=0) as streams:
        async with streams.open("a", max_events=3) as stream:
            reading = aiter(streams.follow("a"))
            for _ in range(3):
                for _ in range(10):  # each is as much as is held in the process
                    await send_alone(streams, stream, "x" * Mirror.max_bytes)
                got.append(await anext(reading))
                got.append(await anext(reading))
        rest = [event async for event in reading]
    kinds = [event.type for event in got]
    assert kinds.count("gap") >= 2
    place = 0
    for event in [*got, *rest]:
        if event.type == "gap":
            assert isinstance(event.data, dict)
            assert event.data["missed"] > 0
            place += event.data["missed"]
        else:
            place += 1
            assert numbers_of([event]) == [place]
    assert place == 30


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("abcdefgh.1", id="of an unknown life"),
        pytest.param("{token}.99", id="beyond the tail"),
        pytest.param("{old}.2", id="of the life before"),
    ],
)
async def test_a_cursor_that_is_not_of_this_stream_starts_it_again_and_says_so(
    streams: Streams, cursor: str
) -> None:
    old = (await read(await streams.start("a", numbers(5))))[0].id.partition(".")[0]
    events = await read(await streams.start("a", numbers(3), if_exists="restart"))
    after = cursor.format(token=events[0].id.partition(".")[0], old=old)
    reset, *found = await read(streams.follow("a", after))
    assert (reset.type, reset.data, reset.id) == ("reset", {"first": 1}, "")
    assert found == events
    history = await streams.history("a", after=after)
    assert [each["type"] for each in history["events"]] == ["reset", *["message"] * 3, "end"]


async def test_a_reset_of_a_trimmed_stream_goes_on_from_the_first_that_is_kept(
    streams: Streams,
) -> None:
    await trimmed(streams, 20, max_events=5)
    reset, *found = await read(streams.follow("a", "abcdefgh.3"))
    assert (reset.type, reset.data) == ("reset", {"first": 17})
    assert numbers_of(found) == [17, 18, 19, 20]


async def test_a_follower_behind_what_is_held_reads_the_store_and_misses_nothing(
    streams: Streams,
) -> None:
    text = "x" * 1000
    async with streams.open("a") as stream:
        reading = aiter(streams.follow("a"))
        await stream.send(text)
        events = [await anext(reading)]
        for _ in range(1500):  # three times what is held in the process
            await stream.send(text)
    events += [event async for event in reading]
    assert numbers_of(events) == list(range(1, 1502))
    late = await answered(streams.follow("a"), as_text)
    assert await rest(late) == text.encode() * 1501


async def test_who_follows_live_is_told_of_a_new_life_in_another_process(store: Store) -> None:
    got: list[StreamEvent] = []
    seen = Event()
    async with Streams(store, drain=0) as one, Streams(store, drain=0) as other:

        async def follow() -> None:
            async for event in other.follow("a"):
                got.append(event)
                seen.set()

        await one.start("a", Fountain("x", wait=True))
        with fail_after(5):
            async with create_task_group() as tasks:
                tasks.start_soon(follow)
                await seen.wait()
                await one.start("a", ["y", "z"], if_exists="restart")
    assert [event.type for event in got] == ["message", "reset", "message", "message"]
    assert data(got[2:]) == ["y", "z"]


async def test_a_reader_whose_page_is_under_way_while_the_life_changes_gets_right_numbers() -> None:
    store = MemoryStore()
    gate, slow = held(store)
    old = claim_of("a")
    new = replace(old, life="life2", epoch=2, token="token2")
    await store.claim(old, "nothing")
    await store.append(old, 0, [line(f"old {number}") for number in range(1, 11)])
    got: list[StreamEvent] = []
    again: list[StreamEvent] = []
    async with Streams(slow, drain=0) as streams:

        async def follow(into: list[StreamEvent]) -> None:
            await collect(streams.follow("a"), into)

        async with create_task_group() as tasks:
            tasks.start_soon(follow, got)
            await eventually(lambda: len(got) == 10)
            gate.hold("read", where=lambda name, after, limit: limit > 0 and after == 10)
            await store.append(old, 10, [line("old 11")])
            await gate.is_held("read")  # the page has 11, and waits on its way
            await store.claim(new, "anything")
            await store.append(new, 0, [line(f"new {number}") for number in range(1, 31)])
            tasks.start_soon(follow, again)
            await eventually(lambda: len(again) == 30)
            gate.release("read")
            await store.append(new, 30, [line("new 31")])
            await eventually(lambda: got[-1].data == again[-1].data == "new 31")
            tasks.cancel_scope.cancel()
    for events in (got, again):
        new_life = [event for event in events if event.id.startswith("token2")]
        assert [(event.id, event.data) for event in new_life[-31:]] == [
            (f"token2.{number}", f"new {number}") for number in range(1, 32)
        ]
