"""What a client sees of a stream that fails, on every server; and that the log sees the rest."""

from __future__ import annotations

__all__ = ()

import json

import pytest

from ._client import Exchange, Server
from ._scenarios import BLOCK, SECRET

FORMATS = pytest.mark.parametrize("format", ["sse", "text"])


def take_failure_of_framework(server: Server) -> None:
    server.log.take(server.variant.failure_log, SECRET)


def take_cut(server: Server) -> None:
    """Expect the line of a response that could only be cut."""
    if server.variant.framework == "aiohttp":
        server.log.take("streamkit: a source failed: source-failed", SECRET)
    else:  # cutting means to let the exception go to the server
        take_failure_of_framework(server)


def frames(exchange: Exchange) -> list[str]:
    body = exchange.read_all().decode()
    assert SECRET not in body
    assert exchange.complete
    assert body.endswith("\n\n")
    return body.removesuffix("\n\n").split("\n\n")


def failed(code: str, message: str) -> str:
    data = json.dumps({"state": "error", "code": code, "message": message}, separators=(",", ":"))
    return f"event: error\ndata: {data}\nid: end"


@FORMATS
def test_a_source_that_fails_at_once_is_a_status(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/boom-first")
    assert exchange.status == 500
    assert exchange.read_all() == exchange.body
    assert SECRET.encode() not in exchange.body
    assert b"data:" not in exchange.body
    assert exchange.header("content-type") != ["text/event-stream; charset=utf-8"]
    take_failure_of_framework(server)


@FORMATS
def test_a_source_may_raise_the_frameworks_own_403(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/forbidden")
    assert exchange.status == 403
    exchange.read_all()
    assert server.get("/plain", after=exchange).read_all() == b"plain"


@FORMATS
def test_an_error_of_the_library_is_its_status_and_sentence(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/our-error-first")
    assert exchange.status == 502
    assert json.loads(exchange.read_all()) == {
        "error": "event-too-large",
        "message": "an event exceeds 10 bytes; raise max_event_bytes",
    }
    server.log.take("streamkit: a request failed: event-too-large", "EventTooLarge")


@pytest.mark.parametrize("kind", ["a-str", "a-dict", "a-coroutine", "a-function", "none"])
def test_what_is_no_source_is_refused_with_a_sentence(server: Server, kind: str) -> None:
    sentences = {
        "a-str": "a str is one item, not a source; write [text]",
        "a-dict": "dict is one item, not a source; write [item]",
        "a-coroutine": "coroutine is not a source; "
        "await it, or write an async generator with yield",
        "a-function": "live is not a source, but what it returns may be: call it",
        "none": "NoneType is not a source: neither iterable nor async iterable",
    }
    exchange = server.get(f"/sse/no-source-but-{kind}")
    assert exchange.status == 500
    assert exchange.header("content-type")[0].startswith("application/json")
    body = {"error": "not-a-source", "message": sentences[kind]}
    assert json.loads(exchange.read_all()) == body
    server.log.take("streamkit: a request failed: not-a-source")


def test_items_before_a_failure_arrive_and_then_its_code(server: Server) -> None:
    exchange = server.get("/sse/boom-between")
    assert frames(exchange) == [
        "data: one",
        "data: two",
        failed("source-failed", "The source failed."),
    ]
    server.log.take("streamkit: a source failed: source-failed", SECRET)


def test_items_before_a_failure_arrive_and_then_text_is_cut(server: Server) -> None:
    exchange = server.get("/text/boom-between")
    assert exchange.read_all() == b"onetwo"
    assert not exchange.complete
    take_cut(server)


def test_all_that_was_sent_before_a_cut_arrives(server: Server) -> None:
    exchange = server.get("/text/boom-after-much")
    assert exchange.read_all() == BLOCK.encode() * 100
    assert not exchange.complete
    take_cut(server)


def test_an_event_stream_whose_source_fails_to_close_does_not_end_well(server: Server) -> None:
    exchange = server.get("/sse/boom-at-the-end")
    assert frames(exchange) == ["data: one", failed("source-failed", "The source failed.")]
    server.log.take("streamkit: a source failed: source-failed", SECRET)


def test_a_text_whose_source_fails_to_close_is_cut(server: Server) -> None:
    exchange = server.get("/text/boom-at-the-end")
    assert exchange.read_all() == b"one"
    assert not exchange.complete
    take_cut(server)


def test_an_error_of_the_library_tells_its_code_and_sentence_later_too(server: Server) -> None:
    exchange = server.get("/sse/our-error-between")
    assert frames(exchange) == [
        "data: one",
        failed("event-too-large", "an event exceeds 10 bytes; raise max_event_bytes"),
    ]
    server.log.take("streamkit: a source failed: event-too-large")


def test_items_before_a_refused_one_arrive_and_then_the_refusal(server: Server) -> None:
    exchange = server.get("/sse/bytes-after-text")
    assert frames(exchange) == [
        "data: one",
        failed("item-refused", "bytes need as_bytes or as_text"),
    ]
    server.log.take("streamkit: a source failed: item-refused")
    assert exchange.run.closed.is_set()


@FORMATS
def test_the_server_goes_on_after_a_failure(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/our-error-first")
    exchange.read_all()
    server.log.take("streamkit: a request failed: event-too-large")
    assert server.get("/plain", after=exchange).read_all() == b"plain"
