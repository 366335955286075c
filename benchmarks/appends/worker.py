"""One process of the benchmark. Prints one object.

    python -m benchmarks.appends.worker insert FILE SECONDS
    python -m benchmarks.appends.worker append FILE COUNT
    python -m benchmarks.appends.worker acknowledge FILE COUNT
    python -m benchmarks.appends.worker produce FILE COUNT RATE
    python -m benchmarks.appends.worker read FILE READERS COUNT

`produce` says when its stream is there, and begins when it is told. `read` says when it follows.
"""

from __future__ import annotations

__all__ = ()

import json
import random
import sqlite3
import sys
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from anyio import to_thread

from streamkit import Stream, Streams
from streamkit.sinks.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

Found: TypeAlias = dict[str, Any]

NAME = "events"
LOOK = 0.002  # seconds between two looks whether all is there
SETTLE = 0.5
PAUSE = 0.1  # seconds between two events of `acknowledge`


def insert(path: str, seconds: int) -> Found:
    """Insert one record per commit, as durably as streamkit does by default."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, data TEXT NOT NULL)")
    made = cycle([_item(n) for n in range(1000)])
    events, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        database.execute("INSERT INTO event (data) VALUES (?)", (json.dumps(next(made)),))
        events += 1
    database.close()
    return {"events": events, "seconds": passed}


async def append(path: str, count: int) -> Found:
    """Start a source that is always ready; the clock runs until the store has all of it."""
    async with Streams(SQLiteStore(path)) as streams:
        start = time.perf_counter()
        await streams.start(NAME, _all(count))
        # A follower would read all of it, and this is not about reading.
        while (await streams.status(NAME))["state"] == "open":  # noqa: ASYNC110 - no event for it
            await anyio.sleep(LOOK)
        passed = time.perf_counter() - start
        status = await streams.status(NAME)
    if (status["state"], status["tail"]) != ("done", count + 1):
        raise SystemExit(f"{count} events and an end were due: {status}")
    return {"events": count, "seconds": passed}


async def acknowledge(path: str, count: int) -> Found:
    """Send one event at a time; who follows in this process gets it when the store has it."""
    async with Streams(SQLiteStore(path)) as streams:
        await streams.launch(NAME, _send_now_and_then, count)
        return {"latencies_us": await _latencies(streams, count)}


async def produce(path: str, count: int, rate: int) -> Found:
    """Send so many events a second in the mean, for a reader in another process."""
    async with Streams(SQLiteStore(path)) as streams:
        following = await streams.launch(NAME, _send_at_random, count, rate)
        print("ready", flush=True)
        async for _ in following:
            pass
    return {}


async def read(path: str, readers: int, count: int) -> Found:
    """Follow as many times as there are readers, each on its own."""
    latencies: list[float] = []

    async def follow() -> None:
        latencies.extend(await _latencies(streams, count))

    async with Streams(SQLiteStore(path)) as streams, anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(follow)
        await anyio.sleep(SETTLE)
        print("ready", flush=True)
    return {"latencies_us": latencies}


async def _latencies(streams: Streams, count: int) -> list[float]:
    latencies: list[float] = []
    async for event in streams.follow(NAME):
        now = time.perf_counter_ns()
        data: Any = event.data
        if data["n"] != len(latencies):
            raise SystemExit(f"event {data['n']} in place of {len(latencies)}")
        latencies.append((now - data["at"]) / 1000)
    if len(latencies) != count:
        raise SystemExit(f"{len(latencies)} of {count} events")
    return latencies


async def _all(count: int) -> AsyncGenerator[dict[str, str | int], None]:
    # Made before, on both sides: this is about writing them.
    for item in islice(cycle([_item(n) for n in range(1000)]), count):
        yield item


async def _send_now_and_then(stream: Stream, count: int) -> None:
    for n in range(count):
        await anyio.sleep(PAUSE)
        await stream.send(_item(n))


async def _send_at_random(stream: Stream, count: int, rate: int) -> None:
    """At random, because a beat of 10 ms would keep step with a reader that looks every 5 ms."""
    await to_thread.run_sync(sys.stdin.readline)
    due = anyio.current_time()
    for n in range(count):
        due += random.uniform(0, 2 / rate)
        await anyio.sleep_until(due)
        await stream.send(_item(n))


def _item(n: int) -> dict[str, str | int]:
    text = "a record of about one hundred bytes, as a log has them"
    return {"n": n, "at": time.perf_counter_ns(), "level": "info", "message": text}


ROLES: dict[str, Callable[..., Awaitable[Found]]] = {
    "append": append,
    "acknowledge": acknowledge,
    "produce": produce,
    "read": read,
}


def main() -> None:
    role, path, *numbers = sys.argv[1:]
    if role == "insert":
        found = insert(path, *map(int, numbers))
    else:
        options = {"use_uvloop": True}
        found = anyio.run(ROLES[role], path, *map(int, numbers), backend_options=options)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
