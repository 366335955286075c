"""What is true of `stream_gpt` alone, or shown with it for all that read a bare wire."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import httpx
import httpx2
import openai
import pytest
from anyio import create_task_group, move_on_after, sleep

from streamkit import as_sse
from streamkit._feeding.handover import Handover
from streamkit.errors import MissingDependency
from streamkit.models import Data, Error, Finish, MissingKey, ModelFailed, PartEnd, accumulate
from streamkit.models._carriers.event_stream import EventStreamCarrier
from streamkit.models._source import ModelSource
from streamkit.sources import openai as source_module
from streamkit.sources.openai import DEFAULT_MODEL, stream_gpt
from streamkit.sources.upstream import Reconnect

from ..fakes import drain
from ._model_server import KEY, SAYINGS, chat, frames, outcome
from ._upstream_server import Exchange, Script, Server, client_of, refuses, says, serving, waits

ANSWER = frames(SAYINGS["chat"]["text"], done=True)


@pytest.fixture
def by_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it that the SDK is not installed."""
    monkeypatch.setattr(source_module, "_is_installed", lambda: False)


def asked(server: Server, prompt: Any = "Hi", **more: Any) -> ModelSource:
    base = server.url.removesuffix("/stream")
    return stream_gpt(prompt, **{"api_key": KEY, "base_url": base, **more})


def body_of(exchange: Exchange) -> Any:
    return json.loads(exchange.body)


async def test_the_snippet_of_the_documentation_prints_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(says(ANSWER)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url.removesuffix("/stream"))
        async for chunk in stream_gpt("Your prompt here"):
            print(chunk, end="", flush=True)  # noqa: T201 - that is the snippet
    assert capsys.readouterr().out == "Hello"
    [exchange] = server.exchanges
    assert body_of(exchange)["messages"] == [{"role": "user", "content": "Your prompt here"}]


@pytest.mark.usefixtures("by_wire")
async def test_without_the_sdk_the_bare_wire_serves_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says(ANSWER)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url.removesuffix("/stream") + "/")
        events, failure = await outcome(stream_gpt("Hi"))
    assert failure is None
    assert accumulate(events).text == "Hello"
    [exchange] = server.exchanges
    assert exchange.target == "/chat/completions"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert "openai" not in exchange.headers["user-agent"].lower()


async def test_the_model_is_the_argument_or_of_the_environment_or_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    async with serving(*[says(ANSWER)] * 3) as server:
        await outcome(asked(server))
        monkeypatch.setenv("OPENAI_MODEL", "m2")
        await outcome(asked(server))
        await outcome(asked(server, model="m3"))
    models = [body_of(exchange)["model"] for exchange in server.exchanges]
    assert models == [DEFAULT_MODEL, "m2", "m3"]


@pytest.mark.parametrize("installed", [True, False], ids=["sdk", "wire"])
@pytest.mark.parametrize("value", [None, ""])
async def test_a_missing_key_is_named_before_anything_is_sent(
    installed: bool, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_is_installed", lambda: installed)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(MissingKey) as caught:
        await anext(stream_gpt("Hi", base_url="http://127.0.0.1:1"))
    assert (caught.value.status, caught.value.code) == (500, "missing-key")
    assert "OPENAI_API_KEY" in str(caught.value)


@pytest.mark.usefixtures("by_wire")
async def test_an_empty_key_is_for_servers_that_want_none() -> None:
    async with serving(says(ANSWER)) as server:
        await outcome(asked(server, api_key=""))
    assert "authorization" not in server.exchanges[0].headers


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("installed", [True, False], ids=["sdk", "wire"])
async def test_the_request_is_the_same_whoever_carries_it(
    api: Any, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_is_installed", lambda: installed)
    answer = frames(SAYINGS[api]["text"])
    conversation = [{"role": "user", "content": "Hi"}]
    async with serving(says(answer)) as server:
        await outcome(
            asked(
                server,
                conversation,
                api=api,
                model="m1",
                tools=[{"type": "function"}],
                options={"temperature": 0, "stream_options": None, "my_own": {"a": 1}},
            )
        )
    [exchange] = server.exchanges
    name = "messages" if api == "chat" else "input"
    assert exchange.target == ("/chat/completions" if api == "chat" else "/responses")
    assert body_of(exchange) == {
        "model": "m1",
        name: conversation,
        "stream": True,
        "tools": [{"type": "function"}],
        "temperature": 0,
        "my_own": {"a": 1},
    }


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        pytest.param(lambda: openai.OpenAI(api_key="k"), "AsyncOpenAI", id="sync sdk"),
        pytest.param(httpx.Client, "AsyncClient", id="sync httpx"),
        pytest.param(object, "not object", id="anything"),
    ],
)
def test_a_client_that_cannot_carry_it_is_refused(client: Any, sentence: str) -> None:
    made = client()
    with pytest.raises(TypeError, match=sentence):
        stream_gpt("Hi", client=made)
    if made.__class__ is not object:
        made.close()


