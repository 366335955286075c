"""What streams, other requests and middleware are to each other, on every server."""

from __future__ import annotations

__all__ = ()

import gc
import gzip
import zlib
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

import pytest

from ._client import SOON, WAIT, WAYS, Exchange, Server

# Generous: what stalls, stalls for seconds.
MAX_LATENCY = 0.5
MANY = 60

PLAIN = pytest.mark.parametrize("plain", ["/plain", "/plain-in-thread"])


@pytest.mark.slow  # each request comes beside a source that takes all the time it gets
@pytest.mark.parametrize(("plain", "times"), [("/plain", 5), ("/plain-in-thread", 20)])
def test_other_requests_keep_their_latency_beside_a_source_that_never_awaits(
    server: Server, plain: str, times: int
) -> None:
    exchange = server.get("/text/nothing-to-send")
    assert exchange.run.opened.wait(WAIT)
    # Often, because threads do not starve each time: they miss the GIL by a hair, or get it.
    for _ in range(times):
        assert latency(server, plain) < MAX_LATENCY


@pytest.mark.slow  # each request comes beside one that fills the connection
@PLAIN
def test_other_requests_keep_their_latency_beside_a_flood(server: Server, plain: str) -> None:
    exchange, enough = server.get("/text/flood"), Event()

    def read() -> None:
        while not enough.is_set():
            exchange.read_some()

    reader = Thread(target=read)
    reader.start()
    try:
        for _ in range(10):
            assert latency(server, plain) < MAX_LATENCY
    finally:
        enough.set()
        reader.join()


@PLAIN
def test_other_requests_keep_their_latency_beside_a_client_that_takes_nothing(
    server: Server, plain: str
) -> None:
    exchange = server.get("/text/flood")
    assert exchange.run.opened.wait(WAIT)
    for _ in range(10):
        assert latency(server, plain) < MAX_LATENCY


@pytest.mark.slow  # sixty connections, each with a thread
def test_many_sync_streams_do_not_block_a_plain_sync_endpoint(server: Server) -> None:
    exchanges = [server.get("/text/from-a-thread") for _ in range(MANY)]
    for exchange in exchanges:
        exchange.read_until(b"in the endpoint")
    assert latency(server, "/plain-in-thread") < WAIT / 2
    for exchange in exchanges:
        exchange.leave()
    for exchange in exchanges:
        assert exchange.run.closed.wait(WAIT)


def latency(server: Server, path: str) -> float:
    start = monotonic()
    exchange = server.get(path)
    assert exchange.read_all() == b"plain"
    exchange.leave()
    return monotonic() - start


@pytest.mark.parametrize("format", ["sse", "text"])
@WAYS
def test_base_http_middleware_lets_items_through_and_the_leaving_client(
    asgi_server: Server, format: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = asgi_server.get(f"/under-base/{format}/live")
    exchange.read_until(b"one")
    exchange.run.go()
    exchange.read_until(b"two")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@pytest.mark.parametrize("name", ["silent-before-headers", "flood"])
@pytest.mark.parametrize("middleware", ["base", "gzip"])
def test_under_middleware_a_client_may_leave_early_or_in_a_flood(
    asgi_server: Server, middleware: str, name: str
) -> None:
    exchange = asgi_server.get(f"/under-{middleware}/text/{name}")
    assert exchange.run.opened.wait(WAIT)
    exchange.leave()
    assert exchange.run.closed.wait(SOON)


@pytest.mark.parametrize("middleware", ["base", "gzip"])
def test_under_middleware_a_complete_stream_is_complete(
    asgi_server: Server, middleware: str
) -> None:
    exchange = asgi_server.get(f"/under-{middleware}/sse/context-variable")
    assert b"event: end" in exchange.read_all()
    assert exchange.complete
    again = asgi_server.get(f"/under-{middleware}/sse/context-variable", after=exchange)
    assert again.read_all() == exchange.body


# Trio warns when Starlette's generator is collected, which waits for the next part of a response
# that was cut where it is sent.
@pytest.mark.filterwarnings("ignore:.*body_stream:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Async generator .*body_stream.*:ResourceWarning")
@pytest.mark.parametrize("middleware", ["base", "two-bases", "gzip"])
def test_under_middleware_a_failing_text_is_cut(asgi_server: Server, middleware: str) -> None:
    exchange = asgi_server.get(f"/under-{middleware}/text/boom-between")
    assert exchange.read_all() == b"onetwo"
    asgi_server.log.take(asgi_server.variant.failure_log)
    assert not exchange.complete
    assert exchange.run.over.wait(WAIT)
    gc.collect()


@WAYS
def test_gzip_leaves_event_streams_alone(
    asgi_server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = asgi_server.get("/under-gzip/sse/live", headers={"Accept-Encoding": "gzip"})
    assert exchange.header("content-encoding") == []
    exchange.read_until(b"one")
    exchange.run.go()
    exchange.read_until(b"two")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


def test_gzip_compresses_text_item_by_item(asgi_server: Server) -> None:
    exchange = asgi_server.get("/under-gzip/text/live", headers={"Accept-Encoding": "gzip"})
    assert exchange.header("content-encoding") == ["gzip"]
    inflate, text = zlib.decompressobj(wbits=31), b""
    for word in (b"one", b"two", b"three"):
        while word not in text:
            text += inflate.decompress(exchange.read_some())
        exchange.run.go()
    exchange.read_all()
    assert exchange.complete
    assert gzip.decompress(exchange.body) == b"onetwothree"


def test_a_client_of_compressed_text_may_leave(asgi_server: Server) -> None:
    exchange = asgi_server.get("/under-gzip/text/live", headers={"Accept-Encoding": "gzip"})
    exchange.read_some()
    exchange.leave()
    assert exchange.run.closed.wait(SOON)
