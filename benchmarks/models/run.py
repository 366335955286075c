"""Start the provider, ask it in turns, end it: what is measured, not what it means."""

from __future__ import annotations

__all__ = ("run",)

from sys import stderr
from typing import TYPE_CHECKING

from benchmarks.machine import about
from benchmarks.processes import finish, start

if TYPE_CHECKING:
    from benchmarks.models.report import Results, Sample
    from benchmarks.program import Options

PACKAGE = "benchmarks.models"
DISTRIBUTIONS = "streamkit-py anyio httpx2 openai google-genai aiohttp"
CHUNKS = 20_000


def run(options: Options) -> Results:
    """Measure the variants; a quick run has a fifth of the chunks."""
    where = about("models", DISTRIBUTIONS)
    count = CHUNKS // (5 if options.quick else 1)
    rounds: list[dict[str, Sample]] = []
    provider = start(f"{PACKAGE}.provider")
    try:
        line = provider.stdout.readline() if provider.stdout else ""
        if not line:
            raise SystemExit("the provider did not start, see above")
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=stderr)
            rounds.append({name: _sample(name, int(line), count) for name in options.names})
    finally:
        with provider:
            provider.terminate()
    return {**where, "rounds": rounds}


def _sample(name: str, port: int, count: int) -> Sample:
    found = finish(start(f"{PACKAGE}.client", name, port, count), name)
    sample: Sample = {
        "chunks": found["chunks"],
        "seconds": found["seconds"],
        "client_cpu": found["client_cpu"],
    }
    each = sample["client_cpu"] / sample["chunks"] * 1e6
    print(f"  {name:24}{each:8.1f} µs of CPU per chunk", file=stderr)
    return sample
