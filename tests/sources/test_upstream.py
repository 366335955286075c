"""Somebody else's event stream: every event once, and an end that is one."""

from __future__ import annotations

from math import nan
from typing import Any

import httpx2
import pytest
from anyio import create_task_group

from streamkit import Event, as_sse
from streamkit.errors import EventTooLarge, UpstreamFailed, UpstreamTruncated
from streamkit.sources.upstream import stream_sse

from ._upstream_server import CLIENTS, END, client_of, numbered, says, serving, waits


async def told(source: Any) -> list[tuple[str, object]]:
    return [(event.type, event.data) async for event in source]


@pytest.mark.parametrize("package", CLIENTS)
async def test_events_come_as_they_are_and_the_end_ends_it(package: Any) -> None:
    script = says(b"data: a\nid: 7\n\nevent: price\nda", b"ta: b\n\n", END)
    async with serving(script) as server, client_of(package) as client:
        events = [event async for event in stream_sse(server.url, client=client)]
        assert events == [Event(data="a", id="7"), Event("price", "b", id="7")]
        (asked,) = server.exchanges
        assert (asked.method, asked.target, asked.body) == ("GET", "/stream", b"")
        assert asked.headers["accept"] == "text/event-stream"
        assert "last-event-id" not in asked.headers
        assert client is None or not client.is_closed


async def test_any_cut_of_the_bytes_makes_the_same_events() -> None:
    data = "data: é\r\ndata: \u2028\r\n\r\n: ping\r\n\r\nevent: x\rdata: y\r\r".encode() + END
    async with serving(says(*(bytes([byte]) for byte in data))) as server:
        assert await told(stream_sse(server.url)) == [("message", "é\n\u2028"), ("x", "y")]


ENDS = [
    pytest.param(END, [], id="end"),
    pytest.param(b"data: [DONE]\n\n", [], id="the text [DONE]"),
    pytest.param(b"event: done\ndata: 5\n\n", [("done", "5")], id="done, and what it says"),
]


@pytest.mark.parametrize(("end", "last"), ENDS)
async def test_what_comes_after_the_end_is_not_read(
    end: bytes, last: list[tuple[str, object]]
) -> None:
    script = waits(b"data: a\n\n" + end + b"data: b\n\n")
    async with serving(script) as server:
        assert await told(stream_sse(server.url)) == [("message", "a"), *last]


async def test_ends_have_the_names_that_one_gives() -> None:
    async with serving(waits(b"event: done\ndata: 1\n\nevent: bye\ndata: 2\n\n")) as server:
        source = stream_sse(server.url, terminal=("bye",))
        assert await told(source) == [("done", "1"), ("bye", "2")]
    async with serving(waits(b'data: {"done": false}\n\ndata: {"done": true}\n\n')) as server:
        source = stream_sse(server.url, terminal=lambda event: "true" in str(event.data))
        assert len(await told(source)) == 2
    with pytest.raises(TypeError, match="collection"):
        stream_sse("http://localhost", terminal="bye")


async def test_bytes_that_end_without_a_terminal_event_are_an_error_unless_that_is_wanted() -> None:
    async with serving(says(b"data: a\n\n"), says(b"data: a\n\ndata: b")) as server:
        source = stream_sse(server.url)
        assert (await anext(source)).data == "a"
        with pytest.raises(UpstreamTruncated):
            await anext(source)
        with pytest.raises(StopAsyncIteration):
            await anext(source)
        assert await told(stream_sse(server.url, require_terminal=False)) == [("message", "a")]


async def test_a_cut_is_an_error_also_where_no_terminal_is_required() -> None:
    async with serving(says(b"data: a\n\n", cut=True)) as server:
        source = stream_sse(server.url, require_terminal=False, reconnect=None)
        assert (await anext(source)).data == "a"
        with pytest.raises(UpstreamTruncated):
            await anext(source)


@pytest.mark.parametrize("type", ["error", "cancelled", "orphaned"])
async def test_an_upstream_that_says_that_it_failed_fails_after_its_items(type: str) -> None:
    script = waits(b"data: a\n\nevent: %b\ndata: why\n\ndata: b\n\n" % type.encode())
    async with serving(script) as server:
        source = stream_sse(server.url)
        assert (await anext(source)).data == "a"
        with pytest.raises(UpstreamFailed) as failed:
            await anext(source)
        assert failed.value.detail == "why"
        assert "why" not in str(failed.value)
        await server.exchanges[0].client_left.wait()


