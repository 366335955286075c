"""Run the benchmark of one connection: `python -m benchmarks.one_connection --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.one_connection.report import checks, render
from benchmarks.one_connection.run import run
from benchmarks.one_connection.variants import VARIANTS
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "one_connection",
    "One connection",
    variants=list(VARIANTS),
    rounds=5,
    max_seconds=1200,  # five rounds take about three minutes
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
