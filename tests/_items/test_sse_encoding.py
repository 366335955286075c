"""The encoder of event streams, alone and as a pair with the decoder."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import Event, SSEDecoder, encode_sse
from streamkit._items.event import decoded_event
from streamkit._items.json import to_utf8
from streamkit._items.sse import encode_comment, encode_text
from streamkit.errors import InvalidEvent

from .test_sse import Outcome, cut, cuts, decode, message


@pytest.mark.parametrize(
    ("event", "block"),
    [
        pytest.param(Event(data="x"), b"data: x\n\n", id="message"),
        pytest.param(Event(), b"data: \n\n", id="empty data"),
        pytest.param(Event("a", "x"), b"event: a\ndata: x\n\n", id="type"),
        pytest.param(Event(data="x", id="a.1"), b"data: x\nid: a.1\n\n", id="id is last"),
        pytest.param(
            Event("a", "x\ny", id="a.1"),
            b"event: a\ndata: x\ndata: y\nid: a.1\n\n",
            id="everything",
        ),
        pytest.param(Event(data="x", time=1.0), b"data: x\n\n", id="time is not written"),
        pytest.param(Event(data="x\r\n"), b"data: x\ndata: \n\n", id="crlf at the end"),
        pytest.param(
            Event(data="\r\r\n\n"), b"data: \ndata: \ndata: \ndata: \n\n", id="three ends"
        ),
        pytest.param(
            Event(data="\u2028\x85\x0b\x0c\x1c"),
            "data: \u2028\x85\x0b\x0c\x1c\n\n".encode(),
            id="other separators stay",
        ),
        pytest.param(Event(data=" x "), b"data:  x \n\n", id="spaces stay"),
        pytest.param(Event(data="\ud800"), b"data: \xef\xbf\xbd\n\n", id="lone surrogate"),
        pytest.param(
            Event(data={"a": [1, "é\n"]}), 'data: {"a":[1,"é\\n"]}\n\n'.encode(), id="json"
        ),
        pytest.param(Event(data=None), b"data: null\n\n", id="none"),
        pytest.param(Event(data=0), b"data: 0\n\n", id="zero"),
        pytest.param(
            decoded_event("a\0 \ud800", "x", " é\udfff"),
            "event: a\0 \ufffd\ndata: x\nid:  é\ufffd\n\n".encode(),
            id="a type and id that came from elsewhere",
        ),
        pytest.param(decoded_event("message", "x", ""), b"data: x\n\n", id="decoded message"),
    ],
)
def test_an_event_becomes_one_block(event: Event, block: bytes) -> None:
    assert encode_sse(event) == block


def test_comment_and_retry_come_before_the_event() -> None:
    block = encode_sse(Event("a", "x", id="1"), retry=2000, comment="hi\r\nthere\n")
    assert block == b": hi\n: there\n: \nretry: 2000\nevent: a\ndata: x\nid: 1\n\n"


def test_an_empty_comment_is_written() -> None:
    assert encode_sse(Event(), comment="") == b": \ndata: \n\n"
    assert encode_comment("") == b": \n\n"


@pytest.mark.parametrize("retry", [0, 1, 2**31 - 1])
def test_retry_is_written_in_digits(retry: int) -> None:
    assert encode_sse(Event(), retry=retry) == f"retry: {retry}\ndata: \n\n".encode()


@pytest.mark.parametrize("retry", [-1, 2**31, True, False, 1.0, "5", float("nan")])
def test_another_retry_is_refused(retry: int) -> None:
    with pytest.raises(InvalidEvent, match="retry must be an integer from 0 to 2147483647, not"):
        encode_sse(Event(), retry=retry)


def test_a_comment_of_its_own_is_one_block() -> None:
    assert encode_comment("keep-alive") == b": keep-alive\n\n"
    assert encode_comment("a\rdata: b\n\nc\ud800") == b": a\n: data: b\n: \n: c\xef\xbf\xbd\n\n"


# --- as a pair ----------------------------------------------------------------------------------

everything = st.characters(exclude_categories=())  # lone surrogates too
texts = st.text(everything) | st.lists(
    st.sampled_from(["\n", "\r", "data: x", "event: y", "id: 9", "retry: 9", ":", "\0", "é\ufeff"])
).map("".join)
types = st.text(st.characters(exclude_categories=(), exclude_characters="\r\n\0"), min_size=1)
ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
retries = st.none() | st.integers(0, 2**31 - 1)


def as_sent(text: str) -> str:
    return re.sub("\r\n?", "\n", to_utf8(text).decode())


@pytest.mark.slow  # a hundred examples of many texts
@given(st.builds(Event, types, texts, id=ids), retries, st.none() | texts, cuts)
def test_an_event_survives_the_wire_whatever_is_in_it(
    event: Event, retry: int | None, comment: str | None, positions: list[int]
) -> None:
    wire = encode_sse(event, retry=retry, comment=comment)
    sent = decoded_event(as_sent(event.type), as_sent(str(event.data)), event.id)
    assert decode(cut(wire, positions)) == Outcome([sent], event.id, retry)
    [again] = decode([encode_sse(sent)]).events
    assert again == sent


@pytest.mark.slow  # a hundred examples of many texts
@given(st.lists(texts), texts)
def test_texts_and_comments_arrive_as_nothing_but_themselves(
    lines: list[str], comment: str
) -> None:
    wire = b"".join(encode_text(line) + encode_comment(comment) for line in lines)
    assert decode([wire]) == Outcome([message(as_sent(line)) for line in lines])


@given(texts)
def test_text_is_the_same_as_an_unnamed_event_of_it(text: str) -> None:
    assert encode_text(text) == encode_sse(Event(data=text))


def test_a_cut_inside_a_block_never_moves_the_id() -> None:
    wire = encode_sse(Event("a", "x\ny", id="2"), retry=5, comment="c")
    for position in range(len(wire)):
        decoder = SSEDecoder()
        decoder.feed(encode_sse(Event(id="1")))
        assert decoder.feed(wire[:position]) == []
        assert decoder.last_event_id == "1"
