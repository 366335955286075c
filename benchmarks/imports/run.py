"""Time whole processes that only import, in turns."""

from __future__ import annotations

__all__ = ("run",)

import subprocess
import sys
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.imports.report import Results
from benchmarks.imports.variants import VARIANTS
from benchmarks.machine import about

if TYPE_CHECKING:
    from benchmarks.program import Options

DISTRIBUTIONS = "streamkit-py anyio typing-extensions orjson starlette sse-starlette"


def run(options: Options) -> Results:
    """Start each variant once in each round; the first round, which fills caches, is not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in options.names}
    for number in range(options.rounds + 1):
        for name in options.names:
            took = _seconds(VARIANTS[name])
            if number:
                seconds[name].append(took)
    return {**about("imports", DISTRIBUTIONS), "seconds": seconds}


def _seconds(code: str) -> float:
    begun = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    return perf_counter() - begun