@pytest.mark.parametrize("name", ["api_key", "base_url"])
async def test_what_the_client_has_of_its_own_is_not_told_twice(name: str) -> None:
    async with openai.AsyncOpenAI(api_key="k") as client:
        with pytest.raises(TypeError, match=f"{name} is the affair of the client"):
            stream_gpt("Hi", client=client, **{name: "x"})  # type: ignore[arg-type]


def test_another_api_is_refused() -> None:
    with pytest.raises(ValueError, match="'chat' or 'responses', not 'assistants'"):
        stream_gpt("Hi", api="assistants")  # type: ignore[arg-type]


# Asking again.


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EventStreamCarrier, "retry", Reconnect(first=0.001))


@pytest.mark.usefixtures("by_wire")
@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_a_request_without_an_answer_is_sent_again(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    async with serving(refuses(status), refuses(status), says(ANSWER)) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert len(server.exchanges) == 3
    assert accumulate(events).text == "Hello"


@pytest.mark.usefixtures("by_wire")
@pytest.mark.parametrize(
    ("status", "times"), [(204, 1), (400, 1), (401, 1), (404, 1), (429, 3), (500, 3)]
)
async def test_it_is_sent_again_twice_at_most_and_only_where_patience_helps(
    status: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    async with serving(*[refuses(status)] * 3) as server:
        _, failure = await outcome(asked(server))
    assert len(server.exchanges) == times
    assert failure is not None
    assert failure.error.status == status


@pytest.mark.slow  # the wait is what is tested
@pytest.mark.usefixtures("by_wire")
@pytest.mark.parametrize("header", [{"Retry_After": "0"}, {"Retry_After_Ms": "50"}])
async def test_the_wish_of_the_provider_is_waited_for(header: dict[str, Any]) -> None:
    async with serving(refuses(429, **header), says(ANSWER)) as server:
        events, _ = await outcome(asked(server, first_timeout=5.0))
    assert accumulate(events).text == "Hello"


@pytest.mark.usefixtures("by_wire")
async def test_a_wish_beyond_the_first_timeout_is_the_refusal_at_once() -> None:
    async with serving(refuses(429, Retry_After="120")) as server:
        _, failure = await outcome(asked(server, first_timeout=60.0))
    assert failure is not None
    assert failure.error.status == 429


@pytest.mark.usefixtures("by_wire")
async def test_an_answer_that_has_begun_is_never_asked_for_again() -> None:
    opened = frames(SAYINGS["chat"]["text"][:2])
    async with serving(says(opened, cut=True), says(ANSWER)) as server:
        events, failure = await outcome(asked(server))
    assert len(server.exchanges) == 1
    assert failure is not None
    assert "".join(map(str, events)) == "Hel"


# The bare wire, however it comes.


@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_the_content_type_may_have_parameters_and_the_lines_any_end(package: Any) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(200, "Text/Event-Stream; charset=utf-8")
        data = b"\xef\xbb\xbf: hello\r\n\r\n" + ANSWER.replace(b"\n", b"\r\n")
        await exchange.send(data.replace(b"data: ", b"data:"))

    async with serving(script) as server, client_of(package) as client:
        events, failure = await outcome(asked(server, client=client))
    assert failure is None
    assert accumulate(events).text == "Hello"


async def test_done_without_a_finish_reason_is_complete() -> None:
    async with serving(says(frames([chat({"content": "Hello"})], done=True))) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert events[-1] == Finish("stop")


async def test_a_server_that_never_says_the_end_may_be_believed() -> None:
    async with serving(says(frames([chat({"content": "Hello"})]))) as server:
        events, failure = await outcome(asked(server, finish_required=False))
    assert failure is None
    assert events[-1] == Finish("stop")


@pytest.mark.slow  # the limit has to pass
async def test_after_the_finish_nobody_is_waited_for_long() -> None:
    finished = frames([chat({"content": "Hello"}), chat(finish="stop")])
    async with serving(waits(finished)) as server:
        source = asked(server)
        source.linger = 0.1
        events, failure = await outcome(source)
    assert failure is None
    assert events[-1] == Finish("stop", "stop")


async def test_what_came_before_broken_json_is_told_first() -> None:
    data = (
        frames([chat({"content": "Hel"})]) + b"data: {oops\n\n" + frames([chat({"content": "lo"})])
    )
    async with serving(says(data)) as server:
        events, failure = await outcome(asked(server))
    assert "".join(map(str, events)) == "Hel"
    assert failure is not None
    assert (events[-2], events[-1]) == (failure.error, Finish("error"))
    assert failure.error.code == "invalid-chunk"


@pytest.mark.parametrize("value", [b"[]", b"1", b'"x"', b"null"])
async def test_json_that_is_no_object_is_data(value: bytes) -> None:
    async with serving(says(b"data: " + value + b"\n\n" + ANSWER)) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert isinstance(events[1], Data)
    assert accumulate(events).text == "Hello"


async def test_an_event_beyond_the_bound_is_refused_after_those_before_it() -> None:
    data = frames([chat({"content": "Hel"}), chat({"content": "x" * 5000})])
    async with serving(waits(data)) as server:
        events, failure = await outcome(asked(server, max_event_bytes=1000))
        await server.exchanges[0].client_left.wait()
    assert "".join(map(str, events)) == "Hel"
    assert failure is not None
    assert failure.error.code == "event-too-large"


@pytest.mark.slow  # to send so much takes a moment
@pytest.mark.usefixtures("by_wire")
async def test_an_event_of_64_mib_is_refused_long_before_it_is_there() -> None:
    sent = 0

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.head()
        await exchange.send(frames([chat({"content": "Hel"})]) + b"data: ")
        for chunk in repeat(b"x" * (1 << 16), 1024):
            await exchange.send(chunk)
            sent += len(chunk)

    async with serving(script) as server:
        events, failure = await outcome(asked(server))
        await server.exchanges[0].client_left.wait()
    assert failure is not None
    assert failure.error.code == "event-too-large"
    assert "".join(map(str, events)) == "Hel"
    assert sent < 32 << 20


async def test_there_may_be_no_limits_of_time() -> None:
    async with serving(says(ANSWER)) as server:
        events, failure = await outcome(asked(server, first_timeout=None, idle_timeout=None))
    assert failure is None
    assert accumulate(events).text == "Hello"


@pytest.mark.usefixtures("by_wire")
async def test_data_that_is_empty_is_a_sign_of_life() -> None:
    async with serving(says(b"data:\n\ndata:  \n\n" + ANSWER)) as server:
        events, failure = await outcome(asked(server))
    assert failure is None
    assert accumulate(events).text == "Hello"


async def test_one_that_was_closed_is_not_opened_any_more() -> None:
    async with serving() as server:
        source = asked(server)
        await source.aclose()
        await source.open()
        assert source.closed
    assert not server.exchanges


async def test_a_cancelled_call_is_no_end() -> None:
    async with serving(waits(frames(SAYINGS["chat"]["text"][:2]))) as server:
        source = asked(server)
        events = []
        with move_on_after(60) as scope:
            async for event in source:
                events.append(event)
                if str(event):
                    scope.cancel()
        rest, failure = await outcome(source)
    assert "".join(map(str, events)) == "Hel"
    assert [type(event) for event in rest] == [PartEnd, Error, Finish]
    assert failure is not None
    assert failure.error.code == "truncated"


@pytest.mark.parametrize(
    "key", ["key\nthat-nobody-may-see", "key-that-n\xf6body-may-see", "key\0that-nobody-may-see"]
)
async def test_a_key_that_no_header_can_hold_is_not_shown(key: str) -> None:
    with pytest.raises(MissingKey) as caught:
        await anext(stream_gpt("Hi", api_key=key, base_url="http://127.0.0.1:1"))
    said = "".join(traceback.format_exception(caught.value))
    assert "may-see" not in said


@pytest.mark.usefixtures("by_wire")
@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "nowhere", "localhost:1/v1"])
async def test_a_url_that_is_none_is_a_mistake_of_the_caller(url: str) -> None:
    with pytest.raises(ValueError, match="its URL or a header of it is not valid"):
        await anext(stream_gpt("Hi", api_key=KEY, base_url=url))


