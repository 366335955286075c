"""What an import costs beyond that of anyio. Pure: text out."""

from __future__ import annotations

__all__ = ("Results", "checks", "render")

from statistics import median

from benchmarks.report import AnyResults, Check, about_run, table, verdict_table

# In milliseconds beyond anyio, the median of fresh processes.
GATE = 60.0


class Results(AnyResults):
    """The seconds that each process took, in the order of the rounds."""

    seconds: dict[str, list[float]]


def render(results: Results) -> str:
    rounds = len(next(iter(results["seconds"].values())))
    rows = [
        [name, f"{1000 * median(took):.0f}", _beyond(results, name), f"{1000 * min(took):.0f}"]
        for name, took in results["seconds"].items()
    ]
    head = ("whole processes, ms", "median", "beyond anyio, median of the rounds", "lowest")
    tables = table(head, rows), verdict_table(checks(results))
    return "\n\n".join((about_run(results, rounds), *tables)) + "\n"


def checks(results: Results) -> list[Check]:
    cost = _milliseconds_beyond(results, "streamkit")
    measured = "-" if cost is None else f"{cost:.0f} ms"
    return [
        Check(
            "import streamkit, beyond anyio",
            measured,
            f"{GATE:.0f} ms",
            "30 ms",
            None if cost is None else cost <= GATE,
        )
    ]


def _beyond(results: Results, name: str) -> str:
    cost = _milliseconds_beyond(results, name)
    return "-" if cost is None or name == "anyio" else f"{cost:.0f}"


def _milliseconds_beyond(results: Results, name: str) -> float | None:
    """Return the median of the differences within each round: a slow minute slows both sides."""
    seconds = results["seconds"]
    if name not in seconds or "anyio" not in seconds:
        return None
    pairs = zip(seconds[name], seconds["anyio"], strict=True)
    return 1000 * median(own - base for own, base in pairs)
