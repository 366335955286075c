"""What providers say on their wires, and who can ask them: the two axes of the model tests."""

from __future__ import annotations

import gc
import importlib
import json
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import httpx2
import openai
import pytest
from anyio import fail_after
from google import genai

from streamkit.models import ModelEvent, ModelFailed
from streamkit.models._source import ModelSource
from streamkit.sources.gemini import stream_gemini
from streamkit.sources.openai import stream_gpt

with warnings.catch_warnings():  # that it is deprecated, and about the age of Python
    warnings.simplefilter("ignore")
    generativeai: Any = importlib.import_module("google.generativeai")
    _clients: Any = importlib.import_module("google.generativeai.client")

from ._upstream_server import EVENTS, Cut, Exchange, Script, Server

KEY = "key-that-nobody-may-see"

Chunk: TypeAlias = dict[str, Any]


# One chunk of each wire.


def chat(delta: Chunk | None = None, finish: str | None = None, **more: Any) -> Chunk:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {
        "id": "c1",
        "model": "m1",
        "object": "chat.completion.chunk",
        "choices": [choice],
        **more,
    }


def responses(type: str, **more: Any) -> Chunk:
    return {"type": f"response.{type}", "sequence_number": 0, **more}


def gemini(*parts: Chunk, finish: str | None = None, candidate: Chunk | None = None) -> Chunk:
    told = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **(candidate or {})}
    if finish:
        told["finishReason"] = finish
    return {"candidates": [told], "responseId": "g1", "modelVersion": "m1"}


# What each wire says for the same thing.

_CREATED = responses("created", response={"id": "r1", "model": "m1", "status": "in_progress"})
_COMPLETED = responses(
    "completed",
    response={
        "id": "r1",
        "model": "m1",
        "status": "completed",
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    },
)
_CALL = {"type": "function_call", "id": "i1", "call_id": "call_1", "name": "look", "arguments": ""}
_URL = "https://example.org/page"


def _said(text: str, kind: str = "output_text") -> Chunk:
    return responses(
        f"{kind}.delta", item_id="i1", output_index=0, content_index=0, summary_index=0, delta=text
    )


SAYINGS: dict[str, dict[str, list[Chunk]]] = {
    "chat": {
        "text": [
            chat({"role": "assistant", "content": ""}),
            chat({"content": "Hel"}),
            chat({"content": "lo"}),
            chat(finish="stop"),
            {
                "id": "c1",
                "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            },
        ],
        "reasoning": [
            chat({"reasoning_content": "Hm. "}),
            chat({"content": "Yes"}),
            chat(finish="stop"),
        ],
        "tools": [
            chat(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "look", "arguments": '{"a":'},
                        }
                    ]
                }
            ),
            chat({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
            chat(finish="tool_calls"),
        ],
        "sources": [
            chat({"content": "Yes"}),
            chat(
                {
                    "annotations": [
                        {"type": "url_citation", "url_citation": {"url": _URL, "title": "Page"}}
                    ]
                }
            ),
            chat(finish="stop"),
        ],
    },
    "responses": {
        "text": [_CREATED, _said("Hel"), _said("lo"), _COMPLETED],
        "reasoning": [
            _CREATED,
            _said("Hm. ", "reasoning_summary_text"),
            _said("Yes"),
            _COMPLETED,
        ],
        "tools": [
            _CREATED,
            responses("output_item.added", output_index=0, item=_CALL),
            _said('{"a":', "function_call_arguments"),
            _said("1}", "function_call_arguments"),
            responses("output_item.done", output_index=0, item={**_CALL, "arguments": '{"a":1}'}),
            _COMPLETED,
        ],
        "sources": [
            _CREATED,
            _said("Yes"),
            responses(
                "output_text.annotation.added",
                item_id="i1",
                output_index=0,
                content_index=0,
                annotation_index=0,
                annotation={
                    "type": "url_citation",
                    "url": _URL,
                    "title": "Page",
                    "start_index": 0,
                    "end_index": 3,
                },
            ),
            _COMPLETED,
        ],
    },
    "gemini": {
        "text": [
            gemini({"text": "Hel"}),
            {
                **gemini({"text": "lo"}, finish="STOP"),
                "usageMetadata": {
                    "promptTokenCount": 3,
                    "candidatesTokenCount": 2,
                    "totalTokenCount": 5,
                },
            },
        ],
        "reasoning": [
            gemini({"text": "Hm. ", "thought": True}),
            gemini({"text": "Yes"}, finish="STOP"),
        ],
        "tools": [
            gemini({"functionCall": {"name": "look", "args": {"a": 1}}}, finish="STOP"),
        ],
        "sources": [
            gemini({"text": "Yes"}),
            gemini(
                finish="STOP",
                candidate={
                    "groundingMetadata": {
                        "groundingChunks": [{"web": {"uri": _URL, "title": "Page"}}]
                    }
                },
            ),
        ],
    },
}


