"""Start the processes, each with a file of its own: what is measured, not what it means."""

from __future__ import annotations

__all__ = ("run",)

from contextlib import ExitStack
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.appends.report import ACKNOWLEDGED, INSERT, SEND, TAIL
from benchmarks.machine import about
from benchmarks.processes import finish, start

if TYPE_CHECKING:
    import subprocess

    from benchmarks.appends.report import Results, Sample
    from benchmarks.program import Options

WORKER = "benchmarks.appends.worker"
DISTRIBUTIONS = "streamkit-py anyio orjson uvloop"
INSERT_SECONDS = 1
SENT = 300_000
READERS = 100
RATE = 100


def run(options: Options) -> Results:
    """Measure the parts; a quick run has a fifth of the events."""
    where = about("appends", DISTRIBUTIONS)
    shrink = 5 if options.quick else 1
    asked = {INSERT: ("insert", INSERT_SECONDS), SEND: ("append", SENT // shrink)}
    rounds: list[dict[str, Sample]] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=stderr)
        rounds.append(
            {name: _sample(name, *asked[name]) for name in options.names if name in asked}
        )
    latencies = {}
    if ACKNOWLEDGED in options.names:
        print("one event at a time", file=stderr)
        latencies[ACKNOWLEDGED] = _alone("acknowledge", 50 // shrink)["latencies_us"]
    if TAIL in options.names:
        print("another process", file=stderr)
        latencies[TAIL] = _tail(500 // shrink)
    return {**where, "rounds": rounds, "latencies_us": latencies}


def _sample(name: str, role: str, number: int) -> Sample:
    found = _alone(role, number)
    print(f"  {name:24}{found['events'] / found['seconds']:12,.0f} events/s", file=stderr)
    return {"events": found["events"], "seconds": found["seconds"]}


def _alone(role: str, number: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="streamkit-benchmark-") as directory:
        return finish(start(WORKER, role, Path(directory) / "events.db", number), role)


def _tail(count: int) -> list[float]:
    """Have one process produce and another read, on one file."""
    with TemporaryDirectory(prefix="streamkit-benchmark-") as directory, ExitStack() as stack:
        path = Path(directory) / "events.db"
        producer = start(WORKER, "produce", path, count, RATE)
        stack.callback(producer.kill)  # does nothing to one that has ended
        _wait_until_ready(producer)
        reader = start(WORKER, "read", path, READERS, count)
        stack.callback(reader.kill)
        _wait_until_ready(reader)
        assert producer.stdin is not None
        producer.stdin.write("begin\n")
        producer.stdin.flush()
        latencies = finish(reader, "read")["latencies_us"]
        finish(producer, "produce")
    return [round(each) for each in latencies]


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    if not process.stdout or process.stdout.readline() != "ready\n":
        raise SystemExit("a process did not start, see above")
