"""Lines come out whole, whatever way their bytes were cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit import Line, as_bytes
from streamkit._items.lines import LineDecoder, Lines
from streamkit.sources.process import Exit


def flags(line: Line) -> str:
    names = ("overwritten", "partial", "cut")
    return " ".join(name for name in names if getattr(line, name))


def decode(chunks: list[bytes], max_line: int = 1000) -> list[tuple[str, str]]:
    decoder = LineDecoder(max_line=max_line)
    lines = [line for chunk in chunks for line in decoder.feed(chunk)]
    return [(str(line), flags(line)) for line in [*lines, *decoder.end()]]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    for position in range(len(data) + 1):
        yield [data[:position], data[position:]]
    yield [data[position : position + 1] for position in range(len(data))]


def reference(data: bytes) -> list[tuple[str, str]]:
    """Decode all of it, then split: what the decoder must give however its input is cut."""
    parts = re.split("(\r\n|\r|\n)", data.decode(errors="replace"))
    lines = [
        (text, "overwritten" if end == "\r" else "")
        for text, end in zip(parts[::2], parts[1::2], strict=False)
    ]
    return lines + ([(parts[-1], "")] if parts[-1] else [])


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"one\ntwo\n", [("one", ""), ("two", "")], id="two lines"),
        pytest.param(b"one\r\ntwo\r\n", [("one", ""), ("two", "")], id="crlf"),
        pytest.param(b"10%\r20%\r\n", [("10%", "overwritten"), ("20%", "")], id="progress bar"),
        pytest.param(b"10%\r", [("10%", "overwritten")], id="cr at the end"),
        pytest.param(b"a\r\rb", [("a", "overwritten"), ("", "overwritten"), ("b", "")], id="cr cr"),
        pytest.param(b"\n\n", [("", ""), ("", "")], id="empty lines"),
        pytest.param(b"no end", [("no end", "")], id="no end"),
        pytest.param("héllo €🚀\n".encode(), [("héllo €🚀", "")], id="characters of many bytes"),
        pytest.param(b"bad \xff\xe9\n", [("bad \ufffd\ufffd", "")], id="bad utf-8"),
        pytest.param(b"cut \xe2\x82", [("cut \ufffd", "")], id="utf-8 that ends too early"),
        pytest.param("a\u2028b\x85c\n".encode(), [("a\u2028b\x85c", "")], id="other separators"),
        pytest.param(b"a\0b\n", [("a\0b", "")], id="nul"),
    ],
)
def test_lines_are_the_same_for_every_cut(data: bytes, lines: list[tuple[str, str]]) -> None:
    assert reference(data) == lines
    for chunks in every_cut(data):
        assert decode(chunks) == lines


pieces = st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "é".encode(), b"\xe2\x82", b"\xff", b" x"])


@given(st.lists(pieces).map(b"".join), st.lists(st.integers(0, 200)))
@example(b"a\nb\r", [2])
def test_any_bytes_cut_anywhere_are_the_same_lines(data: bytes, positions: list[int]) -> None:
    edges = sorted({0, len(data), *(position % (len(data) + 1) for position in positions)})
    assert decode([data[start:end] for start, end in pairwise(edges)]) == reference(data)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_a_line_that_is_too_long_comes_in_pieces_that_join_to_it(data: bytes, most: int) -> None:
    whole = [line for line, _ in reference(data)]
    for chunks in ([data], [data[start : start + 1] for start in range(len(data))]):
        joined: list[str] = []
        text = ""
        for piece, flag in decode(chunks, max_line=most):
            assert len(piece) <= most
            assert (len(piece) == most) >= ("cut" in flag)
            text += piece
            if "cut" not in flag:
                joined.append(text)
                text = ""
        assert (joined, text) == (whole, "")


def test_ten_megabytes_without_an_end_come_in_pieces_and_the_next_line_is_whole() -> None:
    decoder = LineDecoder()
    chunk = b"x" * (1 << 16)
    lines = [line for _ in range(160) for line in decoder.feed(chunk)]
    lines += decoder.feed(b"\nnext\n")
    assert [line.cut for line in lines] == [True] * 159 + [False, False]
    assert lines[-1] == "next"


def test_a_prompt_is_told_once_and_comes_again_when_it_is_whole() -> None:
    decoder = LineDecoder()
    assert decoder.pause() == []
    assert decoder.feed(b"Password: ") == []
    [prompt] = decoder.pause()
    assert (prompt, prompt.partial) == ("Password: ", True)
    assert decoder.pause() == []
    assert decoder.feed(b"*") == []
    assert decoder.pause() == ["Password: *"]
    [line] = decoder.feed(b"\n")
    assert (line, line.partial) == ("Password: *", False)


@pytest.mark.parametrize("rest", [b"\n20%\r", b"20%\r"], ids=["a late LF", "the next step"])
def test_a_step_of_a_progress_bar_does_not_wait_for_the_next_one(rest: bytes) -> None:
    decoder = LineDecoder()
    assert decoder.feed(b"10%\r") == []
    [step] = decoder.pause()
    assert (step, step.overwritten) == ("10%", True)
    assert decoder.feed(rest) == []
    assert decoder.pause() == ["20%"]


def test_plain_lines_are_passed_on_as_they_are_and_split_when_somebody_looks() -> None:
    lines = LineDecoder(stream="stdout").feed("one\ntwö\n".encode())
    assert isinstance(lines, Lines)
    assert lines.raw == "one\ntwö\n".encode()
    assert len(lines) == 2
    assert list(lines) == ["one", "twö"]
    assert lines[0].stream == lines[-1].stream == "stdout"
    assert lines[:1] == ["one"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(Line("a"), "a\n", id="whole"),
        pytest.param(Line("a", overwritten=True), "a\r", id="overwritten"),
        pytest.param(Line("a", partial=True), "", id="partial"),
        pytest.param(Line("a", cut=True), "a", id="cut"),
    ],
)
def test_the_text_of_a_line_has_its_end(line: Line, text: str) -> None:
    assert line.to_text() == text


def test_bytes_are_the_text_of_a_line_and_nothing_of_an_exit() -> None:
    encoder = as_bytes.encoder()
    assert encoder.one(Line("a", overwritten=True)) == b"a\r"
    assert encoder.one(cast("str", Exit(0, None, "exit", 0.1, orphans=False))) == b""


def test_lines_that_do_not_end_with_their_chunk_are_passed_on_as_they_are_too() -> None:
    decoder = LineDecoder()
    for _ in range(3):
        assert isinstance(decoder.feed(b"es\nyes\ny"), Lines)
    assert decoder.feed("é".encode()[:1]) == []
    lines = decoder.feed("é".encode()[1:] + b"s\n")
    assert isinstance(lines, Lines)
    assert list(lines) == ["yés"]


def test_another_text_may_come_like_a_line() -> None:
    line = Line("a secret", stream="stderr", overwritten=True, cut=True)
    other = line.like(line.replace("secret", "***"))
    assert other == "a ***"
    assert (other.stream, other.overwritten, other.partial, other.cut) == (
        "stderr",
        True,
        False,
        True,
    )


def test_a_bound_without_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="max_line is at least one character, not 0"):
        LineDecoder(max_line=0)
