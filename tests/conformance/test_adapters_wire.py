"""What a client sees of a stream that goes well, on every server."""

from __future__ import annotations

__all__ = ()

import pytest

from ._client import SOON, Server

FORMATS = pytest.mark.parametrize("format", ["sse", "text"])
LAST_EVENT_ID_END = {"Last-Event-ID": "end"}


@FORMATS
def test_each_item_arrives_before_the_source_goes_on(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/live")
    for word in (b"one", b"two", b"three"):
        exchange.read_until(word)
        exchange.run.go()
    exchange.read_all()
    assert exchange.complete


def test_a_sync_generator_streams_live_and_text_is_its_items_and_nothing_else(
    server: Server,
) -> None:
    exchange = server.get("/text/from-a-thread")
    for number in (b"1", b"2", b"3"):
        exchange.run.go()
        exchange.read_until(number)
    assert exchange.read_all() == b"in the endpoint1 2 3 "
    assert exchange.complete


def test_the_last_frame_of_an_event_stream_says_that_it_is_complete(server: Server) -> None:
    exchange = server.get("/sse/live")
    for _ in range(3):
        exchange.run.go()
    frames = exchange.read_all().decode().split("\n\n")
    assert frames == [
        "data: one",
        "data: two",
        "data: three",
        'event: end\ndata: {"state":"done","count":3}\nid: end',
        "",
    ]
    assert exchange.complete


@FORMATS
def test_headers_keep_proxies_from_holding_the_stream_back(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/live")
    media_types = {"sse": "text/event-stream; charset=utf-8", "text": "text/plain; charset=utf-8"}
    assert exchange.status == 200
    assert exchange.header("content-type") == [media_types[format]]
    assert exchange.header("cache-control") == ["no-cache, no-transform"]
    assert exchange.header("x-accel-buffering") == ["no"]
    assert exchange.header("transfer-encoding") == ["chunked"]
    assert exchange.header("connection") == []


@FORMATS
def test_the_users_own_status_and_headers_win(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/with-headers")
    assert exchange.status == 202
    assert exchange.header("cache-control") == ["max-age=9"]
    assert exchange.header("content-type") == ["text/x-own"]
    assert exchange.header("x-own") == ["mine"]
    assert exchange.header("set-cookie") == ["a=1", "b=2"]
    assert exchange.header("x-accel-buffering") == ["no"]
    assert exchange.header("connection") == []


def test_a_client_that_has_seen_the_end_gets_204_and_no_second_run(server: Server) -> None:
    exchange = server.get("/sse/live", headers=LAST_EVENT_ID_END)
    assert exchange.status == 204
    assert exchange.read_all() == b""
    assert not exchange.run.opened.is_set()
    assert server.get("/plain", after=exchange).read_all() == b"plain"


def test_what_a_204_does_not_open_is_closed_all_the_same(server: Server) -> None:
    exchange = server.get("/sse/file", headers=LAST_EVENT_ID_END)
    assert exchange.status == 204
    assert exchange.run.given.closed


def test_only_event_streams_know_an_id_of_the_end(server: Server) -> None:
    exchange = server.get("/text/with-headers", headers=LAST_EVENT_ID_END)
    assert exchange.status == 202
    assert exchange.read_all() == b"one"


@FORMATS
def test_head_gives_the_headers_and_leaves_the_connection_usable(
    server: Server, format: str
) -> None:
    exchange = server.get(f"/{format}/with-headers", method="HEAD")
    assert exchange.status == 202
    assert exchange.header("x-own") == ["mine"]
    assert exchange.header("set-cookie") == ["a=1", "b=2"]
    assert exchange.header("x-accel-buffering") == ["no"]
    assert exchange.read_all() == b""
    assert not exchange.run.opened.is_set()
    assert server.get("/plain", after=exchange).read_all() == b"plain"


def test_head_closes_a_file_that_it_does_not_read(server: Server) -> None:
    exchange = server.get("/bytes/file", method="HEAD")
    assert exchange.status == 200
    assert exchange.run.given.closed


@FORMATS
def test_a_connection_serves_another_request_after_a_stream(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/context-variable")
    exchange.read_all()
    again = server.get(f"/{format}/context-variable", after=exchange)
    assert again.read_all() == exchange.body


@FORMATS
def test_the_source_sees_the_context_of_its_endpoint(server: Server, format: str) -> None:
    exchange = server.get(f"/{format}/context-variable")
    assert b"in the endpoint" in exchange.read_all()


def test_post_streams_after_the_endpoint_has_read_the_body(server: Server) -> None:
    exchange = server.get("/sse/live", method="POST", body=b"x" * 200_000)
    exchange.read_until(b"one")
    assert exchange.run.request_body == b"x" * 200_000
    for _ in range(3):
        exchange.run.go()
    exchange.read_all()
    assert exchange.complete


def test_a_binary_file_arrives_as_it_is_and_is_closed(server: Server) -> None:
    exchange = server.get("/bytes/file")
    expected = b"".join(number.to_bytes(4) for number in range(200_000))
    assert exchange.read_all() == expected
    assert exchange.complete
    assert exchange.run.given.closed


@pytest.mark.slow  # several keep-alives are waited for
def test_a_silent_source_gets_headers_and_keep_alives_but_no_text(server: Server) -> None:
    streams = {
        path: server.get(path)
        for path in ("/sse/late", "/sse/late-without-keep-alive", "/text/late")
    }
    for exchange in streams.values():
        assert exchange.status == 200
        assert not exchange.run.closed.is_set()
    streams["/sse/late"].read_until(b": keep-alive\n\n" * 3)
    for exchange in streams.values():
        exchange.run.go()
        exchange.read_all()
    end = b'data: late\n\nevent: end\ndata: {"state":"done","count":1}\nid: end\n\n'
    assert streams["/sse/late"].body.replace(b": keep-alive\n\n", b"") == end
    assert streams["/sse/late-without-keep-alive"].body == end
    assert streams["/text/late"].body == b"late"


@pytest.mark.slow  # a stream is busy for longer than its keep-alive
def test_a_busy_stream_carries_no_keep_alives(server: Server) -> None:
    exchange = server.get("/sse/busy-for-a-while")
    assert b"keep-alive" not in exchange.read_all()
    assert exchange.complete


def test_a_response_ends_as_soon_as_its_source_does(server: Server) -> None:
    exchange = server.get("/sse/with-headers")
    exchange.read_all()
    assert exchange.run.over.wait(SOON)
