"""Run the benchmark of a command's output: `python -m benchmarks.process --help`."""

from __future__ import annotations

__all__ = ()

import argparse
import sys

from benchmarks.one_connection.kept import end_by_exception, keep, kept, write_section
from benchmarks.one_connection.report import exit_code
from benchmarks.process.report import checks, render
from benchmarks.process.run import run
from benchmarks.process.variants import VARIANTS

NAME = "process"
MAX_SECONDS = 110  # of a whole run


def main() -> int:
    options = _options()
    if options.write:
        write_section(NAME, f"## The output of a command\n\n{render(kept(NAME))}")
        return 0
    end_by_exception(MAX_SECONDS)
    results = run(
        [VARIANTS[name] for name in options.only],
        rounds=2 if options.quick else options.rounds,
        shrink=5 if options.quick else 1,
    )
    print(render(results))
    if options.quick or len(options.only) < len(VARIANTS):
        print("A quick or partial run: nothing kept, no gate enforced.")
        return 0
    keep(NAME, results)
    code = exit_code(checks(results))
    print("A gate FAILED." if code else "All gates passed.")
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.process")
    add = parser.add_argument
    add("--rounds", type=int, default=5)
    add("--quick", action="store_true", help="2 short rounds, no gates")
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
