"""Run the benchmark of one connection: `python -m benchmarks.one_connection --help`."""

from __future__ import annotations

__all__ = ()

import argparse
import sys

from benchmarks.one_connection.kept import end_by_exception, keep, kept, write_section
from benchmarks.one_connection.report import checks, exit_code, render
from benchmarks.one_connection.run import run
from benchmarks.one_connection.variants import VARIANTS

NAME = "one_connection"
SENTENCES = {
    0: "All gates passed.",
    1: "A gate FAILED.",
    2: "VOID: not even the code by hand is fast enough here, so this run proves nothing.",
}
MAX_SECONDS = 1200  # of a whole run; five rounds take about three minutes


def main() -> int:
    options = _options()
    if options.write:
        write_section(NAME, f"## One connection\n\n{render(kept(NAME))}")
        return 0
    end_by_exception(MAX_SECONDS)
    results = run(
        [VARIANTS[name] for name in options.only],
        rounds=2 if options.quick else options.rounds,
        shrink=5 if options.quick else 1,
        trickle_samples=30 if options.quick else 300,
    )
    print(render(results))
    if options.quick or len(options.only) < len(VARIANTS):
        print("A quick or partial run: nothing kept, no gate enforced.")
        return 0
    keep(NAME, results)
    code = exit_code(checks(results))
    print(SENTENCES[code])
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_connection")
    add = parser.add_argument
    add("--rounds", type=int, default=5)
    add("--quick", action="store_true", help="2 short rounds, 30 trickle samples, no gates")
    add("--only", type=_names, default=list(VARIANTS), metavar="NAME,...", help="no gates")
    add("--write", action="store_true", help="run nothing; write the kept results to RESULTS.md")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(VARIANTS):
        known = ", ".join(VARIANTS)
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {known}")
    return names


if __name__ == "__main__":
    sys.exit(main())
