"""The decoder of event streams, for every cut of its input."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit import Event, SSEDecoder
from streamkit._items.event import decoded_event
from streamkit.errors import EventTooLarge

BOM = b"\xef\xbb\xbf"


@dataclass
class Outcome:
    """All that a client sees of a stream."""

    events: list[Event] = field(default_factory=list)
    last_event_id: str = ""
    retry: int | None = None
    too_large: bool = False


def decode(chunks: Sequence[bytes], max_event_bytes: int = 1 << 20) -> Outcome:
    decoder = SSEDecoder(max_event_bytes=max_event_bytes)
    outcome = Outcome()
    try:
        for chunk in (*chunks, b""):  # the last one asks for an error that had to wait
            outcome.events += decoder.feed(chunk)
    except EventTooLarge:
        outcome.too_large = True
    outcome.last_event_id = decoder.last_event_id
    outcome.retry = decoder.retry
    return outcome


def every_cut(wire: bytes) -> Iterator[list[bytes]]:
    for position in range(len(wire) + 1):
        yield [wire[:position], wire[position:]]
    yield [wire[position : position + 1] for position in range(len(wire))]
    yield [piece for byte in wire for piece in (b"", b"%c" % byte)]


def cut(wire: bytes, positions: list[int]) -> list[bytes]:
    edges = sorted({0, len(wire), *(position % (len(wire) + 1) for position in positions)})
    return [wire[start:end] for start, end in pairwise(edges)]


def standard(text: str) -> Outcome:
    """Interpret a decoded stream literally as the WHATWG says, with its buffers and its order."""
    outcome = Outcome()
    data = event_type = last_event_id = ""
    for line in re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))[:-1]:
        if line == "":
            outcome.last_event_id = last_event_id
            if data != "":
                event = decoded_event(event_type or "message", data[:-1], last_event_id)
                outcome.events.append(event)
            data = event_type = ""
            continue
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event_type = value
        if name == "data":
            data += value + "\n"
        if name == "id" and "\0" not in value:
            last_event_id = value
        if name == "retry" and re.fullmatch("[0-9]+", value):
            outcome.retry = int(value)
    return outcome


# --- the decoder, case by case ------------------------------------------------------------------


def message(data: str, id: str = "", type: str = "message") -> Event:
    return decoded_event(type, data, id)


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        pytest.param(b"data: x\n\n", [message("x")], id="one line"),
        pytest.param(b"data: x\r\n\r\n", [message("x")], id="crlf"),
        pytest.param(b"data: x\r\r", [message("x")], id="cr"),
        pytest.param(b"data: x\r\n\r", [message("x")], id="crlf and a cr at the end"),
        pytest.param(b"data: x\n\r", [message("x")], id="lf and a cr at the end"),
        pytest.param(b"data: x\r\r\ndata: y\r\n\r\n", [message("x"), message("y")], id="cr crlf"),
        pytest.param(b"data: x\n\rdata: y\r\n\n", [message("x"), message("y")], id="all mixed"),
        pytest.param(b"data: x\ndata: y\n\n", [message("x\ny")], id="two data lines"),
        pytest.param(b"data: x\r\ndata: y\r\n\r\n", [message("x\ny")], id="two data lines, crlf"),
        pytest.param(b"data: x\rdata: y\r\r", [message("x\ny")], id="two data lines, cr"),
        pytest.param(b"data: x\ndata:\n\n", [message("x\n")], id="data ends in a newline"),
        pytest.param(b"data:\ndata\n\n", [message("\n")], id="two empty data lines"),
        pytest.param(b"data\n\n", [message("")], id="data without a colon"),
        pytest.param(b"data:\n\n", [message("")], id="data without a value"),
        pytest.param(b"data: \n\n", [message("")], id="data of one space"),
        pytest.param(b"data:x\n\n", [message("x")], id="no space after the colon"),
        pytest.param(b"data:  x\n\n", [message(" x")], id="two spaces after the colon"),
        pytest.param(b"data:\tx\n\n", [message("\tx")], id="a tab after the colon"),
        pytest.param(b"data:a: b\n\n", [message("a: b")], id="a later colon with a space"),
        pytest.param(b"data: a:b\n\n", [message("a:b")], id="a later colon without a space"),
        pytest.param(b"data:: x\n\n", [message(": x")], id="two colons"),
        pytest.param(
            "data: \u2028\x85\x0b\x0c\x1c\n\n".encode(),
            [message("\u2028\x85\x0b\x0c\x1c")],
            id="other line separators are data",
        ),
        pytest.param(b"data: \0\n\n", [message("\0")], id="nul in data"),
        pytest.param(b"data: x\n", [], id="no blank line"),
        pytest.param(b"data: x", [], id="no line end"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n\n\r\r\n", [], id="blank lines alone"),
        pytest.param(b"event: a\ndata: x\n\n", [message("x", type="a")], id="type"),
        pytest.param(b"event: a\nevent: b\ndata\n\n", [message("", type="b")], id="last type wins"),
        pytest.param(b"event: a\nevent\ndata\n\n", [message("")], id="empty type is message"),
        pytest.param(b"event: a\n\ndata\n\n", [message("")], id="type without data is forgotten"),
        pytest.param(
            b"event: a\ndata: x\n\ndata: y\n\n",
            [message("x", type="a"), message("y")],
            id="type lasts one event",
        ),
        pytest.param(b"event: a\0 \ndata\n\n", [message("", type="a\0 ")], id="nul in a type"),
        pytest.param(b": x\n:\n:data: y\n::\ndata: z\n\n", [message("z")], id="comments"),
        pytest.param(b":\n\n: x\n\n", [], id="comments alone"),
        pytest.param(
            b"Data: x\nDATA: x\n data: x\ndata : x\nxdata: x\ndata\0: x\nfoo\n\n",
            [],
            id="unknown fields",
        ),
        pytest.param(BOM + b"data: x\n\n", [message("x")], id="bom"),
        pytest.param(BOM + BOM + b"data: x\n\ndata: y\n\n", [message("y")], id="two boms"),
        pytest.param(BOM + b"\ndata: x\n\n", [message("x")], id="bom and a blank line"),
        pytest.param(BOM + b"\r\ndata: x\n\n", [message("x")], id="bom and a crlf"),
        pytest.param(b"\xef\xbb\ndata: x\n\n", [message("x")], id="half a bom"),
        pytest.param(b"\n" + BOM + b"data: x\n\ndata: y\n\n", [message("y")], id="late bom"),
        pytest.param(b"data: " + BOM + b"x\n\n", [message("\ufeffx")], id="bom in data"),
        pytest.param("data: é€🚀\n\n".encode(), [message("é€🚀")], id="utf-8"),
        pytest.param(b"data: \xe2\x82\n\n", [message("\ufffd")], id="truncated character"),
        pytest.param(b"data: \xe2\x82\rdata: \xac\n\n", [message("\ufffd\n\ufffd")], id="torn"),
        pytest.param(b"data: \xc0\x80\n\n", [message("\ufffd" * 2)], id="overlong"),
        pytest.param(b"data: \xed\xa0\x80\n\n", [message("\ufffd" * 3)], id="surrogate"),
        pytest.param(b"data: \xf0\x9f\x9ax\n\n", [message("\ufffdx")], id="three of four bytes"),
        pytest.param(b"dat\xff: x\n\n", [], id="bad utf-8 in a field name"),
    ],
)
def test_the_decoder_gives_the_events_that_the_standard_says(
    wire: bytes, events: list[Event]
) -> None:
    assert standard(wire.decode(errors="replace")).events == events
    for chunks in every_cut(wire):
        assert decode(chunks).events == events


@pytest.mark.parametrize(
    ("wire", "ids", "last_event_id"),
    [
        pytest.param(b"id: 1\ndata\n\n", ["1"], "1", id="before data"),
        pytest.param(b"data\nid: 1\n\n", ["1"], "1", id="after data"),
        pytest.param(b"id: 1\ndata\n\ndata\n\n", ["1", "1"], "1", id="kept"),
        pytest.param(b"id: 1\ndata\n\nid\ndata\n\n", ["1", ""], "", id="reset without a colon"),
        pytest.param(b"id: 1\ndata\n\nid:\ndata\n\n", ["1", ""], "", id="reset with a colon"),
        pytest.param(b"id: 1\nid: 2\ndata\n\n", ["2"], "2", id="the last one counts"),
        pytest.param(b"id: 1\n\n", [], "1", id="without data"),
        pytest.param(b"id: 1\n\ndata\n\n", ["1"], "1", id="without data, then data"),
        pytest.param(b"id: 1\n", [], "", id="not before its blank line"),
        pytest.param(b"id: 1\n\nid: 2\ndata\n", [], "1", id="the incomplete event's is not told"),
        pytest.param(b"id: 1\nid: 2\0\ndata\n\n", ["1"], "1", id="nul inside"),
        pytest.param(b"id:\0\ndata\n\n", [""], "", id="nul alone"),
        pytest.param("id:  é \ndata\n\n".encode(), [" é "], " é ", id="spaces and letters"),
        pytest.param(b"id: \xff\ndata\n\n", ["\ufffd"], "\ufffd", id="bad utf-8"),
    ],
)
def test_an_event_has_the_last_id_seen_when_it_is_complete(
    wire: bytes, ids: list[str], last_event_id: str
) -> None:
    for chunks in every_cut(wire):
        outcome = decode(chunks)
        assert [event.id for event in outcome.events] == ids
        assert outcome.last_event_id == last_event_id


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        pytest.param("5", 5, id="digits"),
        pytest.param("0", 0, id="zero"),
        pytest.param("007", 7, id="leading zeros"),
        pytest.param("0" * 50 + "7", 7, id="many leading zeros"),
        pytest.param("9999999999", 9_999_999_999, id="more than 32 bits"),
        pytest.param("9" * 18, 10**18 - 1, id="18 digits"),
        pytest.param("9" * 19, 10**18 - 1, id="19 digits"),
        pytest.param("+5", None, id="plus"),
        pytest.param("-5", None, id="minus"),
        pytest.param("1_000", None, id="underscore"),
        pytest.param("1.5", None, id="point"),
        pytest.param(" 5", None, id="second space before"),
        pytest.param("5 ", None, id="space behind"),
        pytest.param("٣", None, id="arabic digit"),
        pytest.param("²", None, id="superscript"),
        pytest.param("", None, id="empty"),
        pytest.param("x", None, id="letter"),
    ],
)
def test_retry_takes_ascii_digits_alone(value: str, retry: int | None) -> None:
    for chunks in every_cut(f"retry: {value}\n".encode()):
        assert decode(chunks).retry == retry
    for chunks in every_cut(f"retry: 8\nretry: {value}\n\n".encode()):
        assert decode(chunks).retry == (8 if retry is None else retry)


def test_a_retry_of_five_thousand_digits_is_a_very_long_time() -> None:
    assert decode([b"retry: " + b"1" * 5000 + b"\n"]).retry == int("1" * 18)


def test_a_cr_completes_an_event_without_waiting_for_what_follows() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: x\r\n\r") == [message("x")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\ndata: y\r") == []
    assert decoder.feed(b"\r") == [message("y")]


def test_events_after_one_long_id_share_it() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: " + b"x" * 1000 + b"\n\n")
    first, second = decoder.feed(b"data: 1\n\ndata: 2\n\n")
    assert first.id is second.id is decoder.last_event_id


# --- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        pytest.param(b"data: 0123456789", [], id="an unfinished line"),
        pytest.param(b"data: 01234\n", [], id="a finished line"),
        pytest.param(b"data:0\ndata:", [], id="an unfinished second line"),
        pytest.param(b"data: 01234\n\n", [], id="a finished event"),
        pytest.param(b"data: 01234\r\n\r\n", [], id="a finished event with crlf"),
        pytest.param(b"data: 1\ndata: 2\n\n", [], id="data of two lines"),
        pytest.param(b"data\ndata\ndata\n\n", [], id="empty data lines"),
        pytest.param(b"event: 1\ndata\n\n", [], id="type and data"),
        pytest.param(b"id: 12\ndata:\n\n", [], id="id and data"),
        pytest.param(b"event: 0123456789\n\n", [], id="a type"),
        pytest.param(b"id: 0123456789\n\n", [], id="an id"),
        pytest.param(b"id: 1\nid: 2\nid: 3\n", [], id="a block of ids that never ends"),
        pytest.param(b"foo\nfoo\nfoo\nfoo\n", [], id="a block of unknown fields that never ends"),
        pytest.param(b"retry: 0000000000", [], id="a retry that never ends"),
        pytest.param(b": 0123456789", [], id="a comment that never ends"),
        pytest.param(b": 0123456789\n", [], id="a long comment"),
        pytest.param(b"data: 1\n:2345\n", [], id="a comment inside an event"),
        pytest.param(b"0123456789x", [], id="no field at all"),
        pytest.param(BOM + b"0123456789x", [], id="after a bom"),
        pytest.param(b"data: 0\n\ndata: 12345\n\n", [message("0")], id="the second event"),
        pytest.param(b"data: 0\n\n: 0123456789", [message("0")], id="a comment behind an event"),
        pytest.param(
            b"id: 7\ndata\n\ndata: 1\n\nid: 8\nfoobar\n\n",
            [message("", "7"), message("1", "7")],
            id="the third event",
        ),
    ],
)
def test_an_event_beyond_the_bound_is_refused_and_those_before_it_are_not_lost(
    wire: bytes, events: list[Event]
) -> None:
    for chunks in every_cut(wire):
        outcome = decode(chunks, max_event_bytes=10)
        assert outcome.too_large
        assert outcome.events == events
        assert outcome.last_event_id == (events[-1].id if events else "")


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"data: 0123\n\n" * 3, id="data"),
        pytest.param(b"data:1\ndata\n\n" * 3, id="two data lines"),
        pytest.param(b"id: 1\ndata:\r\n\r\n" * 3, id="an id of each event"),
        pytest.param(b"id: 123456\n\ndata: 0123\n\n" * 3, id="the id of an earlier event"),
        pytest.param(b": 01234567\n" * 9, id="comments do not add up"),
        pytest.param(b"data:\n:0123\n:0123\n:0123\n\n", id="comments between data"),
        pytest.param(BOM + b"data: 0123\n\n", id="bom"),
        pytest.param(b"0123456789", id="an unfinished line"),
    ],
)
def test_what_fits_the_bound_exactly_is_read(wire: bytes) -> None:
    for chunks in every_cut(wire):
        outcome = decode(chunks, max_event_bytes=10)
        assert outcome == standard(wire.decode())


def test_after_a_refusal_every_call_raises() -> None:
    decoder = SSEDecoder(max_event_bytes=10)
    assert decoder.feed(b"data: 0\n\ndata: 12345\n\ndata: 2\n\n") == [message("0")]
    for chunk in (b"data: 3\n\n", b"\n\n", b""):
        with pytest.raises(EventTooLarge, match="an event exceeds 10 bytes"):
            decoder.feed(chunk)


def test_the_default_bound_is_one_mebibyte() -> None:
    longest = b"data: " + b"x" * ((1 << 20) - 6)
    assert [event.data for event in decode([longest, b"\n\n"]).events] == ["x" * ((1 << 20) - 6)]
    assert decode([longest, b"x\n\n"]).too_large


@pytest.mark.slow  # 262,144 calls; if each copied what is held, 2 TB would exceed any timeout
@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"x" * 64, id="one line"),
        pytest.param(b"\ndata: " + b"x" * 57, id="many lines"),
    ],
)
def test_the_work_grows_with_the_bytes_and_not_with_their_square(chunk: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=1 << 25)
    decoder.feed(b"data: ")
    for _ in range(1 << 18):
        decoder.feed(chunk)
    [event] = decoder.feed(b"\n\n")
    assert event.data == chunk.replace(b"data: ", b"").decode() * (1 << 18)


# --- the decoder and any bytes ------------------------------------------------------------------

PIECES = [
    *(b"data", b"event", b"id", b"retry", b"foo", b"x", b"7", b"data: x\r\n", b"id: 7\r"),
    *(b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\0"),
    *(BOM, b"\xef", b"\xbb", b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\xff", "é\u2028".encode()),
]
wires = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=60)
cuts = st.lists(st.integers(min_value=0), max_size=10)


@given(wires, cuts)
@example(BOM + BOM + b"data: x\r\n\r\n", [1, 2, 3, 4])
@example(b"data: x\r\ndata: y\r\n\r\n", [8, 17, 19])
def test_any_bytes_cut_anywhere_mean_what_the_standard_says(
    wire: bytes, positions: list[int]
) -> None:
    chunks = cut(wire, positions)
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    text = "".join([utf8.decode(chunk) for chunk in chunks] + [utf8.decode(b"", final=True)])
    assert decode(chunks) == decode([wire]) == standard(text)


@given(wires, cuts, st.integers(0, 40))
def test_the_bound_does_not_depend_on_the_cut(
    wire: bytes, positions: list[int], max_event_bytes: int
) -> None:
    outcome = decode(cut(wire, positions), max_event_bytes)
    assert outcome == decode([wire], max_event_bytes)
    events = standard(wire.decode(errors="replace")).events
    assert outcome.events == (events[: len(outcome.events)] if outcome.too_large else events)
