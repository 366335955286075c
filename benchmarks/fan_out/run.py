"""Start a server for each sample, measure it, end it: what is measured, not what it means."""

from __future__ import annotations

__all__ = ("run",)

import time
from contextlib import ExitStack
from sys import stderr
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.fan_out.followers import connect
from benchmarks.fan_out.variants import CELLS, IDLE, VARIANTS, Cell
from benchmarks.machine import about
from benchmarks.processes import Server, finish, resident_bytes, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.fan_out.report import Idle, Results, Sample
    from benchmarks.program import Options

PACKAGE = "benchmarks.fan_out"
DISTRIBUTIONS = (
    "streamkit-py anyio orjson starlette sse-starlette broadcaster uvicorn uvloop httptools"
)
IDLE_FOLLOWERS = 5000
KEEP_ALIVE = 15.0  # seconds, the default of both
SETTLE = 1.0


def run(options: Options) -> Results:
    """Measure the variants; a quick run has a tenth of everything."""
    where = about("fan_out", DISTRIBUTIONS)
    shrink = 10 if options.quick else 1
    rounds: list[dict[str, dict[str, Sample]]] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=stderr)
        rounds.append({cell.name: _turn(cell, options.names, shrink) for cell in CELLS})
    idle = [name for name in IDLE if name in options.names]
    return {
        **where,
        "rounds": rounds,
        "idle": _idle(idle, IDLE_FOLLOWERS // shrink, KEEP_ALIVE * (1 if options.quick else 2)),
    }


def _turn(cell: Cell, names: Sequence[str], shrink: int) -> dict[str, Sample]:
    print(f" {cell.name}", file=stderr)
    samples: dict[str, Sample] = {}
    for name in names:
        if name in cell.events:
            samples[name] = sample = _sample(cell, name, shrink)
            rate = sample["events"] / sample["seconds"]
            share = sample["events"] / sample["due"]
            print(f"  {name:24}{rate:12,.0f} deliveries/s, {share:.0%}", file=stderr)
    return samples


def _sample(cell: Cell, name: str, shrink: int) -> Sample:
    """Measure with a new server: what a peer could not deliver would burden its next sample."""
    with (
        TemporaryDirectory(prefix="streamkit-benchmark-") as directory,
        Server(VARIANTS[name], PACKAGE, directory) as server,
    ):
        server.wait_until_ready()
        client = start(
            f"{PACKAGE}.client",
            server.port,
            server.process.pid,
            cell.followers,
            max(64, cell.events[name] // shrink),
            cell.rate,
            cell.seconds,
        )
        found = finish(client, name)
        server.process.kill()  # some would take 5 s to end: how servers stop is not measured here
    if name.startswith("streamkit") and not found["ids"]:
        raise SystemExit(f"{name}: events came without their ids")
    return {
        "due": found["due"],
        "events": found["events"],
        "seconds": found["seconds"],
        "server_cpu": found["server_cpu"],
        "client_cpu": found["client_cpu"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
    }


class Held:
    """A server and its idle followers."""

    def __init__(self, stack: ExitStack, name: str, followers: int) -> None:
        directory = stack.enter_context(TemporaryDirectory(prefix="streamkit-benchmark-"))
        self.followers = followers
        self.server = stack.enter_context(Server(VARIANTS[name], PACKAGE, directory))
        self.server.wait_until_ready()
        for first in connect(self.server.port, 10):  # what is loaded then is not a follower's
            first.connection.close()
        time.sleep(SETTLE)
        self._bytes = resident_bytes(self.server.process.pid)
        self._client = start(f"{PACKAGE}.idle", self.server.port, followers)
        stack.callback(self._client.kill)  # does nothing to one that has ended
        if not self._client.stdout or self._client.stdout.readline() != "connected\n":
            raise SystemExit(f"{name}: not every follower is connected")

    def start(self) -> None:
        self._cpu = self.server.cpu_seconds()

    def stop(self, seconds: float) -> Idle:
        cpu = (self.server.cpu_seconds() - self._cpu) / seconds
        size = (resident_bytes(self.server.process.pid) - self._bytes) / self.followers
        name = self.server.variant.name
        alive = finish(self._client, name)["kept_alive"]
        if alive != self.followers:
            raise SystemExit(f"{name}: {alive} of {self.followers} followers were kept alive")
        return {"followers": self.followers, "kib": size / 1024, "cpu": cpu}


def _idle(names: Sequence[str], followers: int, seconds: float) -> dict[str, Idle]:
    """Let all be idle at once: none of them needs a core, and so they share the same minute."""
    print(f"{followers} idle followers each, {seconds:.0f} s", file=stderr)
    with ExitStack() as stack:
        held = {name: Held(stack, name, followers) for name in names}
        time.sleep(SETTLE)
        for one in held.values():
            one.start()
        time.sleep(seconds)
        return {name: one.stop(seconds) for name, one in held.items()}
