"""Following: every event once, in order, from any cursor, however often, and nothing left."""

from __future__ import annotations

from random import Random

import pytest
from anyio import create_task_group, fail_after, sleep
from anyio.lowlevel import checkpoint

from streamkit import (
    Event,
    Following,
    Format,
    MemoryStore,
    Store,
    Streams,
    as_event_jsonl,
    as_sse,
    as_text,
    open_source,
)
from streamkit._serving.client import Asked
from streamkit._serving.place import place_of
from streamkit.errors import (
    ExpiredStream,
    InvalidCursor,
    StreamCancelled,
    StreamFailed,
    UnknownStream,
)
from streamkit.testing import FaultyStore

from .._streams.fakes import (
    answered,
    at_once,
    body,
    collect,
    data,
    eventually,
    held,
    numbers,
    read,
    rest,
)
from ..fakes import Fountain, jumping_clock, upper


async def events_of(streams: Streams, count: int) -> list[Event]:
    return await read(await streams.start("a", numbers(count)))


async def test_a_follower_that_comes_back_gets_exactly_what_it_missed(streams: Streams) -> None:
    events = await events_of(streams, 20)
    for cut, event in enumerate(events):
        after = streams.follow("a", event.id)
        assert await read(after) == events[cut + 1 :]
        assert await read(after) == events[cut + 1 :]  # each iteration starts at the cursor
    assert await read(streams.follow("a")) == events


@pytest.mark.parametrize("format", [as_sse, as_text, as_event_jsonl], ids=str)
async def test_what_a_response_missed_are_the_same_bytes(
    streams: Streams, format: Format[object]
) -> None:
    events = await events_of(streams, 20)
    parts = [await body(streams.follow("a"), format)]
    for event in events:
        follower = await answered(streams.follow("a"), format, last_event_id=event.id)
        parts.append(await rest(follower))
        assert parts[0].endswith(parts[-1])
        assert follower.last is not None
    assert sorted(parts, key=len, reverse=True) == parts


@pytest.mark.slow  # ten followers give way thousands of times
async def test_followers_of_any_speed_that_come_at_any_time_get_the_same(store: Store) -> None:
    random = Random(5)
    got: dict[int, list[Event]] = {}
    go = numbers(300)
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:

        async def follow(number: int) -> None:
            got[number] = []
            for _ in range(random.randint(0, 200)):
                await checkpoint()
            async for event in (other if number % 2 else streams).follow("a"):
                got[number].append(event)
                for _ in range(random.randint(0, number)):
                    await checkpoint()

        await streams.start("a", go)
        with fail_after(20):
            async with create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(follow, number)
        for events in got.values():
            assert data(events) == [str(number) for number in range(1, 301)]
            assert [event.id for event in events] == [event.id for event in got[0]]
        assert streams.statistics().followers == other.statistics().followers == 0


async def test_leaving_a_loop_leaves_nothing(streams: Streams) -> None:
    await streams.start("a", Fountain("x", "y", wait=True))
    async for _ in streams.follow("a"):
        assert streams.statistics().followers == 1
        break
    assert streams.statistics().followers == 0
    assert data(await read(streams.follow("a"), 2)) == ["x", "y"]
    assert streams.statistics().followers == 0
    reading = aiter(streams.follow("a"))
    await anext(reading)
    del reading
    assert streams.statistics().followers == 0


async def test_a_cancelled_follower_leaves_nothing(streams: Streams) -> None:
    await streams.start("a", Fountain(wait=True))
    async with create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(read, streams.follow("a"))
        await eventually(lambda: streams.statistics().followers == 5)
        tasks.cancel_scope.cancel()
    assert streams.statistics().followers == 0


async def test_a_stream_of_another_process_is_read_by_one_task_however_many_follow(
    store: Store,
) -> None:
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        await streams.start("a", Fountain("x", wait=True))
        async with create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(read, other.follow("a"), 2)
                tasks.start_soon(read, streams.follow("a"), 2)
            await eventually(lambda: other.statistics().followers == 5)
            await eventually(lambda: streams.statistics().followers == 5)
            assert other.statistics().watched == 1
            assert streams.statistics().watched == 0
            tasks.cancel_scope.cancel()
        assert other.statistics().watched == 0


async def test_an_unknown_stream_is_told_from_one_that_is_no_longer_kept(
    streams: Streams,
) -> None:
    with pytest.raises(UnknownStream):
        await read(streams.follow("a"))
    with pytest.raises(ExpiredStream):
        await read(streams.follow("a", "abcdefgh.1"))
    with pytest.raises(UnknownStream):
        await body(streams.follow("a"))
    with pytest.raises(ExpiredStream):
        await body(streams.follow("a"), last_event_id="abcdefgh.1")