def opening(wire: str) -> list[Chunk]:
    """Return the beginning of an answer, up to its first word."""
    told = SAYINGS[wire]["text"]
    return told[:1] if wire == "gemini" else told[:2]


def frames(chunks: list[Chunk], *, done: bool = False, ascii: bool = True) -> bytes:
    """Return an event stream of them."""
    texts = [json.dumps(chunk, ensure_ascii=ascii) for chunk in chunks] + ["[DONE]"] * done
    return b"".join(b"data: %b\n\n" % text.encode() for text in texts)


def array(chunks: list[Chunk], *, end: bool = True) -> bytes:
    """Return the JSON array that Google sends over REST without `alt=sse`."""
    text = ",\r\n".join(json.dumps(chunk) for chunk in chunks)
    return f"[{text}{']' * end}".encode()


# Who asks.


@dataclass(frozen=True)
class Asker:
    """A wire, and who carries it."""

    name: str
    wire: str
    begin: Callable[[Server, AsyncExitStack, dict[str, Any]], ModelSource]
    trio: bool = True
    encode: Callable[..., bytes] = frames
    type: str = EVENTS

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def answer(self, saying: str) -> bytes:
        """Return a whole answer as it is on the wire."""
        chunks = SAYINGS[self.wire][saying]
        return frames(chunks, done=True) if self.wire == "chat" else self.encode(chunks)

    @asynccontextmanager
    async def asking(self, server: Server, **more: Any) -> AsyncIterator[ModelSource]:
        """Ask, and close all that was opened for it."""
        async with AsyncExitStack() as stack:
            source = self.begin(server, stack, more)
            stack.push_async_callback(source.aclose)
            yield source


def _base(server: Server) -> str:
    return server.url.removesuffix("/stream")


def _wired(package: Any, source: Any, **fixed: Any) -> Any:
    def begin(server: Server, stack: AsyncExitStack, more: dict[str, Any]) -> ModelSource:
        client = None
        if package is not None:
            client = package.AsyncClient(trust_env=False)
            stack.push_async_callback(client.aclose)
        asked: ModelSource = source(
            "Hi", client=client, api_key=KEY, base_url=_base(server), **{**fixed, **more}
        )
        return asked

    return begin


def _by_openai(api: str, package: Any = None, kind: str = "AsyncOpenAI") -> Any:
    def begin(server: Server, stack: AsyncExitStack, more: dict[str, Any]) -> ModelSource:
        own: dict[str, Any] = {"base_url": _base(server)}
        if kind == "AsyncAzureOpenAI":
            own = {"azure_endpoint": _base(server), "api_version": "2026-01-01"}
        client = getattr(openai, kind)(
            api_key=KEY,
            max_retries=more.pop("retries", 2),
            http_client=None if package is None else package.AsyncClient(trust_env=False),
            **own,
        )
        stack.push_async_callback(client.close)
        return stream_gpt("Hi", client=client, api=api, **more)  # type: ignore[arg-type]

    return begin


def _by_default(api: str) -> Any:
    def begin(server: Server, stack: AsyncExitStack, more: dict[str, Any]) -> ModelSource:
        return stream_gpt("Hi", api_key=KEY, base_url=_base(server), api=api, **more)  # type: ignore[arg-type]

    return begin


