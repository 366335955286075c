"""What followers see of a store that is away, on every server: they wait, or come back."""

from __future__ import annotations

__all__ = ()

import json
from collections.abc import Callable

import pytest
from anyio import Event, sleep

from ._away import Away
from ._client import SOON, WAYS, Exchange, eventually
from ._followed import Followed, ids_of, retry_of, without_retry

# Those that can only be refused.
WORDLESS = pytest.mark.parametrize("format", ["text", "jsonl", "event-jsonl"])


def test_an_event_stream_is_asked_to_come_back_when_the_store_is_away(
    here: Followed, there: Followed, store: Away
) -> None:
    stream = here.write("one")
    store.away = True
    exchange = there.follow(stream, seen=None)
    assert exchange.status == 200
    assert exchange.header("content-type") == ["text/event-stream; charset=utf-8"]
    assert without_retry(exchange.read_all()) == b"\n"
    assert 1000 <= retry_of(exchange.body) <= 3000
    assert exchange.complete
    assert there.server.get("/plain", after=exchange).read_all() == b"plain"
    store.away = False
    stream.end()
    assert ids_of(there.follow(stream).read_all()) == stream.ids


@WORDLESS
def test_other_formats_are_a_503_when_the_store_is_away(
    here: Followed, there: Followed, store: Away, format: str
) -> None:
    stream = here.write("one")
    store.away = True
    exchange = there.follow(stream, format)
    assert exchange.status == 503
    assert json.loads(exchange.read_all())["error"] == "store-away"
    there.server.log.take("streamkit: a request failed: store-away", "StoreAway")
    store.away = False


@WAYS
def test_a_client_may_leave_while_the_store_is_asked(
    here: Followed, there: Followed, store: Away, leave: Callable[[Exchange], None]
) -> None:
    stream = here.write("one")
    store.waits = there.server.loop.call_sync(Event)
    exchanges = [there.follow(stream), there.follow(stream, "text")]
    assert eventually(lambda: store.waiting == 2)
    for exchange in exchanges:
        leave(exchange)
    there.server.loop.call(sleep, 0.05)  # the server hears of it
    store.away = True
    there.server.loop.call_sync(store.waits.set)
    for exchange in exchanges:
        assert exchange.run.over.wait(SOON)
    store.waits, store.away = None, False
    if there.server.variant.name != "aiohttp-cancelling-handlers":  # where nobody was there to ask
        there.server.log.take("streamkit: a request failed: store-away", "StoreAway")


@pytest.mark.slow  # who asks a store again waits a moment
def test_a_stream_goes_on_when_its_store_is_back(
    here: Followed, there: Followed, store: Away
) -> None:
    stream = here.write("one")
    followers = [here.follow(stream), there.follow(stream), there.follow(stream, "text")]
    for exchange in followers:
        exchange.read_until(b"one")
    store.away = True
    run = stream.run
    stream.send_away("two")
    here.server.log.take(f"streamkit: the stream {stream.name} waits for its store")
    # Who is where it is written gets only what is kept: durable before delivered.
    assert not any(b"two" in exchange.body for exchange in followers)
    store.away = False
    for exchange in followers:
        exchange.read_until(b"two")
    here.server.log.take(f"streamkit: the stream {stream.name} has its store back")
    assert not run.closed.is_set()
    stream.end()
    assert ids_of(followers[0].read_all()) == ids_of(followers[1].read_all()) == stream.ids
    assert followers[2].read_all() == b"onetwo"