async def test_a_cursor_that_is_none_is_refused_in_a_url_and_told_in_a_header(
    streams: Streams,
) -> None:
    await events_of(streams, 2)
    with pytest.raises(InvalidCursor):
        await read(streams.follow("a", "not a cursor"))
    with pytest.raises(InvalidCursor):
        await body(streams.follow("a"), after="not a cursor")
    told = await body(streams.follow("a"), as_sse, last_event_id="not a cursor")
    assert told.startswith(b'event: reset\ndata: {"first":1}\n\ndata: 1\nid: ')


async def test_a_header_wins_over_the_url(streams: Streams) -> None:
    one, two, three = await events_of(streams, 3)
    found = await body(streams.follow("a", one.id), as_text, last_event_id=two.id, after=one.id)
    assert found == b"3"
    assert await body(streams.follow("a", one.id), as_text, after=two.id) == b"3"
    assert three.data == "3"


async def test_who_has_seen_all_of_an_ended_stream_is_told_so(streams: Streams) -> None:
    events = await events_of(streams, 3)
    status = await streams.status("a")
    end = events[-1].id.replace(".3", f".{status['tail']}")
    asked = Asked(head=False, last_event_id=end, after=None, status=200)
    assert await place_of(streams.follow("a"), as_sse, asked) is None
    assert await read(streams.follow("a", end)) == []
    assert await read(streams.follow("a", events[-1].id)) == []


async def test_a_failed_stream_fails_each_time_it_is_iterated(streams: Streams) -> None:
    following = await streams.start("a", ["x", b"refused"])
    for _ in range(2):
        with pytest.raises(StreamFailed):
            await read(following)
    reading = aiter(following)
    assert (await anext(reading)).data == "x"
    for _ in range(2):
        with pytest.raises(StreamFailed):
            await anext(reading)


async def test_a_step_over_a_following_is_a_source_like_any(streams: Streams) -> None:
    async def texts(following: Following):  # type: ignore[no-untyped-def]
        async for event in following:
            yield str(event)

    following = await streams.start("a", ["x", "y"])
    async with open_source(upper(texts(following))) as items:
        assert [item async for item in items] == ["X", "Y"]
    async with open_source(following) as opened:
        assert [event.data async for event in opened] == ["x", "y"]
    again = await streams.start("b", upper(texts(following)))
    assert data(await read(again)) == ["X", "Y"]


async def test_a_source_that_follows_is_let_go_when_its_stream_is_cancelled(
    streams: Streams,
) -> None:
    relayed = await streams.start("b", await streams.start("a", Fountain("x", wait=True)))
    await read(relayed, 1)
    assert streams.statistics().followers == 1
    await streams.cancel("b")
    with pytest.raises(StreamCancelled):
        await read(relayed)
    await eventually(lambda: streams.statistics().followers == 0)


async def test_a_deleted_stream_is_told_to_who_follows(store: Store) -> None:
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        source = Fountain("x", wait=True)
        await streams.start("a", source)

        async def follow(here: Streams) -> None:
            with pytest.raises(ExpiredStream):
                await read(here.follow("a"))

        async def delete() -> None:
            await eventually(lambda: other.statistics().followers == 1)
            await eventually(lambda: streams.statistics().followers == 1)
            await other.delete("a")
            await source.was_closed.wait()

        with fail_after(2):  # what only the next renewal of the lease would tell takes 5 s
            await at_once(lambda: follow(streams), lambda: follow(other), delete)
        with pytest.raises(UnknownStream):
            await streams.status("a")


@pytest.mark.slow  # without hints it is looked again after 1 s
async def test_with_no_hint_at_all_everything_still_arrives() -> None:
    store = MemoryStore()
    deaf = FaultyStore(store, random=Random(1), hints=0.0)
    async with Streams(store, drain=0) as streams, Streams(deaf, drain=0) as other:
        await streams.start("a", numbers(3000))
        assert len(await read(other.follow("a"))) == 3000


@jumping_clock()
async def test_a_quiet_stream_of_another_process_is_asked_for_ever_more_rarely(
    clocked: MemoryStore,
) -> None:
    gate, store = held(clocked)
    got: list[Event] = []
    async with Streams(clocked, drain=0) as streams, Streams(store, drain=0) as other:
        await streams.start("a", Fountain("x", wait=True))
        async with create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(collect, other.follow("a"), got)
            await eventually(lambda: len(got) == 20)
            before = len(gate.calls["read"])
            await sleep(300)
            assert 300 / 15 - 1 <= len(gate.calls["read"]) - before <= 300 / 15 + 10
            tasks.cancel_scope.cancel()
