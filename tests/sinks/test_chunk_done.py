"""`{"chunk", "done"}`, byte for byte, in a request and over a stream that is followed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from streamkit import Event, Line, Streams
from streamkit.errors import ItemRefused, ReservedType, ServerStopping, StreamCancelled
from streamkit.models import Data, Error, Finish, Start, Text, ToolCall, Usage
from streamkit.sinks.chunk_done import as_chunk_done

from .old_shapes import followed, requested, without_ids

ANSWER: list[object] = [
    Start("id", "model", "provider"),
    Text("I think", tone="reasoning"),
    Text("text"),
    ToolCall("1", "look", "{}"),
    Text(" more"),
    Usage(1, 2, 3),
    Data("x", 1),
    Finish("stop"),
]
FRAMES = b"""\
data: {"chunk": "text", "done": false}

data: {"chunk": " more", "done": false}

"""
DONE = b'data: {"chunk": "", "done": true}\nid: end\n\n'


def one(item: object) -> bytes:
    return as_chunk_done.encoder().one(item)


@pytest.mark.parametrize("answer", [ANSWER, ["text", " more"]], ids=["model", "str"])
async def test_an_answer_is_its_text_and_an_end(answer: list[object]) -> None:
    assert await requested(answer, as_chunk_done) == FRAMES + DONE


TEXTS = [
    pytest.param("", b"", id="nothing"),
    pytest.param('"ü"\n\u2028', '"\\"ü\\"\\n\u2028"'.encode(), id="what JSON quotes"),
    pytest.param("\ud800", '"\ufffd"'.encode(), id="a lone surrogate"),
    pytest.param(Text("no", tone="refusal"), b'"no"', id="a refusal"),
    pytest.param(Line("a line"), b'"a line\\n"', id="a line"),
    pytest.param({"a": 1}, b'"{\\"a\\":1}\\n"', id="a value"),
    pytest.param(Event("note", "b"), b'"b"', id="an event"),
    pytest.param(Error("code", "message"), b"", id="an error, which the source raises as well"),
]


@pytest.mark.parametrize(("item", "text"), TEXTS)
def test_a_chunk_is_what_an_item_is_as_text(item: object, text: bytes) -> None:
    assert one(item) == (b'data: {"chunk": %b, "done": false}\n\n' % text if text else b"")


def test_bytes_and_reserved_events_are_refused() -> None:
    with pytest.raises(ItemRefused, match="as_chunk_done takes text"):
        one(b"x")
    with pytest.raises(ReservedType):
        one(Event("end"))


def test_a_failure_is_an_error_that_is_done() -> None:
    encoder = as_chunk_done.encoder()
    failed = encoder.error("some-code", 'it "failed"')
    assert failed == b'data: {"error": "it \\"failed\\"", "done": true}\nid: end\n\n'
    stopped = encoder.error(ServerStopping.code, "stop")
    assert stopped == b'data: {"error": "stop", "done": true}\n\n'


@pytest.mark.parametrize("answer", [ANSWER, ["text", " more"]], ids=["model", "str"])
async def test_a_follower_gets_what_a_request_does(answer: list[object]) -> None:
    async with Streams() as streams:
        following = await streams.start("answer", answer)
        sent = await followed(following, as_chunk_done)
    assert without_ids(sent) == without_ids(FRAMES + DONE)
    *_, last = sent.split(b"\n\n")[:-1]
    assert last.startswith(b'data: {"chunk": "", "done": true}\nid: ')


async def test_a_follower_of_what_went_wrong_is_told_once() -> None:
    async def fails() -> Any:
        yield "text"
        raise RuntimeError("secret")

    async with Streams() as streams:
        sent = without_ids(await followed(await streams.start("fails", fails()), as_chunk_done))
    assert sent == (
        b'data: {"chunk": "text", "done": false}\n\n'
        b'data: {"error": "The source failed.", "done": true}\n\n'
    )


async def test_a_follower_of_what_was_cancelled_is_told_too() -> None:
    async with Streams() as streams:
        with suppress(StreamCancelled):
            async with streams.open("cancelled") as stream:
                await stream.send("text")
                await streams.cancel("cancelled", "enough")
        sent = without_ids(await followed(streams.follow("cancelled"), as_chunk_done))
    assert sent.endswith(b'data: {"error": "the stream was cancelled: enough", "done": true}\n\n')


def test_a_follower_is_told_when_to_come_back_and_kept_alive() -> None:
    encoder = as_chunk_done.encoder()
    assert encoder.come_back(2000) == b"retry: 2000\n"
    assert encoder.keep_alive == b": keep-alive\n\n"
