"""Run the benchmark of what an import costs: `python -m benchmarks.imports --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.imports.report import checks, render
from benchmarks.imports.run import run
from benchmarks.imports.variants import VARIANTS
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "imports",
    "Importing",
    variants=tuple(VARIANTS),
    rounds=21,
    max_seconds=120,
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