@pytest.mark.parametrize("prompt", [{"role": "user"}, ["Hi"], 42, b"Hi", None])
def test_a_prompt_that_is_none_is_refused_with_the_mend(prompt: Any) -> None:
    with pytest.raises(TypeError, match=r"write \[message\]"):
        stream_gpt(prompt)


@pytest.mark.usefixtures("by_wire")
async def test_less_than_no_retries_are_none() -> None:
    async with serving(says(ANSWER)) as server:
        _, failure = await outcome(asked(server, retries=-1))
    assert failure is None


async def test_what_was_not_taken_is_gone_after_closing() -> None:
    async with serving(waits(ANSWER)) as server:
        source = asked(server)
        await anext(source)
        await source.aclose()
        assert await outcome(source) == ([], None)


@pytest.mark.slow  # the limit has to pass
async def test_comments_after_the_finish_keep_nothing_open() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(frames([chat({"content": "Hi"}), chat(finish="stop")]))
        while not exchange.client_left.is_set():
            await exchange.send(b": still here\n\n")
            await sleep(0.01)

    async with serving(script) as server:
        source = asked(server)
        source.linger = 0.1
        events, failure = await outcome(source)
    assert failure is None
    assert events[-1] == Finish("stop", "stop")


async def test_what_the_provider_said_is_in_the_log_and_not_in_the_event() -> None:
    said = b'{"error": {"message": "no money for org-42", "type": "Insufficient quota of org-42"}}'
    async with serving(refuses(400, said, "application/json")) as server:
        _, failure = await outcome(asked(server))
    assert failure is not None
    assert "org-42" not in f"{failure} {failure.error.to_event()}"
    assert "no money for org-42" in "".join(traceback.format_exception(failure))


