"""`Followed`: streams in the loop of a server, as a test's thread writes and follows them."""

from __future__ import annotations

__all__ = ("Followed", "Producer", "ids_of", "open_streams", "retry_of", "without_retry")

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.parse import urlencode

from anyio import sleep

from streamkit import Following, MemoryStore, Statistics, Stream, StreamError, Streams
from streamkit._following.waiting import WaitingRoom

from ._client import SOON, WAIT, Exchange, Server, eventually
from ._run import Run, new_run

_numbers = count(1)
_RETRY = re.compile(rb"\Aretry: (\d+)\n")


class Producer:
    """A stream whose job does what the test says."""

    def __init__(self, server: Server, streams: Streams, name: str) -> None:
        self.name = name
        self.run = Run(name)
        """What becomes of its job."""
        self._server = server
        self._streams = streams
        self._failure: Exception | None = None
        self._count = 0
        self._stream: Stream

    async def job(self, stream: Stream) -> None:
        """Be there until the test says that it ends."""
        self._stream = stream
        with self.run.watched():
            await self.run.turn()
        if self._failure is not None:
            raise self._failure

    def send(self, *items: object) -> None:
        """Write some items, and wait until they are in the store."""
        self._server.loop.call(self._sent, items)

    def send_away(self, item: object) -> None:
        """Write an item that the store does not take yet."""
        self._server.loop.call(self._stream.send, item)
        self._count += 1

    def end(self, failure: Exception | None = None) -> None:
        """Have the job end, or fail, and wait for the end of the stream."""
        self._failure = failure
        self.run.go()
        self._server.loop.call(self.over)
        if failure is not None:
            self._server.log.take(f"streamkit: the stream {self.name} failed after")

    def cancel(self, reason: str = "") -> None:
        """Have the stream cancelled, and wait for its end."""
        self._server.loop.call(self._streams.cancel, self.name, reason)
        self._server.loop.call(self.over)

    async def over(self) -> None:
        """Wait for the end of the stream."""
        try:
            async for _ in self._streams.follow(self.name):
                pass
        except StreamError:
            pass

    @property
    def ids(self) -> list[str]:
        """Return the ids of all events that are kept."""
        history = self._server.loop.call(self._streams.history, self.name)
        return [event["id"] for event in history["events"] if event["id"]]

    async def _sent(self, items: tuple[object, ...]) -> None:
        for item in items:
            await self._stream.send(item)
        self._count += len(items)
        while (await self._streams.status(self.name))["tail"] < self._count:
            await sleep(0.001)


class Followed:
    """Streams, and who follows them on a server."""

    def __init__(self, server: Server, streams: Streams) -> None:
        self.server = server
        self.streams = streams
        self._pumps: list[Producer] = []

    def write(self, *items: object, **terms: Any) -> Producer:
        """Start a stream under a new name, with some events."""
        producer = Producer(self.server, self.streams, f"stream-{next(_numbers)}")
        self.launch(producer, **terms)
        producer.send(*items)
        return producer

    def launch(self, producer: Producer, **options: Any) -> None:
        """Start what a producer does, and wait until it does."""
        self._pumps.append(producer)
        self.server.loop.call(self.streams.launch, producer.name, producer.job, **options)
        assert producer.run.opened.wait(WAIT)

    def restart(self, producer: Producer, *items: object) -> Producer:
        """Start a stream again under the same name."""
        again = Producer(self.server, self.streams, producer.name)
        self.launch(again, if_exists="restart")
        again.send(*items)
        return again

    def follow(
        self,
        stream: Producer | str,
        format: str = "sse",
        *,
        seen: str | None = None,
        after: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
        connection: Exchange | None = None,
        under: str = "",
        step: Callable[[Following], object] = lambda following: following,
        **options: Any,
    ) -> Exchange:
        """Request a stream: `seen` is its `Last-Event-ID`, `after` that of the URL."""
        run = self.prepared(stream, step, **options)
        query = "" if after is None else "?" + urlencode({"after": after})
        headers: Mapping[str, str] = {} if seen is None else {"Last-Event-ID": seen}
        return self.server.get(
            f"{under}/{format}/given{query}",
            method=method,
            headers=headers,
            body=body,
            after=connection,
            run=run,
        )

    def prepared(
        self,
        stream: Producer | str,
        step: Callable[[Following], object] = lambda following: following,
        **options: Any,
    ) -> Run:
        """Return what a request for a stream has to name."""
        name = stream if isinstance(stream, str) else stream.name
        run = new_run()
        run.source, run.options = lambda: step(self.streams.follow(name)), options
        return run

    @property
    def statistics(self) -> Statistics:
        return self.server.loop.call_sync(self.streams.statistics)

    def are_followed_by(self, followers: int, within: float = SOON) -> bool:
        """Wait until so many follow."""
        return eventually(lambda: self.statistics.followers == followers, within)

    def are_resting(self, followers: int) -> bool:
        """Wait until so many responses have only one task, because nothing comes."""
        return eventually(
            lambda: sum(len(room.resting) for room in self._rooms()) == followers, SOON
        )

    def are_stuck(self, followers: int) -> bool:
        """Wait until so many responses have waited for their client for a while."""
        return eventually(
            lambda: (
                sum(
                    (writer.since or 0.0) > 0 for room in self._rooms() for writer in room.responses
                )
                == followers
            )
        )

    def _rooms(self) -> list[WaitingRoom]:
        mirrors = self.streams._mirrors._mirrors.values()
        return self.server.loop.call_sync(
            lambda: [room for tail in mirrors for room in tail.rooms()]
        )

    def close(self) -> None:
        """Leave all, end all streams, and check that nothing is held any more."""
        self.server.close()
        for producer in self._pumps:
            producer.run.go()
        assert eventually(lambda: self.statistics == Statistics(0, 0, 0)), self.statistics


@contextmanager
def open_streams(server: Server, store: MemoryStore) -> Iterator[Followed]:
    with server.loop.entered(Streams(store, sweep=3600)) as streams:
        followed = Followed(server, streams)
        yield followed
        followed.close()


def retry_of(body: bytes) -> int:
    """Return for how long the first frame asks the client to wait, in ms."""
    match = _RETRY.match(body)
    assert match is not None, body[:200]
    return int(match[1])


def without_retry(body: bytes) -> bytes:
    """Return what else came: the events."""
    retry_of(body)
    return _RETRY.sub(b"", body)


def ids_of(body: bytes) -> list[str]:
    """Return the ids of complete frames, in the order in which `EventSource` dispatches them."""
    ids = []
    for frame in body.split(b"\n\n")[:-1]:
        lines = frame.split(b"\n")
        if any(line.startswith(b"data:") for line in lines):
            ids += [line[4:].decode() for line in lines if line.startswith(b"id: ")]
    return ids
