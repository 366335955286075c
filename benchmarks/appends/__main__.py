"""Run the benchmark of what is written to SQLite: `python -m benchmarks.appends --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.appends.report import PARTS, checks, render
from benchmarks.appends.run import run
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "appends",
    "Events on disk",
    variants=PARTS,
    rounds=5,
    max_seconds=180,
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
