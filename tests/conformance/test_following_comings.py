"""Followers come and go at random while a stream is written, and silent in between, on every
server: each has every event once.
"""

from __future__ import annotations

__all__ = ()

from random import Random
from threading import Thread

import pytest
from anyio import sleep

from ._client import Exchange
from ._followed import Followed, Producer, ids_of, without_retry

PEOPLE = 5
EVENTS = 25


class Person(Thread):
    """Follow as `EventSource` does, on connections that break now and then."""

    def __init__(self, random: Random, workers: list[Followed], stream: Producer) -> None:
        super().__init__()
        self.got = b""
        self.connections = 0
        self._random = random
        self._workers = workers
        self._stream = stream

    def run(self) -> None:
        while b"event: end" not in self.got:
            last = (ids_of(self.got) or [""])[-1]
            worker = self._random.choice(self._workers)
            exchange = worker.follow(self._stream, seen=last, keep_alive=0.05)
            self.connections += 1
            body = self._body(exchange)
            self._random.choice([Exchange.leave, Exchange.reset])(exchange)
            complete, mark, _ = body.rpartition(b"\n\n")
            if mark:
                self.got += without_retry(complete + mark).replace(b": keep-alive\n\n", b"")

    def _body(self, exchange: Exchange) -> bytes:
        """Return what comes in a few reads; or, unless that is all, some part of it."""
        assert exchange.status == 200  # else the server may never see the request
        body = b""
        for _ in range(self._random.randint(0, 6)):
            if b"event: end" in body:
                return body
            body += exchange.read_some()
        return body[: self._random.randint(0, len(body))]


@pytest.mark.slow  # some hundred connections
def test_everybody_has_every_event_once(followed: Followed, elsewhere: Followed) -> None:
    random = Random(4)
    stream = followed.write()
    people = [Person(Random(random.random()), [followed, elsewhere], stream) for _ in range(PEOPLE)]
    for person in people:
        person.start()
    for event in range(EVENTS):
        stream.send(*[{"event": event, "part": part} for part in range(random.choice([1, 1, 40]))])
        if random.random() < 0.15:
            followed.server.loop.call(sleep, 0.05)  # long enough to rest
    stream.end()
    for person in people:
        person.join(20)
        assert not person.is_alive()
    whole = without_retry(followed.follow(stream).read_all())
    assert all(person.got == whole for person in people)
    assert sum(person.connections for person in people) > PEOPLE
