"""Write the files, start the servers, measure them in turns, end them: not what it means."""

from __future__ import annotations

__all__ = ("run",)

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.machine import about
from benchmarks.process.bounds import growth
from benchmarks.process.files import LONG, LONG_BYTES, Expected, write_lines, write_long
from benchmarks.process.variants import PIPE, PIPE_LINES, VARIANTS, LinesVariant
from benchmarks.processes import Server, finish, start

if TYPE_CHECKING:
    from benchmarks.one_connection.report import Rounds, Sample
    from benchmarks.process.report import Limits, Results
    from benchmarks.program import Options

PACKAGE = "benchmarks.process"
MAX_LINE = 128  # bytes a line may take, framing included: bounds the memory of a sample
WARM_UP = 2_000  # lines
DISTRIBUTIONS = "streamkit-py anyio orjson starlette fastapi uvicorn uvloop httptools"


class Lines:
    """The servers, and the files they have the children write."""

    def __init__(self, directory: Path, shrink: int) -> None:
        self.directory = directory
        self.shrink = shrink
        counts = {WARM_UP, PIPE_LINES // shrink}
        counts |= {variant.events // shrink for variant in VARIANTS.values()}
        self.expected = {str(count): write_lines(directory, count) for count in sorted(counts)}
        self.expected[LONG] = write_long(directory)

    def server(self, variant: LinesVariant) -> Server:
        return Server(variant, PACKAGE, str(self.directory))

    def sample(self, server: Server, framing: str, name: str) -> Sample:
        """Stream a file to a client and verify all of it."""
        due = self.expected[name]
        max_bytes = due.lines * MAX_LINE + 2 * LONG_BYTES
        before = server.cpu_seconds()
        client = start(f"{PACKAGE}.client", framing, server.port, name, max_bytes)
        found = finish(client, server.variant.name)
        cpu = server.cpu_seconds() - before
        came = Expected(found["lines"], found["checksum"])
        if came != due:
            raise SystemExit(f"{server.variant.name}, {name}: {due} was due, {came} came")
        return {
            "events": due.lines,
            "seconds": found["seconds"],
            "first_byte": found["first_byte"],
            "server_cpu": cpu,
            "client_cpu": found["client_cpu"],
        }

    def pipe(self) -> Sample:
        """Run `cat file | wc -l`, from its start until both have ended."""
        count = PIPE_LINES // self.shrink
        start = time.perf_counter()
        with (
            subprocess.Popen(["cat", self.directory / str(count)], stdout=subprocess.PIPE) as cat,
            subprocess.Popen(["wc", "-l"], stdin=cat.stdout, stdout=subprocess.PIPE) as wc,
        ):
            output, _ = wc.communicate()
        seconds = time.perf_counter() - start
        if int(output) != count:
            raise SystemExit(f"{PIPE}: {count} lines were due, {int(output)} came")
        return {
            "events": count,
            "seconds": seconds,
            "first_byte": 0.0,
            "server_cpu": 0.0,
            "client_cpu": 0.0,
        }


def run(options: Options) -> Results:
    """Measure the variants; a quick run has a fifth of the lines in each sample."""
    where = about("process", DISTRIBUTIONS)
    variants = [VARIANTS[name] for name in options.names]
    with TemporaryDirectory(prefix="streamkit-benchmark-") as directory, ExitStack() as stack:
        lines = Lines(Path(directory), shrink=5 if options.quick else 1)
        servers = [stack.enter_context(lines.server(variant)) for variant in variants]
        for server, variant in zip(servers, variants, strict=True):
            server.wait_until_ready()
            lines.sample(server, variant.framing, str(WARM_UP))
        measured: Rounds = []
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=stderr)
            measured.append(_round(lines, servers, variants))
        return {**where, "rounds": measured, "limits": _limits(lines, seconds=5 / lines.shrink)}


def _round(lines: Lines, servers: list[Server], variants: list[LinesVariant]) -> dict[str, Sample]:
    samples = {PIPE: lines.pipe()}
    for server, variant in zip(servers, variants, strict=True):
        name = str(variant.events // lines.shrink)
        samples[variant.name] = lines.sample(server, variant.framing, name)
    for name, sample in samples.items():
        print(f"  {name:24}{sample['events'] / sample['seconds']:12,.0f} lines/s", file=stderr)
    return samples


def _limits(lines: Lines, *, seconds: float) -> Limits:
    """Measure with a new server: what an earlier sample left in its heap would hide a growth."""
    print("a slow client of `yes`, and one long line", file=stderr)
    with lines.server(VARIANTS["streamkit-text"]) as server:
        server.wait_until_ready()
        lines.sample(server, "text", str(WARM_UP))
        grown = growth(server.process.pid, server.port, seconds)
        long = lines.sample(server, "text", LONG)
    return {"growth_mb": grown, "long_line_bytes": LONG_BYTES, "long_line_seconds": long["seconds"]}
