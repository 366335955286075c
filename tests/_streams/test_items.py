"""What comes back: each kind of item, as events and as the bytes that a request would have had."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from anyio import create_task_group
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamkit import (
    Event,
    Format,
    Line,
    MemoryStore,
    Streams,
    as_event_jsonl,
    as_jsonl,
    as_sse,
    as_text,
)
from streamkit._feeding.handover import Handover
from streamkit._items.stored import stored_event, stored_line
from streamkit.errors import ItemRefused, ReservedType, StreamFailed
from streamkit.logs import LogRecord, Progress
from streamkit.sources.process import Exit

from ..fakes import drain
from .fakes import body, collect, data, last_type, read

FORMATS = [as_sse, as_text, as_jsonl, as_event_jsonl]


@dataclass
class Point:
    x: int
    y: float


ITEMS = [
    pytest.param({"a": [1, None, True], "ü": "ö"}, id="dict"),
    pytest.param([1, "two"], id="list"),
    pytest.param(12.5, id="float"),
    pytest.param(0, id="int"),
    pytest.param(None, id="None"),
    pytest.param(True, id="bool"),
    pytest.param(10**30, id="a large int"),
    pytest.param(10**5000, id="an int of more digits than Python reads"),
    pytest.param(float("nan"), id="NaN"),
    pytest.param(Point(1, 2.5), id="dataclass"),
    pytest.param(UUID(int=7), id="UUID"),
    pytest.param(Decimal("1.50"), id="Decimal"),
    pytest.param(datetime(2026, 11, 20, tzinfo=UTC), id="datetime"),
    pytest.param("text", id="str"),
    pytest.param("", id="an empty str"),
    pytest.param('two\nlines "quoted" \\ \ud800 \0', id="str with everything"),
    pytest.param("\r\n", id="str of a line end"),
    pytest.param(Line("plain"), id="Line"),
    pytest.param(Line("tagged", stream="stderr"), id="tagged Line"),
    pytest.param(Line("50 %", overwritten=True), id="overwritten Line"),
    pytest.param(Line("half", cut=True), id="cut Line"),
    pytest.param(Line('"a\\', stream="stdout", overwritten=True), id="tagged overwritten Line"),
    pytest.param(Line("prompt", partial=True), id="partial Line"),
    pytest.param(LogRecord("two\nlines", "warning"), id="LogRecord"),
    pytest.param(Progress(1, 2, 50.0, None, None, "half"), id="Progress"),
    pytest.param(Exit(0, None, "exit", 1.5, orphans=False), id="Exit"),
    pytest.param(Event("price", {"stock": "ACME"}), id="Event with a type"),
    pytest.param(Event("note", "text"), id="Event with text"),
    pytest.param(Event('odd,"type\\', "text"), id="Event with a type to be escaped"),
    pytest.param(Event("message", {"a": 1}, id="mine", time=5.0), id="Event with an id and a time"),
    pytest.param(Event("id", UUID(int=7)), id="Event of a value whose JSON is a string"),
]


async def of_a_request(items: list[object], format: Format[Any]) -> bytes:
    found = b""
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, items, format.encoder())
        found += await drain(hand)
    return found


def without_ids(found: bytes, format: Format[Any]) -> object:
    if format is as_event_jsonl:
        return [
            (each["type"], each["data"])
            for each in (json.loads(line, parse_int=str) for line in found.splitlines())
        ]
    return re.sub(rb"\nid: \w+\.\d+\n\n", b"\n\n", found)


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("item", ITEMS)
async def test_a_follower_gets_the_bytes_that_a_request_would(
    item: object, format: Format[Any]
) -> None:
    items = ["before", item, "after"]
    async with Streams(MemoryStore(), drain=0) as streams:
        following = await streams.start("a", items)
        found = await body(following, format)
    assert without_ids(found, format) == without_ids(await of_a_request(items, format), format)


@pytest.mark.parametrize("format", [as_sse, as_text, as_jsonl], ids=str)
@pytest.mark.parametrize("item", ITEMS)
async def test_a_step_over_a_following_gives_the_bytes_that_a_request_would(
    item: object, format: Format[Any]
) -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        events = await read(await streams.start("a", ["before", item]))
    stepped = await of_a_request(list(events), format)
    direct = await of_a_request(["before", item], format)
    assert without_ids(stepped, format) == without_ids(direct, format)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
TYPES = st.text(min_size=1).filter(lambda type: not re.search("[\r\n\0]", type))


@pytest.mark.slow  # 200 examples
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON | st.builds(Event, TYPES, JSON) | st.builds(Line, st.text(), stream=st.text()))
def test_any_value_is_kept_so_that_its_bytes_are_the_same(item: object) -> None:
    if isinstance(item, Event) and item.type in {"end", "error", "gap", "reset"}:
        return
    line = stored_line(item)
    assert b"\n" not in line
    for format in (as_sse, as_text, as_jsonl):
        encoder = format.encoder()
        assert without_ids(encoder.kept(line, "a.1"), format) == encoder.one(item)
    assert stored_event(line, "a.1").id == "a.1"


async def test_items_come_back_as_events_with_the_id_of_the_log(streams: Streams) -> None:
    mine = Event("price", {"a": 1}, id="mine", time=5.0)
    events = await read(await streams.start("a", ["text", mine, {"b": 2}, Line("l", cut=True)]))
    assert [event.type for event in events] == ["message", "price", "message", "message"]
    assert data(events) == ["text", {"a": 1}, {"b": 2}, "l"]
    assert [event.id.partition(".")[2] for event in events] == ["1", "2", "3", "4"]
    assert len({event.id.partition(".")[0] for event in events}) == 1
    assert events[1].time == 5.0
    assert list(map(str, events)) == ["text", '{"a":1}\n', '{"b":2}\n', "l"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        pytest.param(b"bytes", ItemRefused.code, id="bytes"),
        pytest.param(Event("end"), ReservedType.code, id="a reserved type"),
        pytest.param(object(), ItemRefused.code, id="what is no JSON"),
    ],
)
async def test_a_refused_item_ends_the_stream_after_the_items_before_it(
    streams: Streams, item: object, code: str
) -> None:
    following = await streams.start("a", ["one", item, "three"])
    got: list[Event] = []
    with pytest.raises(StreamFailed) as failed:
        await collect(following, got)
    assert data(got) == ["one"]
    assert failed.value.cause_code == code
    assert (await streams.status("a"))["error"] is not None


@pytest.mark.parametrize(
    "items", [[], [Line("prompt", partial=True)]], ids=["none", "said nothing"]
)
async def test_a_source_of_nothing_is_a_stream_of_its_end(
    streams: Streams, items: list[object]
) -> None:
    following = await streams.start("a", items)
    assert await read(following) == []
    assert await last_type(following) == "end"
    assert (await streams.status("a"))["tail"] == 1
