"""What the numbers mean: medians, ratios, gates, and the tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = ("Results", "Sample", "checks", "render")

from statistics import median
from typing import TypedDict

from benchmarks.models.variants import GEMINI, GENAI, GPT, OPENAI, VARIANTS
from benchmarks.report import AnyResults, Check, about_run, multiple, table, verdict_table


class Sample(TypedDict):
    """One answer, read by one client."""

    chunks: int
    seconds: float
    client_cpu: float


class Results(AnyResults):
    """One run, raw."""

    rounds: list[dict[str, Sample]]


MAX_MICROSECONDS = 25.0
LEAST_RATIO = ((OPENAI, GPT, 2.5), (GENAI, GEMINI, 3.5))


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    rounds = results["rounds"]
    return [
        *(_check_cpu(rounds, name) for name in (GPT, GEMINI)),
        *(_check_ratio(rounds, *gate) for gate in LEAST_RATIO),
    ]


def _check_cpu(rounds: list[dict[str, Sample]], name: str) -> Check:
    cpu = median(_cpus(rounds, name)) if name in rounds[0] else None
    return Check(
        what=f"{name}, CPU per chunk",
        measured="-" if cpu is None else f"{cpu:.1f} µs",
        gate=f"≤ {MAX_MICROSECONDS:.0f} µs",
        goal="",
        passed=None if cpu is None else cpu <= MAX_MICROSECONDS,
    )


def _check_ratio(rounds: list[dict[str, Sample]], sdk: str, name: str, least: float) -> Check:
    ratio = _ratio(rounds, sdk, name)
    return Check(
        what=f"{sdk} / {name}, CPU",
        measured=multiple(ratio),
        gate=f"≥ {least}",
        goal="",
        passed=None if ratio is None else ratio >= least,
    )


def render(results: Results) -> str:
    """Write the run as Markdown."""
    rounds = results["rounds"]
    rows = [_row(rounds, name) for name in rounds[0]]
    parts = (about_run(results, len(rounds)), table(_HEAD, rows), verdict_table(checks(results)))
    return "\n\n".join(parts) + "\n"


_HEAD = ("client", "CPU µs per chunk", "lowest to highest", "chunks/s", "CPU of the SDK's iterator")


def _row(rounds: list[dict[str, Sample]], name: str) -> list[str]:
    cpus, sdk = _cpus(rounds, name), VARIANTS[name]
    ratio = _ratio(rounds, sdk, name)
    rate = median(sample["chunks"] / sample["seconds"] for sample in _samples(rounds, name))
    spread = f"{cpus[0]:.1f} to {cpus[-1]:.1f}"
    of_sdk = "-" if ratio is None else f"{multiple(ratio)} x ({sdk})"
    return [name, f"{median(cpus):.1f}", spread, f"{rate:,.0f}", of_sdk]


def _ratio(rounds: list[dict[str, Sample]], sdk: str, name: str) -> float | None:
    """Take the median of the ratios within each round: a slow minute slows both."""
    if not {sdk, name} <= rounds[0].keys():
        return None
    return median(_cpu(measured[sdk]) / _cpu(measured[name]) for measured in rounds)


def _cpus(rounds: list[dict[str, Sample]], name: str) -> list[float]:
    return sorted(map(_cpu, _samples(rounds, name)))


def _samples(rounds: list[dict[str, Sample]], name: str) -> list[Sample]:
    return [measured[name] for measured in rounds]


def _cpu(sample: Sample) -> float:
    """Return the microseconds of one chunk."""
    return sample["client_cpu"] / sample["chunks"] * 1e6
