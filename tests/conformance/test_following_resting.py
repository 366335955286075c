"""Followers of a stream that is silent cost one task each; on every server they notice all that
may happen meanwhile. And what a response that waits may do to others: nothing.
"""

from __future__ import annotations

__all__ = ()

import socket
from collections.abc import Callable, Iterator

import pytest
from anyio import sleep

from streamkit import MemoryStore, Streams

from ._client import SOON, WAIT, WAYS, Exchange, Server
from ._followed import Followed, ids_of, without_retry
from .test_adapters_sharing import latency


@pytest.fixture
def own(server: Server) -> Iterator[Followed]:
    """Streams of the test alone: it may break them."""
    with server.loop.entered(Streams(MemoryStore(), sweep=3600)) as streams:
        own = Followed(server, streams)
        yield own
        own.close()


@pytest.mark.slow  # it is silent for a while
def test_events_come_after_each_silence(followed: Followed) -> None:
    stream = followed.write("start ")
    exchanges = [followed.follow(stream, format) for format in ("sse", "sse", "text", "jsonl")]
    for number in range(3):
        assert followed.are_resting(4)
        stream.send(f"item{number} ")
        for exchange in exchanges:
            exchange.read_until(f"item{number}".encode())
    assert followed.are_resting(4)
    stream.end()
    one, same, text, lines = (exchange.read_all() for exchange in exchanges)
    assert all(exchange.complete for exchange in exchanges)
    assert without_retry(one) == without_retry(same)
    assert ids_of(one) == stream.ids
    assert text == b"start item0 item1 item2 "
    assert lines == b'"start "\n"item0 "\n"item1 "\n"item2 "\n'


@pytest.mark.slow  # several keep-alives are waited for
def test_an_idle_stream_carries_comments_where_there_are_any(followed: Followed) -> None:
    stream = followed.write("one")
    sse = followed.follow(stream, keep_alive=0.1)
    never = followed.follow(stream, keep_alive=None)
    text = followed.follow(stream, "text", keep_alive=0.1)
    lines = followed.follow(stream, "event-jsonl", keep_alive=0.1)
    sse.read_until(b": keep-alive\n\n: keep-alive\n\n")
    stream.send("two")
    stream.end()
    assert b"keep-alive" not in never.read_all()
    assert without_retry(sse.read_all()).replace(b": keep-alive\n\n", b"") == without_retry(
        never.body
    )
    assert text.read_all() == b"onetwo"
    assert b"keep-alive" not in lines.read_all()
    assert not any(b"keep-alive" in frame for frame in sse.body.split(b"\n\n") if b"id:" in frame)


@pytest.mark.slow  # several keep-alives are waited for
def test_before_the_first_event_a_comment_tells_when_to_come_back(followed: Followed) -> None:
    stream = followed.write()
    exchange = followed.follow(stream, keep_alive=0.1)
    exchange.read_until(b": keep-alive\n\n: keep-alive\n\n")
    assert without_retry(exchange.body).replace(b": keep-alive\n\n", b"") == b""
    stream.end()
    assert ids_of(exchange.read_all()) == stream.ids


@pytest.mark.slow  # a stream is busy for longer than its keep-alive
def test_a_busy_stream_carries_no_comments(followed: Followed) -> None:
    stream = followed.write()
    exchange = followed.follow(stream, keep_alive=0.3)
    for number in range(20):
        followed.server.loop.call(sleep, 0.02)
        stream.send(number)
    stream.end()
    assert b"keep-alive" not in exchange.read_all()


