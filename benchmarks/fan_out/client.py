"""Follow, have it published, read, stop the clock, check. Prints one object.

python -m benchmarks.fan_out.client PORT PID FOLLOWERS COUNT RATE SECONDS
"""

from __future__ import annotations

__all__ = ()

import json
import sys
import time
from http.client import HTTPConnection
from typing import Any, NamedTuple

from benchmarks.fan_out.followers import BadResponse, Follower, connect, cut, read_all
from benchmarks.fan_out.items import EVENT
from benchmarks.processes import cpu_seconds

SETTLE = 0.5  # seconds: a server may send its head before it subscribes


class Kept(NamedTuple):
    """What one follower got: the latency of each event in ns, their bytes, how many had an id."""

    latencies: list[int]
    size: int
    ids: int


def measure(
    port: int, pid: int, followers: int, count: int, rate: int, most: int
) -> dict[str, Any]:
    """Read for so many seconds at most; the clock runs from when the first event was due."""
    connected = connect(port, followers)
    time.sleep(SETTLE)
    begin = _order(port, count, rate)
    time.sleep(max(0, begin - time.perf_counter_ns()) / 1e9)
    server, client = cpu_seconds(pid), time.process_time()
    last = read_all(connected, begin + most * 1_000_000_000)
    server, client = cpu_seconds(pid) - server, time.process_time() - client
    kept = [check(follower) for follower in connected if follower.kept is not None]
    came = [follower.events() for follower in connected]
    if sum(came) == count * followers:
        _check_sizes(connected, max(one.size for one in kept))
    latencies = sorted(latency for one in kept for latency in one.latencies)
    due = count * len(kept)
    return {
        "due": count * followers,
        "events": sum(came),
        "seconds": (last - begin) / 1e9,
        "server_cpu": server,
        "client_cpu": client,
        "ids": all(one.ids == len(one.latencies) for one in kept),
        "p50_ms": _percentile(latencies, due, 50),
        "p99_ms": _percentile(latencies, due, 99),
    }


def check(follower: Follower) -> Kept:
    """Insist on every event from the first on, whole and in order, and on its number in its id."""
    latencies: list[int] = []
    size, ids = 0, 0
    for now, event in cut(follower.kept or ()):
        found = EVENT.search(event.translate(None, b" "))
        if found is None:
            if b"data:" in event:
                raise BadResponse(f"not an event of the publisher: {event!r}")
            continue
        n = len(latencies)
        if int(found[1]) != n:
            raise BadResponse(f"event {int(found[1])} in place of {n}")
        latencies.append(now - int(found[2]))
        size += len(event) + 2
        ids += event.endswith(b".%d" % (n + 1))
    return Kept(latencies, size, ids)


def _check_sizes(followers: list[Follower], size: int) -> None:
    """Find those who got the last event but not all before it: too few bytes came."""
    if least := [follower.size for follower in followers if follower.size < size]:
        raise BadResponse(f"{min(least)} bytes in place of at least {size}")


def _order(port: int, count: int, rate: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", f"/publish?count={count}&rate={rate}")
    begin: int = json.load(connection.getresponse())["begin"]
    connection.close()
    return begin


def _percentile(latencies: list[int], due: int, percent: int) -> float | None:
    """Count what did not come as later than everything that came: None when it is one of those."""
    index = due * percent // 100
    return latencies[index] / 1e6 if index < len(latencies) else None


def main() -> None:
    json.dump(measure(*map(int, sys.argv[1:])), sys.stdout)


if __name__ == "__main__":
    main()
