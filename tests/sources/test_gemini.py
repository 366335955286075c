"""What is true of `stream_gemini` alone: its request, its clients, its blocked prompts."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from google import genai

from streamkit.models import Finish, MissingKey, accumulate
from streamkit.models._source import ModelSource
from streamkit.sources.gemini import DEFAULT_MODEL, stream_gemini

from ._model_server import KEY, SAYINGS, frames, gemini, generativeai, outcome
from ._upstream_server import Exchange, Server, client_of, says, serving

ANSWER = frames(SAYINGS["gemini"]["text"])


def asked(server: Server, prompt: Any = "Hi", **more: Any) -> ModelSource:
    base = server.url.removesuffix("/stream")
    return stream_gemini(prompt, **{"api_key": KEY, "base_url": base, **more})


def body_of(exchange: Exchange) -> Any:
    return json.loads(exchange.body)


async def test_the_snippet_of_the_documentation_prints_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(says(ANSWER)) as server:
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url.removesuffix("/stream"))
        async for chunk in stream_gemini("Your prompt here"):
            print(chunk, end="", flush=True)  # noqa: T201 - that is the snippet
    assert capsys.readouterr().out == "Hello"
    [exchange] = server.exchanges
    assert exchange.headers["x-goog-api-key"] == KEY
    assert body_of(exchange) == {
        "contents": [{"role": "user", "parts": [{"text": "Your prompt here"}]}]
    }


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (None, f"/v1beta/models/{DEFAULT_MODEL}"),
        ("m1", "/v1beta/models/m1"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine"),
        ("../../admin?x=", "/v1beta///admin%3Fx%3D"),
    ],
)
async def test_the_model_is_a_place_below_the_version_and_leads_nowhere_else(
    model: str | None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_MODEL", raising=False)
    async with serving(says(ANSWER)) as server:
        await outcome(asked(server, model=model))
    assert server.exchanges[0].target == f"{path}:streamGenerateContent?alt=sse"


async def test_the_model_and_the_version_may_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_MODEL", "m2")
    async with serving(says(ANSWER)) as server:
        await outcome(asked(server, api_version="v1"))
    assert server.exchanges[0].target.startswith("/v1/models/m2:")


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "parts": [{"text": "And now?"}]},
]


@pytest.mark.parametrize("carrier", ["wire", "genai"])
async def test_a_conversation_may_be_written_as_openai_has_it(carrier: str) -> None:
    async with serving(says(ANSWER)) as server, client_of(httpx2) as client:
        more: dict[str, Any] = {"client": client}
        if carrier == "genai":
            options = {
                "base_url": server.url.removesuffix("/stream"),
                "api_version": "v1beta",
                "httpx_async_client": client,
            }
            made = genai.Client(api_key=KEY, http_options=options)  # type: ignore[arg-type]
            more = {"client": made, "api_key": None, "base_url": None}
        config = {"generationConfig": {"temperature": 0.5}, "safetySettings": None}
        tools = [{"functionDeclarations": [{"name": "look"}]}]
        source = asked(server, CONVERSATION, tools=tools, options=config, **more)
        events, failure = await outcome(source)
        if carrier == "genai":
            made.close()
    assert failure is None
    assert accumulate(events).text == "Hello"
    assert body_of(server.exchanges[0]) == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "user", "parts": [{"text": "And now?"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"temperature": 0.5},
        "tools": tools,
    }


def test_a_content_that_is_not_text_is_refused_with_the_mend() -> None:
    with pytest.raises(TypeError, match="'parts'"):
        stream_gemini([{"role": "user", "content": [{"type": "image_url"}]}])


async def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(MissingKey, match="GEMINI_API_KEY"):
        await anext(stream_gemini("Hi"))


async def test_a_blocked_prompt_is_a_finish_without_text() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m1"}
    async with serving(says(frames([blocked]))) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "content-filter"


async def test_an_empty_key_is_for_servers_that_want_none() -> None:
    async with serving(says(ANSWER)) as server:
        await outcome(asked(server, api_key=""))
    assert "x-goog-api-key" not in server.exchanges[0].headers


async def test_a_client_that_cannot_carry_it_is_refused() -> None:
    with pytest.raises(TypeError, match="not object"):
        stream_gemini("Hi", client=object())


def test_a_deprecated_model_has_its_own_name_tools_and_options() -> None:
    model = generativeai.GenerativeModel("m1")
    refused: list[dict[str, Any]] = [{"model": "m2"}, {"tools": []}, {"options": {}}]
    for more in [*refused, {"api_key": "k"}]:
        with pytest.raises(TypeError, match="is the affair of the client"):
            stream_gemini("Hi", client=model, **more)
    with pytest.raises(TypeError, match="its own system_instruction"):
        stream_gemini(CONVERSATION, client=model)


async def test_a_continuation_that_is_asked_for_is_told() -> None:
    told = gemini({"text": "Hel"}, finish="CONTINUATION", candidate={"continuationToken": "t1"})
    async with serving(says(frames([told]))) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert events[-1] == Finish("other", "CONTINUATION")
