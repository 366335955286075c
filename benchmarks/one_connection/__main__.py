"""Run the benchmark of one connection: `python -m benchmarks.one_connection --help`."""

from __future__ import annotations

__all__ = ()

import argparse
import json
import signal
import sys
from pathlib import Path

from benchmarks.one_connection.report import Results, checks, exit_code, render
from benchmarks.one_connection.run import run
from benchmarks.one_connection.variants import VARIANTS

KEPT = Path(__file__).parents[1] / "results" / "one_connection.json"
RESULTS = Path(__file__).parents[1] / "RESULTS.md"
BEGIN, END = "<!-- one_connection: written by --write -->\n", "<!-- end of one_connection -->\n"
SENTENCES = {
    0: "All gates passed.",
    1: "A gate FAILED.",
    2: "VOID: not even the code by hand is fast enough here, so this run proves nothing.",
}
MAX_SECONDS = 1200  # of a whole run; five rounds take about three minutes


def main() -> int:
    options = _options()
    if options.write:
        _write(json.loads(KEPT.read_text()))
        return 0
    # An exception, not a death: the servers are ended on the way out.
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, _give_up)
    signal.alarm(MAX_SECONDS)
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
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(results, indent=1) + "\n")
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


def _write(results: Results) -> None:
    """Put the tables into their section of RESULTS.md, and leave the rest of the file alone."""
    before, _, rest = (RESULTS.read_text() if RESULTS.exists() else "").partition(BEGIN)
    _, _, after = rest.partition(END)
    section = f"## One connection\n\n{render(results)}"
    RESULTS.write_text(f"{before}{BEGIN}{section}{END}{after}")


def _give_up(number: int, _frame: object) -> None:
    raise SystemExit(f"stopped by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
