"""What followers see of a worker that stops, on every server: they come back to another."""

from __future__ import annotations

__all__ = ()

import pytest

from streamkit import MemoryStore, Streams

from ._away import Away
from ._client import SOON, Server
from ._followed import Followed, ids_of, retry_of
from .test_following_ends import take_cut
from .test_following_steps import louder


def test_followers_are_asked_to_come_back_when_their_worker_stops(
    server: Server, here: Followed, store: Away
) -> None:
    stream = here.write("one")
    with server.loop.entered(Streams(store, sweep=3600)) as streams:
        there = Followed(server, streams)
        idle, busy = there.follow(stream, seen=stream.ids[0]), there.follow(stream)
        busy.read_until(b"one")
        assert idle.status == 200
        assert there.are_followed_by(2)
    for exchange in (idle, busy):
        *_, last, _ = exchange.read_all().split(b"\n\n")
        assert exchange.complete
        assert b"event: " not in exchange.body
        assert last.endswith(b"\n: keep-alive")
        assert 1000 <= retry_of(last) <= 3000
        assert exchange.run.over.wait(SOON)
    assert streams.statistics().followers == 0
    assert server.get("/plain", after=busy).read_all() == b"plain"
    stream.send("two")
    stream.end()
    assert ids_of(busy.body) + ids_of(
        here.follow(stream, seen=ids_of(busy.body)[-1]).read_all()
    ) == (stream.ids)


@pytest.mark.parametrize("format", ["text", "jsonl", "event-jsonl"])
def test_what_has_no_words_for_a_stop_is_cut(
    server: Server, here: Followed, store: Away, format: str
) -> None:
    stream = here.write("one")
    with server.loop.entered(Streams(store, sweep=3600)) as streams:
        exchange = Followed(server, streams).follow(stream, format)
        exchange.read_until(b"one")
    exchange.read_all()
    assert not exchange.complete
    take_cut(server, "ServerStopping")


def test_a_step_over_a_stream_is_told_of_the_stop(
    server: Server, here: Followed, store: Away
) -> None:
    stream = here.write("one")
    with server.loop.entered(Streams(store, sweep=3600)) as streams:
        exchange = Followed(server, streams).follow(stream, step=louder)
        exchange.read_until(b"ONE")
    last = exchange.read_all().split(b"\n\n")[-2]
    assert exchange.complete
    assert last.startswith(b'event: error\ndata: {"state":"error","code":"server-stopping"')
    assert b"id: " not in last  # so that the client comes back


def test_a_stream_that_is_cancelled_by_the_stop_ends_for_its_followers(server: Server) -> None:
    with server.loop.entered(Streams(MemoryStore(), sweep=3600, drain=0.01)) as streams:
        followed = Followed(server, streams)
        exchange = followed.follow(followed.write("one"))
        exchange.read_until(b"one")
    body = exchange.read_all()
    assert exchange.complete
    assert b'event: cancelled\ndata: {"state":"cancelled","reason":"server-stopping"}' in body
