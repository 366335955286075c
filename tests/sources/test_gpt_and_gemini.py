"""Whoever is asked, and whoever carries it, an answer has one shape."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.models import Citation, Finish, Start, ToolCall, Usage, accumulate

from ..conftest import anyio_backend
from ._model_server import Asker, asker, outcome, says_all
from ._upstream_server import serving

__all__ = ("anyio_backend", "asker")  # fixtures; uvloop tells nothing new here

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp:DeprecationWarning")


async def test_an_answer_is_text_between_one_start_and_one_finish(asker: Asker) -> None:
    async with (
        serving(says_all(asker, asker.answer("text"))) as server,
        asker.asking(server) as source,
    ):
        events, failure = await outcome(source)
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    assert failure is None
    assert isinstance(events[0], Start)
    assert events[0].model == "m1"
    assert "".join(map(str, events)) == "Hello"
    assert [event for event in events if isinstance(event, Finish)] == [events[-1]]
    answer = accumulate(events)
    assert answer.finish is not None
    assert answer.finish.reason == "stop"
    assert answer.usage == Usage(input=3, output=2, total=5)


async def test_thoughts_are_told_apart_from_the_answer(asker: Asker) -> None:
    async with (
        serving(says_all(asker, asker.answer("reasoning"))) as server,
        asker.asking(server) as source,
    ):
        events, _ = await outcome(source)
    answer = accumulate(events)
    if asker.name == "generativeai rest":  # the package is older than thoughts
        assert answer.text == "Hm. Yes"
    else:
        assert (answer.reasoning, answer.text) == ("Hm. ", "Yes")


async def test_a_tool_call_comes_when_it_is_complete(asker: Asker) -> None:
    async with (
        serving(says_all(asker, asker.answer("tools"))) as server,
        asker.asking(server) as source,
    ):
        events, _ = await outcome(source)
    [call] = [event for event in events if isinstance(event, ToolCall)]
    assert (call.name, call.arguments.replace(" ", "").replace(".0", "")) == ("look", '{"a":1}')
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == ("stop" if asker.wire == "responses" else "tool-calls") or (
        events[-1].reason == "tool-calls"
    )


async def test_sources_are_told(asker: Asker) -> None:
    async with (
        serving(says_all(asker, asker.answer("sources"))) as server,
        asker.asking(server) as source,
    ):
        events, _ = await outcome(source)
    answer = accumulate(events)
    assert answer.text == "Yes"
    [cited] = answer.sources
    assert (cited.url, cited.title) == ("https://example.org/page", "Page")
    assert isinstance(cited, Citation)


async def test_bytes_may_come_one_by_one(asker: Asker) -> None:
    pieces = [bytes([byte]) for byte in asker.answer("text")]
    async with serving(says_all(asker, *pieces)) as server, asker.asking(server) as source:
        events, failure = await outcome(source)
    assert failure is None
    assert "".join(map(str, events)) == "Hello"


async def test_a_line_separator_in_a_text_is_no_line_end(asker: Asker) -> None:
    data = asker.answer("text").replace(b"Hel", "H\u2028\u0085l".encode())
    async with serving(says_all(asker, data)) as server, asker.asking(server) as source:
        events, failure = await outcome(source)
    assert failure is None
    assert "".join(map(str, events)) == "H\u2028\u0085llo"


async def test_the_request_carries_prompt_key_and_options(asker: Asker) -> None:
    more: dict[str, Any] = {}
    if asker.name != "generativeai rest":
        field = "generationConfig" if asker.wire == "gemini" else "temperature"
        more["options"] = {field: {"temperature": 0.5} if asker.wire == "gemini" else 0.5}
        more["model"] = "m1"
    async with (
        serving(says_all(asker, asker.answer("text"))) as server,
        asker.asking(server, **more) as source,
    ):
        await outcome(source)
    [exchange] = server.exchanges
    assert exchange.method == "POST"
    assert b"Hi" in exchange.body
    assert (b"0.5" in exchange.body) == bool(more)
    assert "m1" in exchange.target or b'"m1"' in exchange.body
    assert "key-that-nobody-may-see" in str(exchange.headers)
    assert "key-that-nobody-may-see" not in exchange.target
