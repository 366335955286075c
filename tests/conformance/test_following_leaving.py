"""What happens when a follower leaves, or takes nothing, on every server: others get everything."""

from __future__ import annotations

__all__ = ()

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from threading import Event as ThreadEvent
from threading import Thread
from time import monotonic, sleep

import pytest

from ..sources.process._commands import ends, is_running, resident_bytes, sh
from ._client import SOON, WAIT, WAYS, Exchange, eventually, open_files
from ._followed import Followed, Producer, ids_of
from .test_adapters_leaving import take_given_up
from .test_adapters_sharing import MAX_LATENCY, latency

FORMATS = ("sse", "text")
BLOCK = "x" * 50_000
# More than the buffers of a connection take: what is left of it waits for the client.
MUCH = 400


@WAYS
def test_a_client_may_leave_before_the_first_event(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write()
    exchanges = [followed.follow(stream, format) for format in FORMATS]
    assert followed.are_followed_by(2)
    for exchange in exchanges:
        leave(exchange)
    assert followed.are_followed_by(0)
    goes_on(followed, stream)


@WAYS
def test_a_client_may_leave_while_the_stream_is_idle(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchanges = [followed.follow(stream, format) for format in FORMATS]
    for exchange in exchanges:
        exchange.read_until(b"one")
        leave(exchange)
    assert followed.are_followed_by(0)
    assert all(exchange.run.over.wait(SOON) for exchange in exchanges)
    goes_on(followed, stream)


@WAYS
def test_a_client_may_leave_in_the_middle_of_a_flood(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    with flood(followed) as name:
        for format in FORMATS:
            exchange = followed.follow(name, format)
            exchange.read_until(b"xxx")
            leave(exchange)
        assert followed.are_followed_by(0)
        assert followed.server.loop.call(followed.streams.status, name)["state"] == "open"


@WAYS
def test_a_client_may_leave_where_the_stream_is_not_written(
    followed: Followed, elsewhere: Followed, leave: Callable[[Exchange], None]
) -> None:
    stream = followed.write("one")
    exchange = elsewhere.follow(stream)
    exchange.read_until(b"one")
    assert elsewhere.statistics.watched == 1
    leave(exchange)
    assert eventually(lambda: elsewhere.statistics.watched == 0, SOON)
    goes_on(elsewhere, stream)


def goes_on(followed: Followed, stream: Producer) -> None:
    stream.send("more")
    assert not stream.run.closed.is_set()
    stream.end()
    assert ids_of(followed.follow(stream).read_all()) == stream.ids


@contextmanager
def flood(followed: Followed) -> Iterator[str]:
    """Write a stream that never waits, except for its store."""

    async def blocks() -> AsyncIterator[str]:
        while True:
            yield BLOCK

    loop, name = followed.server.loop, "flood"
    loop.call(followed.streams.start, name, blocks(), if_exists="restart", max_bytes=1 << 20)
    try:
        yield name
    finally:
        loop.call(followed.streams.cancel, name)
        assert eventually(lambda: not followed.statistics.producers)


@pytest.mark.slow  # a hundred connections
def test_a_hundred_clients_that_vanish_leave_nothing(followed: Followed) -> None:
    stream = followed.write("one")
    latency(followed.server, "/plain")
    files = open_files()
    exchanges = [followed.follow(stream) for _ in range(100)]
    for exchange in exchanges:
        exchange.read_until(b"one")
    assert followed.statistics.followers == 100
    for number, exchange in enumerate(exchanges):
        if number % 10 == 0:
            stream.send(number)
        exchange.reset()
    assert followed.are_followed_by(0)
    assert eventually(lambda: open_files() <= files)
    goes_on(followed, stream)


def test_what_follows_a_response_comes_when_its_client_has_left(followed: Followed) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream)
    exchange.read_until(b"one")
    assert exchange.run.notes == []
    exchange.leave()
    assert exchange.run.over.wait(SOON)
    torn_down = ["torn down"] if followed.server.variant.framework == "fastapi" else []
    assert exchange.run.notes == ["after", *torn_down]


def test_what_follows_a_response_comes_after_its_end_too(followed: Followed) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream)
    exchange.read_until(b"one")
    assert exchange.run.notes == []
    stream.end()
    exchange.read_all()
    assert exchange.run.over.wait(SOON)
    torn_down = ["torn down"] if followed.server.variant.framework == "fastapi" else []
    assert exchange.run.notes == ["after", *torn_down]


# Leaving that is cancelling.


@WAYS
def test_a_stream_that_nobody_follows_any_more_is_cancelled_when_that_was_asked_for(
    followed: Followed, leave: Callable[[Exchange], None]
) -> None:
    name = "command"
    command = sh("sleep 60 & echo $$ $!; wait")
    loop = followed.server.loop
    loop.call(
        followed.streams.start, name, command, if_exists="restart", on_leave="cancel", grace=0.1
    )
    first, second = followed.follow(name), followed.follow(name, "text")
    line, _, _ = second.read_until(b"\n").partition(b"\n")
    pids = [int(word) for word in line.split()]
    leave(first)
    assert followed.are_followed_by(1)
    assert all(map(is_running, pids))
    leave(second)
    assert all(ends(pid, within=SOON) for pid in pids)
    assert eventually(lambda: followed.statistics.producers == 0)
    body = followed.follow(name).read_all()
    assert b'event: cancelled\ndata: {"state":"cancelled","reason":"nobody follows it"}' in body


def test_who_comes_back_within_the_grace_finds_the_stream_alive(followed: Followed) -> None:
    stream = followed.write("one", on_leave="cancel", grace=30.0)
    for _ in range(3):
        exchange = followed.follow(stream)
        exchange.read_until(b"one")
        exchange.leave()
        assert followed.are_followed_by(0)
    goes_on(followed, stream)


# Clients that are slow, or take nothing.


@pytest.mark.slow  # the bound of 0.5 s has to pass
def test_a_client_that_takes_nothing_is_given_up_and_others_get_everything(
    followed: Followed,
) -> None:
    stream = followed.write("one")
    stuck = followed.follow(stream, send_timeout=0.5)
    assert followed.are_followed_by(1)
    start = monotonic()
    other = followed.follow(stream)
    with reader(other) as got:
        for _ in range(MUCH // 50):
            stream.send(*[BLOCK] * 50)
        assert latency(followed.server, "/plain") < MAX_LATENCY
        # Where nobody can cancel `send`, the server holds it until its client goes.
        assert followed.are_followed_by(1, 0.5 + 2 * SOON)
        assert monotonic() - start >= 0.5
        stream.end()
    assert got.ids == MUCH + 2
    assert b"event: end" in got.end
    if followed.server.variant.shields_send:
        stuck.leave()
    else:
        stuck.read_all()
        assert not stuck.complete
    take_given_up(followed.server)


@pytest.mark.slow  # the bound of 0.5 s has to pass
def test_a_client_that_takes_a_little_now_and_then_is_not_given_up(followed: Followed) -> None:
    stream = followed.write(*[BLOCK] * MUCH)
    stream.end()
    exchange = followed.follow(stream, send_timeout=0.4)
    end = monotonic() + 0.5
    while monotonic() < end:
        sleep(0.05)
        exchange.response.read(400_000)
    assert followed.statistics.followers == 1


class Reader(Thread):
    """Read a response to its end beside the test, and keep of it no more than is asked."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.ids = 0
        self.end = b""
        self._exchange = exchange

    def run(self) -> None:
        while chunk := self._exchange.response.read1():
            known = self.end.count(b"\nid: ")
            self.ids += (self.end + chunk).count(b"\nid: ") - known
            self.end = (self.end + chunk)[-100:]


@contextmanager
def reader(exchange: Exchange) -> Iterator[Reader]:
    reader = Reader(exchange)
    reader.start()
    try:
        yield reader
    except BaseException:
        exchange.connection.sock.shutdown(socket.SHUT_RDWR)
        raise
    finally:
        reader.join(WAIT)
    assert not reader.is_alive()


@pytest.mark.slow  # a flood of 20 MB beside clients that take a KiB each
def test_slow_clients_cost_little_memory_and_nobody_elses_time(followed: Followed) -> None:
    stream = followed.write("one", max_bytes=4 << 20)
    slow = [followed.follow(stream) for _ in range(10)]
    for exchange in slow:
        exchange.read_until(b"one")
    other, enough = followed.follow(stream), ThreadEvent()

    def read_slowly() -> None:
        while not enough.wait(0.1):
            for exchange in slow:
                exchange.response.read(100)

    thread = Thread(target=read_slowly)
    with reader(other) as got:
        thread.start()
        try:
            before = resident_bytes()
            for _ in range(MUCH // 20):
                stream.send(*[BLOCK] * 20)
                # Twelve clients are in this process too.
                assert latency(followed.server, "/plain") < 2 * MAX_LATENCY
            grown = resident_bytes() - before
        finally:
            enough.set()
            thread.join(WAIT)
        stream.end()
    assert got.ids == MUCH + 2
    assert grown < 30 << 20
    for exchange in slow:
        rest = exchange.response.read(50 << 20)
        assert b"event: end" in rest[-200:]
        assert rest.count(b"event: gap") <= 1


@pytest.mark.slow  # a stream of 20 MB
def test_clients_that_are_far_behind_cost_little_memory(followed: Followed) -> None:
    stream = followed.write(*[BLOCK] * MUCH)
    stream.end()
    before = resident_bytes()
    stuck = [followed.follow(stream) for _ in range(10)]
    for exchange in stuck:
        exchange.read_until(b"xxx")
    assert followed.statistics.followers == 10
    # Ten of them are behind by 200 MB.
    assert resident_bytes() - before < 40 << 20
