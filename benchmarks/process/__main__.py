"""Run the benchmark of a command's output: `python -m benchmarks.process --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.process.report import checks, render
from benchmarks.process.run import run
from benchmarks.process.variants import VARIANTS
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "process",
    "The output of a command",
    variants=list(VARIANTS),
    rounds=5,
    max_seconds=110,
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
