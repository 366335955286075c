"""The answer of a model lives in a stream: it can be replayed, and a failed one is never done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from streamkit import Format, Streams, as_jsonl, as_sse, as_text
from streamkit._feeding.handover import Handover
from streamkit.errors import StreamFailed
from streamkit.models import Error, Finish, ModelEvent, ModelFailed, Text, accumulate, from_event
from streamkit.models._wires.chat import ChatWire
from streamkit.models._wires.gemini import GeminiWire
from streamkit.models._wires.responses import ResponsesWire
from streamkit.models._wires.wire import Wire

from .._streams.fakes import body, read
from ..fakes import drain

CHUNKS: dict[type[Wire], list[dict[str, Any]]] = {
    ChatWire: [
        {"id": "c", "model": "m", "choices": [{"delta": {"reasoning_content": "Hm\u2028\n"}}]},
        {"choices": [{"delta": {"content": 'H"i\n\n'}}]},
        {"choices": [{"delta": {"tool_calls": [{"id": "a", "function": {"name": "now"}}]}}]},
        {"choices": [{"delta": {"refusal": "\U0001f600 no"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ],
    ResponsesWire: [
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"},
        {
            "type": "response.output_text.annotation.added",
            "annotation": {"type": "url_citation", "url": "https://example.org/", "title": "E"},
        },
        {"type": "response.brand.new", "value": [1, None, {"ü": 1.5}]},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 3}}},
    ],
    GeminiWire: [
        {"candidates": [{"content": {"parts": [{"text": "Hm", "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "Hi", "thoughtSignature": "c2ln"}]}}]},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 4}},
    ],
}
FORMATS = [as_sse, as_text, as_jsonl]


async def answering(wire: Wire, chunks: list[dict[str, Any]]) -> AsyncGenerator[ModelEvent, None]:
    """Be a model source without a network: what a mapper gives, then what a failure raises."""
    for chunk in chunks:
        await checkpoint()
        for event in wire.feed(chunk):
            yield event
    for event in wire.end():
        yield event
    if wire.error is not None:
        raise ModelFailed(wire.error)


async def of_a_request(source: AsyncGenerator[ModelEvent, None], format: Format[Any]) -> bytes:
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, format.encoder())
        sent = await drain(hand)
    return sent  # noqa: RET504 - to mypy, the group may swallow a return inside it


def without_ids(sent: bytes) -> list[bytes]:
    return [line for line in sent.split(b"\n") if not line.startswith(b"id: ")]


@pytest.mark.parametrize("format", FORMATS, ids=repr)
@pytest.mark.parametrize("kind", CHUNKS)
async def test_a_follower_gets_the_bytes_of_an_answer_that_a_request_would(
    streams: Streams, kind: type[Wire], format: Format[Any]
) -> None:
    following = await streams.start("answer", answering(kind(), CHUNKS[kind]))
    kept = await body(following, format)
    assert kept
    sent = await of_a_request(answering(kind(), CHUNKS[kind]), format)
    assert without_ids(kept) == without_ids(sent)


@pytest.mark.parametrize("kind", CHUNKS)
async def test_an_answer_is_replayed_without_loss(streams: Streams, kind: type[Wire]) -> None:
    source = answering(kind(), CHUNKS[kind])
    told = [event async for event in answering(kind(), CHUNKS[kind])]
    await read(await streams.start("answer", source))
    events = [from_event(event) for event in await read(streams.follow("answer"))]
    assert events == told
    assert accumulate(events).finish == events[-1]


@pytest.mark.parametrize("kind", CHUNKS)
async def test_a_failed_answer_is_never_stored_as_done(streams: Streams, kind: type[Wire]) -> None:
    following = await streams.start("answer", answering(kind(), CHUNKS[kind][:-2]))
    events = []
    with pytest.raises(StreamFailed) as caught:
        async for event in following:
            events.append(from_event(event))  # noqa: PERF401 - what came before it failed
    assert caught.value.cause_code == ModelFailed.code
    assert isinstance(events[-2], Error)
    assert events[-1] == Finish("error")
    assert (await streams.status("answer"))["state"] == "error"


async def test_the_text_of_a_kept_answer_is_its_text(streams: Streams) -> None:
    following = await streams.start("answer", [Text("Hm", "reasoning"), Text("Hi"), Text("!")])
    assert "".join(map(str, await read(following))) == "Hi!"
