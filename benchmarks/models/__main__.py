"""Run the benchmark of the answers of models: `python -m benchmarks.models --help`."""

from __future__ import annotations

__all__ = ()

import sys

from benchmarks.models.report import checks, render
from benchmarks.models.run import run
from benchmarks.models.variants import VARIANTS
from benchmarks.program import Benchmark, main

BENCHMARK = Benchmark(
    "models",
    "The answer of a model",
    variants=list(VARIANTS),
    rounds=5,
    max_seconds=180,
    run=run,
    checks=checks,
    render=render,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