async def test_an_event_may_be_an_error_by_its_name_alone() -> None:
    data = b'event: error\ndata: {"message":"no","code":"overloaded"}\n\n'
    async with serving(says(frames(SAYINGS["chat"]["text"][:2]) + data)) as server:
        _, failure = await outcome(asked(server))
    assert failure is not None
    assert (failure.error.code, failure.error.detail) == ("overloaded", "no")


# In a response.


@asynccontextmanager
async def fed(script: Script) -> AsyncIterator[Handover]:
    async with serving(script) as server, create_task_group() as tasks:
        hand = Handover()
        tasks.start_soon(hand.feed, asked(server, retries=0), as_sse.encoder())
        yield hand


async def test_a_refused_request_still_has_its_status_in_a_response() -> None:
    async with fed(refuses(429)) as hand:
        with pytest.raises(ModelFailed) as caught:
            await hand.take()
    assert caught.value.status == 502


async def test_a_failed_answer_is_told_to_a_response_before_it_fails() -> None:
    async with fed(says(frames(SAYINGS["chat"]["text"][:2]))) as hand:
        sent = b""
        with pytest.raises(ModelFailed):
            while True:
                sent += await hand.take()
    assert sent.startswith(b"event: start\n")
    assert b'data: {"text":"Hel"' in sent
    assert b"event: model-error\n" in sent
    assert sent.rpartition(b"event: ")[2].startswith(b"finish\n")


async def test_an_answer_is_one_event_stream_in_a_response() -> None:
    async with fed(says(ANSWER)) as hand:
        sent = await drain(hand)
    assert sent.count(b"event: start\n") == sent.count(b"event: finish\n") == 1


@pytest.mark.usefixtures("by_wire")
async def test_a_missing_client_of_http_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("httpx2", "httpx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match=r"httpx2 package: pip .*\[client\]"):
        await anext(stream_gpt("Hi", api_key=KEY))


async def test_an_error_of_the_caller_stays_what_it_is() -> None:
    class Odd(httpx2.AsyncClient):
        def stream(self, *args: Any, **kwargs: Any) -> Any:
            raise LookupError("mine")

    async with serving() as server, Odd() as client:
        with pytest.raises(LookupError, match="mine"):
            await anext(asked(server, client=client))


def test_importing_it_loads_neither_the_sdk_nor_a_client_of_http() -> None:
    code = (
        "import sys\n"
        "started_with = set(sys.modules)\n"  # some packages have a hook there
        "import streamkit.sources.gemini, streamkit.sources.any_model\n"
        "from streamkit.sources.openai import stream_gpt\n"
        "stream_gpt('Hi', api_key='k')\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - started_with}\n"
        "print(*loaded & {'openai', 'httpx', 'httpx2', 'google', 'aiohttp', 'requests'})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == ""
