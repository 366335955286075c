"""What the numbers mean: medians, ratios, gates, and the tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = ("Limits", "Results", "checks", "render")

from statistics import median
from typing import TypedDict

from benchmarks.one_connection.report import Rounds, median_ratio
from benchmarks.process.variants import PIPE
from benchmarks.report import AnyResults, Check, about_run, multiple, table, verdict_table


class Limits(TypedDict):
    """What was measured beside speed."""

    growth_mb: float
    long_line_bytes: int
    long_line_seconds: float


class Results(AnyResults):
    """One run, raw; an event of a sample is a line."""

    rounds: Rounds
    limits: Limits


LEAST_SPEED = (("streamkit-text", 4_000_000), ("streamkit-sse", 800_000))  # lines/s
LEAST_RATIO = (("streamkit-text", "popen-generator", 300.0), ("streamkit-text", PIPE, 0.30))
MAX_GROWTH_MB = 40.0
REFERENCES = ("popen-generator", "asyncio-readline", PIPE)


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    rounds = results["rounds"]
    return [
        *(_check_speed(rounds, name, least) for name, least in LEAST_SPEED),
        *(_check_ratio(rounds, *gate) for gate in LEAST_RATIO),
        _check_growth(results["limits"]["growth_mb"]),
        # The run ends without results where it does not.
        Check("one line of 10 MB arrives whole", "yes", "yes", "", passed=True),
    ]


def _check_speed(rounds: Rounds, name: str, least: int) -> Check:
    speed = median(_rates(rounds, name)) if name in rounds[0] else None
    return Check(
        what=f"{name}, lines/s",
        measured="-" if speed is None else f"{speed:,.0f}",
        gate=f"≥ {least:,}",
        goal="",
        passed=None if speed is None else speed >= least,
    )


def _check_ratio(rounds: Rounds, name: str, reference: str, least: float) -> Check:
    ratio = median_ratio(rounds, name, reference)
    return Check(
        what=f"{name} / {reference}",
        measured=multiple(ratio),
        gate=f"≥ {multiple(least)}",
        goal="",
        passed=None if ratio is None else ratio >= least,
    )


def _check_growth(grown: float) -> Check:
    return Check(
        what="server's memory, slow client of `yes`",
        measured=f"{grown:+.1f} MB",
        gate=f"< +{MAX_GROWTH_MB:.0f} MB",
        goal="",
        passed=grown < MAX_GROWTH_MB,
    )


def render(results: Results) -> str:
    """Write the run as Markdown."""
    rounds = results["rounds"]
    speed = [_speed(rounds, name) for name in rounds[0]]
    parts = (about_run(results, len(rounds)), table(_SPEED, speed), verdict_table(checks(results)))
    return "\n\n".join(parts) + "\n"


_SPEED = (
    "lines/s, 44 bytes each",
    "median",
    "lowest to highest",
    "server CPU s per million",
    "first byte ms",
    *(f"x {name}" for name in REFERENCES),
)


def _speed(rounds: Rounds, name: str) -> list[str]:
    samples = [measured[name] for measured in rounds]
    rates = _rates(rounds, name)
    cpu = median(sample["server_cpu"] / sample["events"] for sample in samples) * 1e6
    first = median(sample["first_byte"] for sample in samples) * 1000
    of_server = ["-", "-"] if name == PIPE else [f"{cpu:.2f}", f"{first:.1f}"]
    ratios = [multiple(median_ratio(rounds, name, reference)) for reference in REFERENCES]
    spread = f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
    return [name, f"{median(rates):,.0f}", spread, *of_server, *ratios]


def _rates(rounds: Rounds, name: str) -> list[float]:
    samples = [measured[name] for measured in rounds]
    return sorted(sample["events"] / sample["seconds"] for sample in samples)
