"""A provider is chosen by its name; the echo needs no key."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from streamkit import as_text
from streamkit._feeding.handover import Handover
from streamkit.models import Finish, Start, UnknownProvider, accumulate
from streamkit.sources import any_model
from streamkit.sources.any_model import PROVIDERS, stream_llm, stream_model

from ..fakes import drain, feed_until, while_the_source_waits
from ._model_server import KEY, SAYINGS, frames
from ._upstream_server import says, serving


@pytest.mark.parametrize(
    ("provider", "wire", "variable", "place"),
    [
        ("openai", "chat", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        ("gemini", "gemini", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    ],
)
async def test_the_snippets_of_the_documentation_ask_the_one_that_is_named(
    provider: str,
    wire: str,
    variable: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = frames(SAYINGS[wire]["text"], done=wire == "chat")
    async with serving(says(answer)) as server:
        monkeypatch.setenv(variable, KEY)
        monkeypatch.setenv(place, server.url.removesuffix("/stream"))
        async for chunk in stream_llm(provider, "Your prompt here"):
            print(chunk, end="", flush=True)  # noqa: T201 - that is the snippet
    assert capsys.readouterr().out == "Hello"
    assert b"Your prompt here" in server.exchanges[0].body


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownProvider) as caught:
        stream_model("<script>", "Hi")
    assert str(caught.value) == "this provider is not known; there are openai, gemini, echo"
    assert (caught.value.status, caught.value.code) == (400, "unknown-provider")
    assert list(PROVIDERS) == ["openai", "gemini", "echo"]


@pytest.mark.slow  # the echo speaks in words, with pauses
@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("Hello, you!", id="text"),
        pytest.param([{"role": "user", "content": "Hello, you!"}], id="message"),
        pytest.param([{"content": [{"type": "text", "text": "Hello, you!"}]}], id="part"),
        pytest.param([{"role": "user", "parts": [{"text": "Hello, you!"}]}], id="part of Gemini"),
    ],
)
async def test_the_echo_has_the_shape_of_an_answer(prompt: str | list[dict[str, Any]]) -> None:
    events = [event async for event in stream_model("echo", prompt)]
    assert events[0] == Start(model="echo", provider="echo")
    assert events[-1] == Finish("stop")
    assert accumulate(events).text == "Hello, you!"


async def test_the_echo_may_be_left() -> None:
    await feed_until(stream_model("echo", "Hello, you! " * 100), while_the_source_waits)


def test_the_echo_has_no_client() -> None:
    with pytest.raises(TypeError, match="no client"):
        stream_model("echo", "Hi", client=object())


async def test_the_echo_serves_as_text() -> None:
    hand = Handover()
    await hand.feed(stream_model("echo", "Hi"), as_text.encoder())
    assert await drain(hand) == b"Hi"


def test_the_alias_is_the_same() -> None:
    assert importlib.import_module(any_model.__name__).stream_llm is stream_model
