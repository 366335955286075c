"""However an answer fails, it is told once, raised at the end, and no key is in what is said."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import httpx2
import pytest

from streamkit.models import Error, Finish, ModelEvent, ModelFailed, Start
from streamkit.sources.gemini import stream_gemini
from streamkit.sources.openai import stream_gpt

from ..conftest import anyio_backend
from ._model_server import (
    KEY,
    SAYINGS,
    Asker,
    Chunk,
    array,
    asker,
    assert_closed,
    frames,
    never_answers,
    opening,
    outcome,
    says_all,
)
from ._upstream_server import Script, refuses, says, serving

__all__ = ("anyio_backend", "asker")  # fixtures; uvloop tells nothing new here

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp:DeprecationWarning")

# A provider may repeat what it was sent.
REFUSALS: dict[str, Chunk] = {
    "chat": {"error": {"message": f"no, {KEY}", "code": "bad_request"}},
    "responses": {"error": {"message": f"no, {KEY}", "code": "bad_request"}},
    "gemini": {"error": {"message": f"no, {KEY}", "code": 400, "status": "INVALID_ARGUMENT"}},
}

# What a provider says in the middle of an answer.
BROKEN: dict[str, list[Chunk]] = {
    "chat": [
        {"error": {"message": f"no, {KEY}", "code": "overloaded"}},
        {"object": "error", "message": f"no, {KEY}", "code": "overloaded"},
    ],
    "responses": [
        {"type": "error", "message": f"no, {KEY}", "code": "overloaded"},
        {"type": "error", "error": {"message": f"no, {KEY}", "code": "overloaded"}},
    ],
    "gemini": [
        {"error": {"code": 503, "message": f"no, {KEY}", "status": "UNAVAILABLE"}},
        {"error": {"message": f"no, {KEY}", "code": 500}},
    ],
}


async def failed(
    asker: Asker, script: Script, *, at_once: bool = False, **more: Any
) -> tuple[list[ModelEvent], ModelFailed, Error]:
    """Return what an answer that fails yields, and the error that it raises.

    With `at_once` the server goes on, and sees that the connection is closed.
    """
    # some ask again by themselves
    async with serving(*[script] * 5) as server, asker.asking(server, **more) as source:
        events, failure = await outcome(source)
        assert source.closed
        if at_once:
            await assert_closed(server)
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    assert failure is not None
    assert "no, " not in str(failure) + failure.error.message
    said = "".join(traceback.format_exception(failure)) + repr(failure.error) + repr(events)
    assert KEY not in said
    return events, failure, failure.error


def assert_told(events: list[ModelEvent], error: Error) -> None:
    """See that there is one start, the error, and one finish after it."""
    assert [type(event) for event in events if isinstance(event, Start | Error | Finish)] == [
        Start,
        Error,
        Finish,
    ]
    assert events[-2:] == [error, Finish("error")]
    assert "".join(map(str, events)) == "Hel"


def begun(asker: Asker, *more: Chunk) -> bytes:
    chunks = [*opening(asker.wire), *more]
    return asker.encode(chunks) if asker.encode is frames else array(chunks, end=False)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_refusal_is_raised_before_any_event(asker: Asker, status: int) -> None:
    script = refuses(status, json.dumps(REFUSALS[asker.wire]).encode(), "application/json")
    events, failure, error = await failed(asker, script, retries=0)
    assert events == []
    assert (failure.status, failure.code) == (502, "model-failed")
    assert error.status == status
    assert error.retryable == (status in (429, 500))


@pytest.mark.sdk_fails
async def test_a_page_instead_of_an_answer_is_raised_before_any_event(asker: Asker) -> None:
    script = refuses(200, b"<html><p>Log in</p></html>", "text/html")
    events, _, error = await failed(asker, script)
    assert events == []
    assert error.code in ("upstream-content-type", "invalid-chunk")


async def test_an_error_with_status_200_is_raised_before_any_event(asker: Asker) -> None:
    body = json.dumps(REFUSALS[asker.wire])
    script = refuses(
        200, (f"[{body}]" if asker.encode is array else body).encode(), "application/json"
    )
    events, _, error = await failed(asker, script)
    assert events == []
    assert error.detail == "no, …"


async def test_an_error_as_the_first_event_is_raised_before_any_event(asker: Asker) -> None:
    script = says_all(asker, asker.encode(BROKEN[asker.wire][:1]))
    events, _, error = await failed(asker, script)
    assert events == []
    assert error.detail == "no, …"


@pytest.mark.parametrize("shape", [0, 1], ids=["first", "second"])
async def test_an_error_in_the_middle_is_told_and_then_raised(asker: Asker, shape: int) -> None:
    script = says_all(asker, begun(asker, BROKEN[asker.wire][shape]), wait=True)
    events, _, error = await failed(asker, script, at_once=True)
    assert_told(events, error)
    assert error.detail == "no, …"


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "clean end"])
async def test_an_answer_without_its_end_is_truncated(asker: Asker, cut: bool) -> None:
    chunks = opening(asker.wire)
    data = asker.encode(chunks) if not cut else begun(asker)
    events, _, error = await failed(asker, says_all(asker, data, cut=cut))
    assert_told(events, error)
    assert error.code == "truncated"


@pytest.mark.slow  # the limit has to pass
async def test_a_provider_that_falls_silent_is_told_and_then_raised(asker: Asker) -> None:
    script = says_all(asker, begun(asker), wait=True)
    events, failure, error = await failed(asker, script, at_once=True, idle_timeout=0.1)
    assert_told(events, error)
    assert (failure.status, error.code, error.retryable) == (504, "upstream-silent", True)


@pytest.mark.slow  # the limit has to pass
async def test_a_provider_that_never_answers_is_raised(asker: Asker) -> None:
    events, failure, error = await failed(asker, never_answers, at_once=True, first_timeout=0.5)
    assert events == []
    assert (failure.status, error.code) == (504, "upstream-silent")
    assert "0.5 s" in error.message


@pytest.mark.sdk_fails
async def test_what_is_not_json_is_told_and_then_raised(asker: Asker) -> None:
    broken = b"data: {oops\n\n" if asker.encode is frames else b",{oops:}]"
    script = says_all(asker, begun(asker), broken, wait=True)
    events, _, error = await failed(asker, script, at_once=True)
    assert_told(events, error)
    assert error.code == "invalid-chunk"


async def test_nobody_there_is_raised(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    # With aiohttp, google-genai tries again after one second and some more, whatever it was told.
    monkeypatch.setattr("random.randint", lambda *_: -1)
    async with serving() as server:
        url = server.url
    server.url = url  # the listener is closed
    async with asker.asking(server, retries=0) as source:
        events, failure = await outcome(source)
    assert events == []
    assert failure is not None
    assert failure.error.code == "upstream-unreachable"


async def test_a_cut_after_the_finish_is_no_failure(asker: Asker) -> None:
    chunks = [chunk for chunk in SAYINGS[asker.wire]["text"] if chunk.get("choices") != []]
    data = asker.encode(chunks) if asker.encode is frames else array(chunks, end=False)
    async with serving(says_all(asker, data, cut=True)) as server, asker.asking(server) as source:
        events, failure = await outcome(source)
    assert failure is None
    assert "".join(map(str, events)) == "Hello"


async def test_nothing_is_logged_with_a_key(asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await failed(asker, says_all(asker, begun(asker, BROKEN[asker.wire][0]), wait=True))
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("source", "header"),
    [
        pytest.param(stream_gpt, {"Authorization": f"Bearer {KEY}"}, id="openai"),
        pytest.param(stream_gpt, {"api-key": KEY}, id="azure"),
        pytest.param(stream_gemini, {"x-goog-api-key": KEY}, id="gemini"),
    ],
)
async def test_a_key_in_the_headers_of_the_callers_client_is_in_no_error(
    source: Any, header: dict[str, str]
) -> None:
    said = says(frames([{"error": {"message": f"no, {KEY}"}}]))
    async with serving(said) as server, httpx2.AsyncClient(headers=header) as client:
        base = server.url.removesuffix("/stream")
        _, failure = await outcome(source("Hi", client=client, api_key="", base_url=base))
    assert failure is not None
    assert failure.error.detail == "no, …"
