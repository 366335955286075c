"""What the numbers mean: medians, ratios, gates, and the tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = (
    "ACKNOWLEDGED",
    "INSERT",
    "PARTS",
    "SEND",
    "TAIL",
    "Results",
    "Sample",
    "checks",
    "render",
)

from statistics import median
from typing import TypedDict

from benchmarks.report import AnyResults, Check, about_run, multiple, table, verdict_table

INSERT, SEND, ACKNOWLEDGED, TAIL = "insert-per-commit", "streamkit", "acknowledged", "tail"
PARTS = (INSERT, SEND, ACKNOWLEDGED, TAIL)


class Sample(TypedDict):
    """So many events, and when the last of them was on disk."""

    events: int
    seconds: float


class Results(AnyResults):
    """One run, raw."""

    rounds: list[dict[str, Sample]]
    latencies_us: dict[str, list[float]]


# A disk that commits faster does not wait for its medium: then nothing here means anything.
MAX_COMMITS = 20_000
LEAST_RATIO = 60
MOST_MS = {ACKNOWLEDGED: 3.0, TAIL: 6.0}
WHAT = {
    ACKNOWLEDGED: "one event per 100 ms, until it is acknowledged",
    TAIL: "100 events/s, until 100 readers of another process have it",
}


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    rounds = results["rounds"]
    return [
        _check_disk(rounds),
        _check_ratio(rounds),
        *(_check_latency(results, part) for part in MOST_MS),
    ]


def _check_disk(rounds: list[dict[str, Sample]]) -> Check:
    rate = median(_rates(rounds, INSERT)) if INSERT in rounds[0] else None
    return Check(
        what=f"{INSERT}, events/s",
        measured="-" if rate is None else f"{rate:,.0f}",
        gate=f"≤ {MAX_COMMITS:,}",
        goal="run is valid",
        passed=None if rate is None else rate <= MAX_COMMITS,
        validity=True,
    )


def _check_ratio(rounds: list[dict[str, Sample]]) -> Check:
    ratio = _ratio(rounds, SEND)
    return Check(
        what=f"{SEND} / {INSERT}",
        measured=multiple(ratio),
        gate=f"≥ {LEAST_RATIO}",
        goal="",
        passed=None if ratio is None else ratio >= LEAST_RATIO,
    )


def _check_latency(results: Results, part: str) -> Check:
    latencies = results["latencies_us"].get(part)
    p50 = median(latencies) / 1000 if latencies else None
    return Check(
        what=f"{WHAT[part]}, p50",
        measured="-" if p50 is None else f"{p50:.2f} ms",
        gate=f"≤ {MOST_MS[part]:.0f} ms",
        goal="",
        passed=None if p50 is None else p50 <= MOST_MS[part],
    )


def render(results: Results) -> str:
    """Write the run as Markdown."""
    rounds = results["rounds"]
    speed = [_speed(rounds, name) for name in rounds[0]]
    latency = [_latency(WHAT[part], found) for part, found in results["latencies_us"].items()]
    parts = (
        about_run(results, len(rounds)),
        table(("events/s on disk", "median", "lowest to highest", f"x {INSERT}"), speed),
        table(("latency in ms", "p50", "p99", "samples"), latency),
        verdict_table(checks(results)),
    )
    return "\n\n".join(parts) + "\n"


def _speed(rounds: list[dict[str, Sample]], name: str) -> list[str]:
    rates = _rates(rounds, name)
    spread = f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
    return [name, f"{median(rates):,.0f}", spread, multiple(_ratio(rounds, name))]


def _latency(what: str, latencies: list[float]) -> list[str]:
    p99 = sorted(latencies)[len(latencies) * 99 // 100]
    return [what, f"{median(latencies) / 1000:.2f}", f"{p99 / 1000:.2f}", f"{len(latencies):,}"]


def _ratio(rounds: list[dict[str, Sample]], name: str) -> float | None:
    """Take the median of the ratios within each round: a slow minute slows both."""
    if not {name, INSERT} <= rounds[0].keys():
        return None
    return median(_rate(measured[name]) / _rate(measured[INSERT]) for measured in rounds)


def _rates(rounds: list[dict[str, Sample]], name: str) -> list[float]:
    return sorted(_rate(measured[name]) for measured in rounds)


def _rate(sample: Sample) -> float:
    return sample["events"] / sample["seconds"]
