"""`message`, `sources`, `end`: the shape of a chat service, written and read."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from streamkit import Event, SSEDecoder, Streams, open_source
from streamkit.errors import ItemRefused, ReservedType, UpstreamFailed
from streamkit.models import Citation, Finish, ModelEvent, Sources, Start, Text, Usage
from streamkit.sinks.relay import as_relay
from streamkit.sources.relay import relayed

from .old_shapes import followed, requested, without_ids

START = b'data: {"event": "start", "data": {"message": "Starting AI response..."}}\n\n'
FRAMES = b"""\
event: message
data: {"type": "content", "content": "Based on"}

event: message
data: {"type": "content", "content": " your"}

event: sources
data: {"type": "sources", "sources": [{"id": "doc-123", "title": "HR Policy", "content": "Text"}]}

"""
END = b"""\
event: end
data: {"type": "end"}

"""
ERROR = b"""\
event: error
data: {"error": "Failed to process message"}

"""

SOURCES = Sources((Citation("doc-123", "HR Policy", content="Text"),))
ANSWER: list[object] = [
    Start("id", "model"),
    Text("hm", tone="reasoning"),
    Text("Based on"),
    " your",
    SOURCES,
    Usage(1, 2, 3),
    Finish("stop"),
]


def one(item: object) -> bytes:
    return as_relay.encoder().one(item)


async def relay(*items: Any) -> list[Any]:
    async with open_source(relayed(list(items))) as opened:
        return [item async for item in opened]


async def test_an_answer_is_messages_sources_and_an_end() -> None:
    sent = await requested(ANSWER, as_relay)
    assert sent.endswith(b"\nid: end\n\n")
    assert without_ids(sent) == START + FRAMES + END


async def test_a_follower_gets_what_a_request_does() -> None:
    async with Streams() as streams:
        sent = await followed(await streams.start("answer", ANSWER), as_relay)
    assert without_ids(sent) == START + FRAMES + END
    assert sent.count(b"\nid: ") == 4


def test_a_failure_is_one_sentence_without_an_end() -> None:
    encoder = as_relay.encoder()
    assert without_ids(encoder.error("some-code", "secret") or b"") == ERROR


async def test_a_follower_of_what_failed_gets_an_error_without_an_end() -> None:
    async def fails() -> Any:
        yield "Based on"
        raise RuntimeError("secret")

    async with Streams() as streams:
        sent = await followed(await streams.start("fails", fails()), as_relay)
    assert without_ids(sent).endswith(b'"Based on"}\n\n' + ERROR)


OTHERS = [
    pytest.param({"event": "note", "data": "a\nb"}, b"event: note\ndata: a\ndata: b\n\n", id="raw"),
    pytest.param({"event": "note", "data": [1]}, b"event: note\ndata: [1]\n\n", id="a value"),
    pytest.param({"event": "message", "data": "{"}, b"event: message\ndata: {\n\n", id="no JSON"),
    pytest.param({"event": "x"}, b'event: message\ndata: {"event":"x"}\n\n', id="a dict"),
    pytest.param([1], b"event: message\ndata: [1]\n\n", id="a list"),
    pytest.param(
        datetime(2026, 1, 2, tzinfo=UTC),
        b'event: message\ndata: "2026-01-02T00:00:00+00:00"\n\n',
        id="a date",
    ),
    pytest.param(Event("note", "x"), b"event: note\ndata: x\n\n", id="an event"),
    pytest.param(Event("note", {"a": 1}), b'event: note\ndata: {"a":1}\n\n', id="one of a value"),
    pytest.param(
        Event("message", {"event": "note", "data": 1}), b"event: note\ndata: 1\n\n", id="unnamed"
    ),
    pytest.param(
        Event(data="x"), b'event: message\ndata: {"type": "content", "content": "x"}\n\n', id="text"
    ),
    pytest.param("", b"", id="no text"),
]


@pytest.mark.parametrize(("item", "frame"), OTHERS)
async def test_other_items_are_passed_on_in_a_request_and_in_a_stream(
    item: object, frame: bytes
) -> None:
    assert one(item) == frame
    async with Streams() as streams:
        sent = await followed(await streams.start("one", [item]), as_relay)
    assert without_ids(sent) == START + frame + END


@pytest.mark.parametrize("item", [Event("end"), {"event": "error", "data": ""}], ids=str)
def test_reserved_events_are_refused(item: object) -> None:
    with pytest.raises(ReservedType):
        one(item)


def test_bytes_are_refused() -> None:
    with pytest.raises(ItemRefused, match="as_relay takes text"):
        one(b"x")


async def test_what_was_written_is_read_again() -> None:
    written = await requested(ANSWER, as_relay)
    assert await relay(*SSEDecoder().feed(written)) == [Text("Based on"), Text(" your"), SOURCES]


READ = [
    pytest.param(Event("message", '{"type":"content","content":"a"}'), Text("a"), id="event"),
    pytest.param('{"type":"content","content":"a"}', Text("a"), id="str"),
    pytest.param({"type": "content", "content": "a"}, Text("a"), id="dict"),
    pytest.param(
        '{"event":"message","data":"{\\"type\\":\\"content\\",\\"content\\":\\"a\\"}"}',
        Text("a"),
        id="an event of a JSON text, as JSON",
    ),
    pytest.param(
        {"event": "message", "data": {"type": "content", "content": "a"}}, Text("a"), id="nested"
    ),
    pytest.param(
        Event("sources", '{"type":"sources","sources":[{"id":7,"title":null,"more":1},"b"]}'),
        Sources((Citation("7"), Citation("b"))),
        id="sources that are not quite as agreed",
    ),
    pytest.param('{"event":"note","data":[1]}', {"event": "note", "data": [1]}, id="another event"),
    pytest.param(Event("note", "raw"), {"event": "note", "data": "raw"}, id="a named event"),
]


@pytest.mark.parametrize(("item", "read"), READ)
async def test_each_form_of_an_item_is_read(
    item: Any, read: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert await relay(item) == [read]
    assert not caplog.records


RAW = [
    pytest.param("{broken", "{broken", id="broken JSON"),
    pytest.param("plain", "plain", id="text"),
    pytest.param("[1]", "[1]", id="another value"),
    pytest.param('{"type":"content","content":5}', '{"type":"content","content":5}', id="no text"),
    pytest.param('{"event":"gap","data":1}', '{"event":"gap","data":1}', id="a reserved event"),
    pytest.param('{"event":"a\\nb","data":1}', '{"event":"a\\nb","data":1}', id="no event's name"),
    pytest.param({"other": "é"}, '{"other":"é"}', id="a dict"),
    pytest.param(Event(data="\ud800"), "\ud800", id="half a character"),
]


@pytest.mark.parametrize(("item", "raw"), RAW)
async def test_anything_else_is_a_raw_message_and_logged_once(
    item: Any, raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "streamkit"):
        assert await relay(item, item) == [{"event": "message", "data": raw}] * 2
    (record,) = caplog.records
    assert record.getMessage().startswith("an upstream's item is not known: ")
    assert one({"event": "message", "data": raw}).startswith(b"event: message\ndata: ")


async def test_events_of_a_model_stay_as_they_are() -> None:
    assert await relay(*ANSWER) == [
        item if isinstance(item, ModelEvent) else {"event": "message", "data": item}
        for item in ANSWER
    ]


@pytest.mark.parametrize(
    "end", [Event("end", '{"type": "end"}'), '{"type":"end"}', {"event": "end", "data": None}]
)
async def test_an_end_ends_it(end: Any) -> None:
    assert await relay("{", end, "never read") == [{"event": "message", "data": "{"}]


async def test_an_error_fails_after_the_items_before_it() -> None:
    came: list[ModelEvent | dict[str, Any]] = []
    with pytest.raises(UpstreamFailed) as failed:
        async with open_source(relayed(["a", '{"event":"error","data":{"error":"x"}}'])) as items:
            async for item in items:
                came.append(item)  # noqa: PERF401 - it raises
    assert came == [{"event": "message", "data": "a"}]
    assert failed.value.detail == '{"error":"x"}'