async def test_a_gap_that_the_upstream_tells_of_is_passed_on() -> None:
    script = says(b'event: gap\ndata: {"first":3,"missed":2}\n\n' + numbered(3) + END)
    async with serving(script) as server:
        encoder = as_sse.encoder()
        sent = b"".join([encoder.one(event) async for event in stream_sse(server.url)])
        assert sent == b'event: gap\ndata: {"first":3,"missed":2}\n\ndata: 3\n\n'


@pytest.mark.parametrize("extra", [{"json": {"q": "ü"}}, {"content": '{"q":"ü"}'.encode()}])
async def test_a_body_is_posted(extra: dict[str, Any]) -> None:
    async with serving(says(END)) as server:
        assert await told(stream_sse(server.url, headers={"X-Key": "k"}, **extra)) == []
        (asked,) = server.exchanges
        assert (asked.method, asked.body) == ("POST", '{"q":"ü"}'.encode())
        assert asked.headers["x-key"] == "k"
        assert (asked.headers.get("content-type") == "application/json") is ("json" in extra)
    with pytest.raises(TypeError, match="not both"):
        stream_sse("http://localhost", json={}, content=b"")


@pytest.mark.parametrize("package", CLIENTS[1:])
async def test_a_request_of_the_client_may_be_given(package: Any) -> None:
    async with serving(says(END), says(END)) as server, client_of(package) as client:
        made = client.build_request("PUT", server.url, json={"a": 1}, headers={"Accept": "x/y"})
        assert await told(stream_sse(made, client=client)) == []
        assert await told(stream_sse(package.URL(server.url), client=client)) == []
        put, get = server.exchanges
        assert (put.method, put.body.replace(b" ", b"")) == ("PUT", b'{"a":1}')
        assert put.headers["content-type"] == "application/json"
        assert put.headers["accept"] == "x/y"
        assert put.headers["accept-encoding"] == "identity"
        assert get.method == "GET"


WRONG = [
    pytest.param({"url": "ftp://host/key=secret"}, ValueError, "begins with http", id="ftp"),
    pytest.param({"url": "no url"}, ValueError, "begins with http", id="no URL"),
    pytest.param({"client": "x"}, TypeError, "AsyncClient of httpx2 or httpx, not str", id="str"),
    pytest.param({"client": httpx2.Client()}, TypeError, "AsyncClient", id="a blocking client"),
    pytest.param({"idle_timeout": 0}, ValueError, "idle_timeout is a time above 0 s", id="no time"),
    pytest.param({"first_timeout": nan}, ValueError, "first_timeout", id="NaN"),
]


@pytest.mark.parametrize(("wrong", "kind", "words"), WRONG)
def test_a_mistake_of_the_caller_is_told_at_once(
    wrong: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        stream_sse(**{"url": "http://localhost", **wrong})
    assert "secret" not in str(told.value)


async def test_there_need_not_be_a_timeout() -> None:
    async with serving(says(numbered(1) + END)) as server:
        source = stream_sse(server.url, first_timeout=None, idle_timeout=None)
        assert await told(source) == [("message", "1")]


async def test_an_event_that_is_too_large_is_an_error_after_those_before_it() -> None:
    flood = [b"data: " + b"x" * 5000] + [b"x" * 60_000] * 1000
    async with serving(waits(b"data: a\n\n" + flood[0], *flood)) as server:
        source = stream_sse(server.url, max_event_bytes=4000)
        assert (await anext(source)).data == "a"
        with pytest.raises(EventTooLarge):
            await anext(source)
        await server.exchanges[0].client_left.wait()


async def test_many_events_at_once_are_batches_and_single_events_too() -> None:
    block = numbered(*range(5000)) + END
    async with serving(says(block), says(block)) as server:
        batches = [batch async for batch in stream_sse(server.url).batches()]
        assert sum(map(len, batches)) == 5000
        assert len(batches) < 100
        assert len(await told(stream_sse(server.url))) == 5000


async def test_two_read_at_the_same_time() -> None:
    async with serving(says(numbered(1) + END), says(numbered(2) + END)) as server:
        results: list[list[tuple[str, object]]] = []

        async def read() -> None:
            results.append(await told(stream_sse(server.url)))

        async with create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        assert sorted(results) == [[("message", "1")], [("message", "2")]]
