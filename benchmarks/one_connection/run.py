"""Start the servers, measure them in turns, end them: what is measured, not what it means."""

from __future__ import annotations

__all__ = ("run",)

import time
from contextlib import ExitStack
from sys import stderr
from typing import TYPE_CHECKING

from benchmarks.machine import about
from benchmarks.one_connection.items import PER_SECOND, expected
from benchmarks.one_connection.variants import VARIANTS
from benchmarks.processes import Server, finish, start

if TYPE_CHECKING:
    from benchmarks.one_connection.report import Results, Sample
    from benchmarks.program import Options

PACKAGE = "benchmarks.one_connection"
# When the client wakes: for whatever comes, as clients do, or for 64 KiB. On one machine, a server
# that writes every event also pays for waking the client every time, up to half of its speed. A
# client elsewhere is not woken at the server's cost: the patient one shows what that is worth.
EAGER, PATIENT = 1, 65536
DISTRIBUTIONS = (
    "streamkit-py anyio orjson starlette sse-starlette fastapi"
    " uvicorn uvloop httptools aiohttp aiohttp-sse"
)


def run(options: Options) -> Results:
    """Measure the variants; a quick run has a fifth of the events in each sample."""
    where = about("one_connection", DISTRIBUTIONS)
    counts = {name: VARIANTS[name].events // (5 if options.quick else 1) for name in options.names}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(VARIANTS[name], PACKAGE)) for name in counts]
        for server in servers:
            server.wait_until_ready()
            _sample(server, max(1000, counts[server.variant.name] // 10), EAGER)  # warm-up
        measured: dict[int, list[dict[str, Sample]]] = {EAGER: [], PATIENT: []}
        for number in range(options.rounds):
            for wake_bytes, kept in measured.items():
                of = f"{number + 1} of {options.rounds}"
                print(f"round {of}, client wakes at {wake_bytes}", file=stderr)
                kept.append(_round(servers, counts, wake_bytes))
        return {
            **where,
            "rounds": measured[EAGER],
            "patient_rounds": measured[PATIENT],
            "trickle_us": _trickle(servers, 30 if options.quick else 300),
        }


def _round(servers: list[Server], counts: dict[str, int], wake_bytes: int) -> dict[str, Sample]:
    samples = {}
    for server in servers:
        name = server.variant.name
        samples[name] = sample = _sample(server, counts[name], wake_bytes)
        print(f"  {name:24}{sample['events'] / sample['seconds']:12,.0f} events/s", file=stderr)
    return samples


def _sample(server: Server, count: int, wake_bytes: int) -> Sample:
    """Stream `count` events to a client and verify every one."""
    before = server.cpu_seconds()
    client = start(f"{PACKAGE}.client", "events", server.port, count, wake_bytes)
    found = finish(client, server.variant.name)
    cpu = server.cpu_seconds() - before
    if (found["events"], found["checksum"]) != (count, expected(count)):
        raise SystemExit(
            f"{server.variant.name}: {count} events with checksum {expected(count)} were due, "
            f"{found['events']} with {found['checksum']} came"
        )
    return {
        "events": count,
        "seconds": found["seconds"],
        "first_byte": found["first_byte"],
        "server_cpu": cpu,
        "client_cpu": found["client_cpu"],
    }


def _trickle(servers: list[Server], count: int) -> dict[str, list[float]]:
    """Let all servers trickle at once, each in a slot of its own within the 100 ms."""
    print(f"trickle, {count / PER_SECOND:.0f} s", file=stderr)
    begin = time.perf_counter_ns() + 2_000_000_000  # by then all clients have started
    slot = 1_000_000_000 // PER_SECOND // len(servers)
    with ExitStack() as stack:
        clients = []
        for index, server in enumerate(servers):
            at = begin + index * slot
            client = start(f"{PACKAGE}.client", "trickle", server.port, count, at)
            stack.callback(client.kill)  # does nothing to one that has ended
            clients.append(client)
        names = [server.variant.name for server in servers]
        found = [finish(*both)["latencies_us"] for both in zip(clients, names, strict=True)]
    return dict(zip(names, found, strict=True))
