"""Start the servers, measure them in turns, end them: what is measured, not what it means."""

from __future__ import annotations

__all__ = ("Server", "finish", "machine", "run", "versions")

import json
import os
import platform
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from sys import executable, stderr
from typing import TYPE_CHECKING, Any, Self

from benchmarks.one_connection.items import PER_SECOND, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.one_connection.report import Results, Sample
    from benchmarks.one_connection.variants import Variant

PACKAGE = "benchmarks.one_connection"
ROOT = Path(__file__).parents[2]
# When the client wakes: for whatever comes, as clients do, or for 64 KiB. On one machine, a server
# that writes every event also pays for waking the client every time, up to half of its speed. A
# client elsewhere is not woken at the server's cost: the patient one shows what that is worth.
EAGER, PATIENT = 1, 65536
CLIENT_TIMEOUT = 120.0  # seconds; the longest, the trickle of 300 samples, takes 32
DISTRIBUTIONS = (
    "streamkit-py anyio orjson starlette sse-starlette fastapi"
    " uvicorn uvloop httptools aiohttp aiohttp-sse"
)


class Server:
    """A running variant; leaving the block ends exactly this process."""

    def __init__(self, variant: Variant, package: str = PACKAGE, *arguments: str) -> None:
        self.variant = variant
        self._command = [executable, "-m", f"{package}.server", variant.name, *arguments]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.PIPE,  # held open: its end tells the server that we are gone
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def wait_until_ready(self) -> None:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.variant.name}: the server did not start, see above")
        self.port = int(line)

    def cpu_seconds(self) -> float:
        """Read what the process has used so far, in ticks of 10 ms."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self, count: int, wake_bytes: int) -> Sample:
        """Stream `count` events to a client and verify every one."""
        before = self.cpu_seconds()
        found = finish(_client("events", self.port, count, wake_bytes), self.variant.name)
        cpu = self.cpu_seconds() - before
        if (found["events"], found["checksum"]) != (count, expected(count)):
            raise SystemExit(
                f"{self.variant.name}: {count} events with checksum {expected(count)} were due, "
                f"{found['events']} with {found['checksum']} came"
            )
        return {
            "events": count,
            "seconds": found["seconds"],
            "first_byte": found["first_byte"],
            "server_cpu": cpu,
            "client_cpu": found["client_cpu"],
        }


def run(variants: Sequence[Variant], *, rounds: int, shrink: int, trickle_samples: int) -> Results:
    """Measure all variants; `shrink` divides the events of every sample."""
    where = machine()
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(variant)) for variant in variants]
        for server in servers:
            server.wait_until_ready()
            server.sample(max(1000, server.variant.events // shrink // 10), EAGER)  # warm-up
        measured: dict[int, list[dict[str, Sample]]] = {EAGER: [], PATIENT: []}
        for number in range(rounds):
            for wake_bytes, kept in measured.items():
                print(f"round {number + 1} of {rounds}, client wakes at {wake_bytes}", file=stderr)
                kept.append(_round(servers, shrink, wake_bytes))
        return {
            "benchmark": "one_connection",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": where,
            "versions": versions(DISTRIBUTIONS),
            "rounds": measured[EAGER],
            "patient_rounds": measured[PATIENT],
            "trickle_us": _trickle(servers, trickle_samples),
        }


def _round(servers: list[Server], shrink: int, wake_bytes: int) -> dict[str, Sample]:
    samples = {}
    for server in servers:
        name = server.variant.name
        samples[name] = sample = server.sample(server.variant.events // shrink, wake_bytes)
        print(f"  {name:24}{sample['events'] / sample['seconds']:12,.0f} events/s", file=stderr)
    return samples


def _trickle(servers: list[Server], count: int) -> dict[str, list[float]]:
    """Let all servers trickle at once, each in a slot of its own within the 100 ms."""
    print(f"trickle, {count / PER_SECOND:.0f} s", file=stderr)
    begin = time.perf_counter_ns() + 2_000_000_000  # by then all clients have started
    slot = 1_000_000_000 // PER_SECOND // len(servers)
    with ExitStack() as stack:
        clients = []
        for index, server in enumerate(servers):
            client = _client("trickle", server.port, count, begin + index * slot)
            stack.callback(client.kill)  # does nothing to one that has ended
            clients.append(client)
        names = [server.variant.name for server in servers]
        found = [finish(*both)["latencies_us"] for both in zip(clients, names, strict=True)]
    return dict(zip(names, found, strict=True))


def _client(kind: str, *numbers: int) -> subprocess.Popen[str]:
    command = [executable, "-m", f"{PACKAGE}.client", kind, *map(str, numbers)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(client: subprocess.Popen[str], name: str) -> dict[str, Any]:
    with client:
        try:
            output, _ = client.communicate(timeout=CLIENT_TIMEOUT)
        except BaseException:
            client.kill()
            raise
    if client.returncode:
        raise SystemExit(f"{name}: the client refused the response, see above")
    found: dict[str, Any] = json.loads(output)
    return found


def versions(distributions: str) -> dict[str, str]:
    return {name: version(name) for name in distributions.split()}


def machine() -> dict[str, str | int | float]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }
