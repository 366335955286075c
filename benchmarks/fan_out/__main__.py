"""Run the benchmark of many followers: `python -m benchmarks.fan_out --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.fan_out.report import checks, render
from benchmarks.fan_out.run import run
from benchmarks.fan_out.variants import VARIANTS
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "fan_out",
    "Many followers",
    variants=list(VARIANTS),
    rounds=3,
    max_seconds=600,
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
