"""A step over a followed stream, and middleware around one, on every server."""

from __future__ import annotations

__all__ = ()

import gc
import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any

import pytest

from streamkit import Following, step

from ._client import SOON, WAIT, WAYS, Exchange, Server
from ._followed import Followed, ids_of
from .test_following_ends import take_cut


@step
async def louder(events: AsyncIterable[Any]) -> AsyncGenerator[object, None]:
    async for event in events:
        yield event.data.upper() if isinstance(event.data, str) else event


def unchanged(following: Following) -> AsyncIterable[object]:
    async def each() -> AsyncGenerator[object, None]:
        async for event in following:
            yield event

    return each()


@pytest.mark.parametrize(("made", "one"), [(louder, "ONE"), (unchanged, "one")])
def test_a_step_over_a_stream_has_no_place_to_come_back_to(
    followed: Followed, made: Callable[[Following], Any], one: str
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, step=made)
    exchange.read_until(one.encode())
    assert followed.statistics.followers == 1
    stream.send({"two": 2})
    stream.end()
    assert exchange.read_all().decode() == (
        f'data: {one}\n\ndata: {{"two":2}}\n\n'
        'event: end\ndata: {"state":"done","count":2}\nid: end\n\n'
    )
    assert followed.statistics.followers == 0
    assert followed.follow(stream, step=made, seen="end").status == 204


@WAYS
def test_a_step_over_a_stream_is_left_like_any_other(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, step=louder)
    exchange.read_until(b"ONE")
    leave(exchange)
    assert followed.are_followed_by(0)
    assert not stream.run.closed.is_set()


def test_a_step_over_a_stream_that_failed_fails(followed: Followed) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, step=louder)
    exchange.read_until(b"ONE")
    stream.cancel("enough")
    assert b'event: error\ndata: {"state":"error","code":"stream-cancelled"' in exchange.read_all()
    assert exchange.body.endswith(b"\nid: end\n\n")
    followed.server.log.take("streamkit: a source failed: stream-cancelled")


@pytest.mark.parametrize("format", ["sse", "text"])
def test_a_step_over_no_stream_is_a_404(followed: Followed, format: str) -> None:
    exchange = followed.follow("no-such-stream", format, step=louder)
    assert exchange.status == 404
    assert json.loads(exchange.read_all())["error"] == "unknown-stream"


@WAYS
def test_base_http_middleware_lets_events_through_and_the_leaving_client(
    asgi_server: Server, followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, under="/under-base")
    exchange.read_until(b"one")
    stream.send("two")
    exchange.read_until(b"two")
    leave(exchange)
    assert followed.are_followed_by(0)
    assert not stream.run.closed.is_set()


@pytest.mark.parametrize("under", ["/under-base", "/under-two-bases", "/under-gzip"])
def test_under_middleware_all_answers_are_the_same(
    asgi_server: Server, followed: Followed, under: str
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, under=under)
    exchange.read_until(b"one")
    stream.end()
    assert ids_of(exchange.read_all()) == stream.ids
    assert exchange.complete
    assert followed.follow(stream, under=under, seen=stream.ids[-1]).status == 204
    assert followed.follow("no-such-stream", under=under).status == 404
    assert followed.follow("no-such-stream", under=under, seen="abcdefgh.1").status == 410
    assert followed.follow(stream, under=under, after="garbage").status == 400


@pytest.mark.parametrize("under", ["/under-base", "/under-two-bases", "/under-gzip"])
def test_under_middleware_headers_do_not_wait_for_the_first_event(
    asgi_server: Server, followed: Followed, under: str
) -> None:
    stream = followed.write()
    exchange = followed.follow(stream, under=under)
    exchange.connection.sock.settimeout(SOON)
    assert exchange.status == 200


# As where a request-bound text is cut: what Starlette leaves behind is collected.
@pytest.mark.filterwarnings("ignore:.*body_stream:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Async generator .*body_stream.*:ResourceWarning")
@pytest.mark.parametrize("under", ["/under-base", "/under-gzip"])
def test_under_middleware_a_cancelled_text_is_cut(
    asgi_server: Server, followed: Followed, under: str
) -> None:
    stream = followed.write("one")
    stream.cancel()
    exchange = followed.follow(stream, "text", under=under)
    assert exchange.read_all() == b"one"
    assert not exchange.complete
    take_cut(asgi_server, "StreamCancelled")
    assert exchange.run.over.wait(WAIT)
    gc.collect()
