"""What each item looks like in each format, the table of the documentation line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from streamkit import Encoder, Event, Format, SSEDecoder, as_bytes, as_jsonl, as_sse, as_text
from streamkit._items.event import RESERVED_TYPES, Typed
from streamkit.errors import ItemRefused, ReservedType


@dataclass
class Row:
    name: str


class Model(BaseModel):
    name: str


class Struct(msgspec.Struct):
    name: str


def encoded(format: Format[Any], *items: Any) -> bytes:
    encoder = format.encoder()
    sent = encoder.begin() + b"".join(encoder.one(item) for item in items)
    return sent + encoder.end(len(items))


def one(format: Format[Any], item: Any) -> bytes:
    return format.encoder().one(item)


NAME = b'{"name":"ada"}'
TABLE = [
    # item, as_text, as_sse, as_jsonl
    pytest.param("hello", b"hello", b"data: hello\n\n", b'"hello"\n', id="str"),
    pytest.param("a\nb", b"a\nb", b"data: a\ndata: b\n\n", b'"a\\nb"\n', id="str of two lines"),
    pytest.param("", b"", b"data: \n\n", b'""\n', id="empty str"),
    pytest.param(
        "\ud83d!",
        "\ufffd!".encode(),
        "data: \ufffd!\n\n".encode(),
        '"\ufffd!"\n'.encode(),
        id="lone surrogate",
    ),
    pytest.param(
        {"name": "ada"}, NAME + b"\n", b"data: " + NAME + b"\n\n", NAME + b"\n", id="dict"
    ),
    pytest.param([1, None], b"[1,null]\n", b"data: [1,null]\n\n", b"[1,null]\n", id="list"),
    pytest.param(1.5, b"1.5\n", b"data: 1.5\n\n", b"1.5\n", id="number"),
    pytest.param(True, b"true\n", b"data: true\n\n", b"true\n", id="bool"),
    pytest.param(None, b"null\n", b"data: null\n\n", b"null\n", id="None"),
    pytest.param(float("nan"), b"null\n", b"data: null\n\n", b"null\n", id="NaN"),
    pytest.param(Decimal("1.10"), b'"1.10"\n', b'data: "1.10"\n\n', b'"1.10"\n', id="Decimal"),
    pytest.param(
        datetime(2026, 1, 2, tzinfo=UTC),
        b'"2026-01-02T00:00:00+00:00"\n',
        b'data: "2026-01-02T00:00:00+00:00"\n\n',
        b'"2026-01-02T00:00:00+00:00"\n',
        id="datetime",
    ),
    pytest.param(
        Row("ada"), NAME + b"\n", b"data: " + NAME + b"\n\n", NAME + b"\n", id="dataclass"
    ),
    pytest.param(
        Model(name="ada"),
        NAME + b"\n",
        b"data: " + NAME + b"\n\n",
        NAME + b"\n",
        id="pydantic model",
    ),
    pytest.param(
        Struct("ada"), NAME + b"\n", b"data: " + NAME + b"\n\n", NAME + b"\n", id="msgspec struct"
    ),
    pytest.param(
        Event("price", "12"), b"12", b"event: price\ndata: 12\n\n", b'"12"\n', id="event of text"
    ),
    pytest.param(
        Event("price", [1]),
        b"[1]\n",
        b"event: price\ndata: [1]\n\n",
        b"[1]\n",
        id="event of a value",
    ),
    pytest.param(
        Event(data="x", id="a.1"), b"x", b"data: x\n\n", b'"x"\n', id="an event's own id is dropped"
    ),
]


@pytest.mark.parametrize(("item", "text", "sse", "jsonl"), TABLE)
def test_each_item_has_its_form(item: Any, text: bytes, sse: bytes, jsonl: bytes) -> None:
    assert one(as_text, item) == text
    assert one(as_sse, item) == sse
    assert one(as_jsonl, item) == jsonl


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_are_bytes_text_is_utf8_and_sse_refuses_them(data: Any) -> None:
    assert one(as_bytes, data) == b"x"
    assert one(as_text, data) == b"x"
    with pytest.raises(ItemRefused, match="bytes need as_bytes or as_text"):
        one(as_sse, data)
    assert one(as_jsonl, data) == b'"eA=="\n'


def test_as_bytes_takes_text_as_utf8() -> None:
    assert one(as_bytes, "é\udc80") == "é\ufffd".encode()


@pytest.mark.parametrize("item", [{"a": 1}, None, 3, Event()])
def test_as_bytes_takes_nothing_else(item: Any) -> None:
    with pytest.raises(
        ItemRefused, match=f"as_bytes takes bytes and text, not {type(item).__name__}"
    ):
        one(as_bytes, item)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_bytes_cut_inside_a_character_become_the_same_text(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5).map(sorted))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert encoded(as_text, *parts) == whole


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert encoded(as_text, b"a\xffb") == "a\ufffdb".encode()
    assert encoded(as_text, b"a\xe2\x82") == "a\ufffd".encode()
    assert encoded(as_text, b"a\xe2\x82", "b", b"\xac") == "a\ufffdb\ufffd".encode()


@pytest.mark.parametrize("type", sorted(RESERVED_TYPES))
@pytest.mark.parametrize("format", [as_text, as_sse, as_jsonl], ids=repr)
def test_a_source_cannot_forge_the_end_of_a_stream(format: Format[Any], type: str) -> None:
    with pytest.raises(ReservedType, match=f"the event type '{type}' is reserved"):
        one(format, Event(type, {}))


def test_an_event_stream_says_how_it_ended() -> None:
    encoder = as_sse.encoder()
    [end] = SSEDecoder().feed(encoder.end(3))
    assert (end.type, json.loads(str(end.data)), end.id) == (
        "end",
        {"state": "done", "count": 3},
        "end",
    )
    [error] = SSEDecoder().feed(encoder.error("source-failed", "The source failed.") or b"")
    assert (error.type, error.id) == ("error", "end")
    assert json.loads(str(error.data)) == {
        "state": "error",
        "code": "source-failed",
        "message": "The source failed.",
    }


def test_after_a_stop_of_the_server_the_client_may_come_back() -> None:
    [event] = SSEDecoder().feed(as_sse.encoder().error("server-stopping", "") or b"")
    assert event.id == ""


@pytest.mark.parametrize("format", [as_text, as_bytes, as_jsonl], ids=repr)
def test_other_formats_can_only_be_cut(format: Format[Any]) -> None:
    encoder = format.encoder()
    assert encoder.error("source-failed", "The source failed.") is None
    assert encoder.begin() == encoder.keep_alive == encoder.end(0) == b""


def test_each_format_has_its_media_type() -> None:
    assert [format.media_type for format in (as_text, as_bytes, as_sse, as_jsonl)] == [
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "text/event-stream; charset=utf-8",
        "application/jsonl",
    ]


def test_a_batch_is_its_items_and_those_before_a_refused_one_are_kept() -> None:
    chunks = iter(as_sse.encoder().batch(["a", b"b"]))
    assert next(chunks) == b"data: a\n\n"
    with pytest.raises(ItemRefused):
        next(chunks)


@pytest.mark.parametrize(
    "call", [lambda: Encoder[str]().one("a"), Typed().to_text, Typed().to_event]
)
def test_a_base_that_nobody_filled_in_says_so(call: Any) -> None:
    with pytest.raises(NotImplementedError):
        call()


def test_a_str_of_another_class_is_text() -> None:
    class Name(str):
        __slots__ = ()

    assert one(as_sse, Name("a")) == b"data: a\n\n"
    assert one(as_text, Name("a")) == b"a"
