"""The command line of every benchmark: run, show, keep, judge."""

from __future__ import annotations

__all__ = ("Benchmark", "Options", "main")

import argparse
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.kept import keep, kept, write_section
from benchmarks.report import Check, exit_code

SENTENCES = {
    0: "All gates passed.",
    1: "A gate FAILED.",
    2: "VOID: on this machine, at this moment, the run proves nothing.",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for."""

    names: Sequence[str]  # of the variants, in the order in which they run
    rounds: int
    quick: bool


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark; what `run` returns is kept as JSON, and read by `checks` and `render`."""

    name: str  # its package, its file in results/, its section of RESULTS.md
    title: str
    variants: Sequence[str]
    rounds: int
    max_seconds: int  # of a whole run
    run: Callable[[Options], Mapping[str, Any]]
    checks: Callable[[Any], list[Check]]
    render: Callable[[Any], str]


def main(benchmark: Benchmark) -> int:
    """Do what the command line says, and return the exit status."""
    command = _command(benchmark)
    if command.write:
        text = benchmark.render(kept(benchmark.name))
        write_section(benchmark.name, f"## {benchmark.title}\n\n{text}")
        return 0
    _end_by_exception(benchmark.max_seconds)
    rounds = 1 if command.quick else command.rounds
    results = benchmark.run(Options(command.only, rounds, command.quick))
    print(benchmark.render(results))
    if command.quick or len(command.only) < len(benchmark.variants):
        print("A quick or partial run: nothing kept, no gate enforced.")
        return 0
    keep(benchmark.name, results)
    code = exit_code(benchmark.checks(results))
    print(SENTENCES[code])
    return code


def _command(benchmark: Benchmark) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(benchmark.variants):
            known = ", ".join(benchmark.variants)
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {known}")
        return found

    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}")
    add = parser.add_argument
    add("--rounds", type=int, default=benchmark.rounds)
    add("--quick", action="store_true", help="one short round, no gates")
    add("--only", type=names, default=benchmark.variants, metavar="NAME,...", help="no gates")
    add("--write", action="store_true", help="run nothing; write the kept results to RESULTS.md")
    return parser.parse_args()


def _end_by_exception(max_seconds: int) -> None:
    """Make a signal, or too long a run, an exception: the servers are ended on the way out."""
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, _give_up)
    signal.alarm(max_seconds)


def _give_up(number: int, _frame: object) -> None:
    raise SystemExit(f"stopped by {signal.Signals(number).name}")
