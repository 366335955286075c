"""What can be asked about streams without following them: status, history, lists, names."""

from __future__ import annotations

import json
from time import time

import pytest
from anyio import sleep
from hypothesis import given
from hypothesis import strategies as st

from streamkit import History, MemoryStore, Streams, as_event_jsonl, stream_name
from streamkit.errors import ExpiredStream, InvalidCursor, InvalidName, UnknownStream
from streamkit.logs import LogRecord

from .._streams.fakes import body, data, last_type, numbers, read
from ..fakes import Fountain, jumping_clock


async def test_the_status_of_a_stream_says_what_is_known_of_it(streams: Streams) -> None:
    await read(await streams.start("a", Fountain("x", wait=True)), 1)
    status = await streams.status("a")
    assert status == {
        "name": "a",
        "state": "open",
        "active": True,
        "first": 1,
        "tail": 1,
        "started": status["started"],
        "ended": None,
        "expires": None,
        "error": None,
    }
    assert abs(status["started"] - time()) < 60
    assert json.dumps(status)


async def test_the_status_of_an_ended_stream_says_until_when_it_is_kept(streams: Streams) -> None:
    await last_type(await streams.start("a", ["x"], keep=100))
    status = await streams.status("a")
    assert (status["state"], status["active"], status["tail"]) == ("done", False, 2)
    assert status["ended"] is not None
    assert status["expires"] == pytest.approx(status["ended"] + 100)


@pytest.mark.parametrize("call", ["status", "history", "cancel"])
async def test_an_unknown_stream_is_said_to_be_unknown(streams: Streams, call: str) -> None:
    with pytest.raises(UnknownStream, match="'a'"):
        await getattr(streams, call)("a")


async def test_pages_of_the_history_are_the_events_that_are_followed(streams: Streams) -> None:
    following = await streams.start("a", [*map(str, range(10)), LogRecord("x")])
    events = await read(following)
    end = await body(following, as_event_jsonl)
    for limit in (1, 3, 5, 12, 500):
        found, cursor = [], ""
        while (page := await streams.history("a", after=cursor, limit=limit))["events"]:
            assert len(page["events"]) <= limit
            found += page["events"]
            cursor = page["next"]
        assert page["next"] == cursor
        assert page["state"] == "done"
        assert [each["id"] for each in found[:-1]] == [event.id for event in events]
        assert [each["data"] for each in found[:-1]] == data(events)
        assert [each["time"] for each in found[:-1]] == [event.time for event in events]
        assert [each["type"] for each in found] == ["message"] * 11 + ["end"]
        assert [json.loads(line) for line in end.splitlines()] == found[:-1]


async def test_the_history_of_an_open_stream_can_be_asked_again_later(streams: Streams) -> None:
    async with streams.open("a") as stream:
        nothing: History = {"events": [], "next": "", "state": "open"}
        assert await streams.history("a") == nothing
        await stream.send("x")
        await read(streams.follow("a"), 1)
        page = await streams.history("a")
        assert [each["data"] for each in page["events"]] == ["x"]
        again = await streams.history("a", after=page["next"])
        assert again == {**nothing, "next": page["next"]}
    last = await streams.history("a", after=page["next"])
    assert [each["type"] for each in last["events"]] == ["end"]


async def test_a_history_that_cannot_be_asked_for_is_refused(streams: Streams) -> None:
    await read(await streams.start("a", ["x"]))
    with pytest.raises(ValueError, match="limit"):
        await streams.history("a", limit=0)
    with pytest.raises(InvalidCursor):
        await streams.history("a", after="nothing")
    with pytest.raises(ExpiredStream):
        await streams.history("b", after="abcdefgh.1")


async def test_streams_are_listed_by_name_prefix_and_state_in_pages(streams: Streams) -> None:
    for name in ("run:2", "run:1", "other", "run:3"):
        await last_type(await streams.start(name, ["x"]))
    await streams.start("run:4", Fountain(wait=True))
    names = [each["name"] for each in await streams.list()]
    assert names == ["other", "run:1", "run:2", "run:3", "run:4"]
    listed = [each["name"] for each in await streams.list("run:", after="run:1", limit=2)]
    assert listed == ["run:2", "run:3"]
    assert [each["name"] for each in await streams.list(state="open")] == ["run:4"]
    pages, after = [], ""
    while page := await streams.list("run:", state="done", after=after, limit=1):
        pages += [each["name"] for each in page]
        after = pages[-1]
    assert pages == ["run:1", "run:2", "run:3"]
    assert await streams.list("nothing") == []
    assert (await streams.list("other"))[0] == await streams.status("other")


async def test_a_deleted_stream_is_unknown_and_its_name_is_free(streams: Streams) -> None:
    source = Fountain("x", wait=True)
    await read(await streams.start("a", source), 1)
    await streams.delete("a")
    with pytest.raises(UnknownStream):
        await streams.status("a")
    assert data(await read(await streams.start("a", ["y"]))) == ["y"]
    assert source.closed
    await streams.delete("a")
    await streams.delete("a")  # there is none, as is wished


@jumping_clock()
async def test_an_ended_stream_is_removed_after_its_time_unless_it_is_kept_for_ever(
    clocked: MemoryStore,
) -> None:
    async with Streams(clocked, drain=0, keep=60, sweep=1) as streams:
        events = await read(await streams.start("a", numbers(3)))
        await read(await streams.start("at-once", numbers(3), keep=0))
        await read(await streams.start("kept", numbers(3), keep=None))
        await sleep(59)
        assert [each["name"] for each in await streams.list()] == ["a", "kept"]
        assert await read(streams.follow("a")) == events
        await sleep(5)
        [kept] = await streams.list()
        assert (kept["name"], kept["expires"]) == ("kept", None)
        await streams.delete("kept")
        assert await streams.list() == []
        with pytest.raises(UnknownStream):
            await read(streams.follow("a"))
        with pytest.raises(ExpiredStream):
            await read(streams.follow("a", events[0].id))


PARTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_different_parts_have_different_names(parts: list[str], others: list[str]) -> None:
    try:
        names = stream_name(*parts), stream_name(*others)
    except InvalidName:
        assert parts in ([""], others) or others == [""] or any(map(too_long, (parts, others)))
        return
    assert (names[0] == names[1]) == (parts == others)


def too_long(parts: list[str]) -> bool:
    return len("".join(parts).encode()) * 3 + len(parts) > 200


def test_a_name_of_parts_is_as_documented() -> None:
    assert stream_name("runs", "Q3 report.pdf", "parse") == "runs:Q3%20report.pdf:parse"
    assert stream_name("a:b", "c") != stream_name("a", "b:c")
    assert stream_name("a/b", "%2F") == "a%2Fb:%252F"
    with pytest.raises(InvalidName):
        stream_name("x" * 201)