@WAYS
def test_a_client_may_leave_a_long_silence(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchanges = [followed.follow(stream, format) for format in ("sse", "text")]
    assert followed.are_resting(2)
    for exchange in exchanges:
        leave(exchange)
    assert followed.are_followed_by(0)
    assert all(exchange.run.over.wait(SOON) for exchange in exchanges)
    assert not stream.run.closed.is_set()


@WAYS
def test_a_client_may_leave_when_there_was_a_silence_and_then_an_event(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream)
    assert followed.are_resting(1)
    stream.send("two")
    exchange.read_until(b"two")
    leave(exchange)
    assert followed.are_followed_by(0)


@WAYS
def test_a_client_may_leave_a_silence_between_comments(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, keep_alive=0.08)
    exchange.read_until(b": keep-alive\n\n: keep-alive\n\n")
    leave(exchange)
    assert followed.are_followed_by(0)


@WAYS
def test_under_middleware_a_client_may_leave_a_long_silence(
    asgi_server: Server, followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchanges = [
        followed.follow(stream, under=under) for under in ("/under-base", "/under-two-bases")
    ]
    assert followed.are_resting(2)
    stream.send("two")
    for exchange in exchanges:
        exchange.read_until(b"two")
    assert followed.are_resting(2)
    for exchange in exchanges:
        leave(exchange)
    assert followed.are_followed_by(0)


def test_a_silence_ends_with_the_stream_its_name_or_its_worker(server: Server) -> None:
    store = MemoryStore()
    with server.loop.entered(Streams(store, sweep=3600)) as streams:
        here = Followed(server, streams)
        with server.loop.entered(Streams(store, sweep=3600)) as others:
            there = Followed(server, others)
            ends, starts_again, is_left = (here.write("one") for _ in range(3))
            exchanges = [there.follow(each) for each in (ends, starts_again, is_left)]
            assert there.are_resting(3)
            ends.end()
            again = here.restart(starts_again, "two")
            assert b"event: end" in exchanges[0].read_all()
            exchanges[1].read_until(b"two")
            assert b"event: reset" in exchanges[1].body
            server.log.take(f"the stream {again.name} cannot be written any more")
        assert exchanges[2].read_all().endswith(b": keep-alive\n\n")
        assert all(exchange.read_all() and exchange.complete for exchange in exchanges[1:])
        here.close()


def test_a_response_that_fails_in_a_silence_harms_no_other(
    asgi_server: Server, own: Followed
) -> None:
    stream = own.write("one")
    other = own.follow(stream)
    faulty = own.follow(stream, under="/under-faulty", keep_alive=0.08)
    assert without_retry(faulty.read_all()).startswith(b"data: one\n")
    assert not faulty.complete
    asgi_server.log.take(asgi_server.variant.failure_log, "this middleware does not like comments")
    assert own.are_followed_by(1)
    stream.send("two")
    stream.end()
    assert ids_of(other.read_all()) == stream.ids


@pytest.mark.slow  # the bound of 0.2 s has to pass
def test_a_client_that_takes_nothing_before_the_headers_harms_no_other(
    server: Server, own: Followed
) -> None:
    stream = own.write("one")
    first = server.get("/large")
    # Uvicorn answers the second request while the first response waits to be read.
    second = own.prepared(stream, send_timeout=0.2)
    request = f"GET /sse/given HTTP/1.1\r\nHost: localhost\r\nrun: {second.id}\r\n\r\n"
    first.connection.sock.sendall(request.encode())
    other = own.follow(stream)
    other.read_until(b"one")
    if "uvicorn" in server.variant.name:
        assert second.over.wait(WAIT)
        server.log.take("streamkit: a client took nothing for 0.2 s and was given up")
        server.log.take("uvicorn.error: ASGI callable returned without starting response.")
    latency(server, "/plain")
    stream.send("two")
    stream.end()
    assert ids_of(other.read_all()) == stream.ids


def test_requests_that_were_sent_at_once_are_answered_one_after_the_other(
    followed: Followed,
) -> None:
    stream = followed.write("one")
    stream.end()
    first = followed.server.get("/plain")
    assert first.read_all() == b"plain"
    run = followed.prepared(stream)
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nrun: {run.id}\r\n\r\n"
        for path in ("/sse/given", "/jsonl/given", "/plain")
    ]
    sock: socket.socket = first.connection.sock
    sock.sendall("".join(requests).encode())
    received = b""
    while not received.endswith(b"plain"):
        received += sock.recv(1 << 16)
    assert received.count(b"HTTP/1.1 200 ") == 3
    assert 0 < received.index(b"event: end") < received.index(b'"one"\n')


@pytest.mark.slow  # the bound of 0.3 s has to pass
def test_a_stop_does_not_wait_for_a_client_that_takes_nothing(server: Server) -> None:
    store = MemoryStore()
    with server.loop.entered(Streams(store, sweep=3600, max_bytes=32 << 20)) as streams:
        here = Followed(server, streams)
        stream = here.write(*["x" * 50_000] * 300)
        with server.loop.entered(Streams(store, sweep=3600)) as others:
            there = Followed(server, others)
            stuck = there.follow(stream, send_timeout=0.3)
            assert there.are_stuck(1)
        if not server.variant.shields_send:
            assert stuck.run.over.wait(0.3 + SOON)
        stuck.leave()
        assert stuck.run.over.wait(SOON)
        here.close()
    server.log.take("streamkit: a client took nothing for 0.3 s and was given up")
    if "uvicorn" in server.variant.name:
        server.log.take("uvicorn.error: ASGI callable returned without completing response.")