def _by_genai(package: Any) -> Any:
    def begin(server: Server, stack: AsyncExitStack, more: dict[str, Any]) -> ModelSource:
        more.pop("retries", None)
        options: dict[str, Any] = {"base_url": _base(server), "api_version": "v1beta"}
        if package is not None:
            options["httpx_async_client"] = package.AsyncClient(trust_env=False)
            stack.push_async_callback(options["httpx_async_client"].aclose)
        client = genai.Client(api_key=KEY, http_options=options)  # type: ignore[arg-type]  # a dict will do
        stack.callback(client.close)
        stack.push_async_callback(client.aio.aclose)
        return stream_gemini("Hi", client=client, **more)

    return begin


def _by_generativeai(server: Server, stack: AsyncExitStack, more: dict[str, Any]) -> ModelSource:
    more.pop("retries", None)
    options = {"api_endpoint": _base(server)}
    generativeai.configure(api_key=KEY, transport="rest", client_options=options)
    stack.callback(_close_generativeai)
    return stream_gemini("Hi", client=generativeai.GenerativeModel("m1"), **more)


def _close_generativeai() -> None:
    for client in _clients._client_manager.clients.values():
        client.transport.close()
    generativeai.configure(api_key=KEY)


ASKERS = [
    Asker("chat httpx", "chat", _wired(httpx, stream_gpt)),
    Asker("chat httpx2", "chat", _wired(httpx2, stream_gpt)),
    Asker("chat openai", "chat", _by_openai("chat")),
    Asker("chat openai httpx", "chat", _by_openai("chat", httpx)),
    Asker("chat azure", "chat", _by_openai("chat", kind="AsyncAzureOpenAI")),
    Asker("chat default", "chat", _by_default("chat")),
    Asker("responses httpx2", "responses", _wired(httpx2, stream_gpt, api="responses")),
    Asker("responses openai", "responses", _by_openai("responses")),
    Asker("gemini wire", "gemini", _wired(None, stream_gemini)),
    Asker("gemini httpx", "gemini", _wired(httpx, stream_gemini)),
    Asker("gemini httpx2", "gemini", _wired(httpx2, stream_gemini)),
    Asker("genai aiohttp", "gemini", _by_genai(None), trio=False),
    Asker("genai httpx2", "gemini", _by_genai(httpx2)),
    Asker("generativeai rest", "gemini", _by_generativeai, encode=array, type="application/json"),
]


@pytest.fixture(params=ASKERS, ids=str)
def asker(request: pytest.FixtureRequest, anyio_backend: object) -> Iterator[Asker]:
    """Give each who asks, on each event loop where it can."""
    asked: Asker = request.param
    yield asked
    if asked.name == "generativeai rest":
        for thread in threading.enumerate():
            if thread.name == "streamkit-source":
                thread.join(1.0)
        gc.collect()  # urllib3 leaves it to the collector to close its connections


def can_ask(item: pytest.Item) -> bool:
    """Tell whether a test is about somebody who asks on an event loop where that is possible."""
    params = (
        item.callspec.params
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else {}
    )
    asked = params.get("asker")
    if not isinstance(asked, Asker) or "trio" not in str(params.get("anyio_backend")):
        return True
    # This one's SDK leaves generators to the collector when it fails, and trio warns of that.
    untidy = asked.name == "genai httpx2" and item.get_closest_marker("sdk_fails") is not None
    return asked.trio and not untidy


# What the server does, besides what is in `_upstream_server`.


def says_all(asker: Asker, *chunks: bytes, cut: bool = False, wait: bool = False) -> Script:
    """Answer with these bytes, in the content type that the asker expects."""

    async def script(exchange: Exchange) -> None:
        await exchange.head(200, asker.type)
        for chunk in chunks:
            await exchange.send(chunk)
        if wait:
            await exchange.client_left.wait()
        if cut:
            raise Cut

    return script


async def assert_closed(server: Server) -> None:
    """See that the connection is closed within what is promised."""
    with fail_after(0.5):
        await server.exchanges[-1].client_left.wait()


async def never_answers(exchange: Exchange) -> None:
    """Take the request and say nothing."""
    await exchange.client_left.wait()


async def outcome(source: ModelSource) -> tuple[list[ModelEvent], ModelFailed | None]:
    """Return all that a source yields, and what it raises."""
    events: list[ModelEvent] = []
    try:
        async for event in source:
            events.append(event)  # noqa: PERF401 - what came before an error counts
    except ModelFailed as error:
        return events, error
    return events, None
