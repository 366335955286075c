"""What the numbers mean: medians, ratios, gates, and the two tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = (
    "AnyResults",
    "Check",
    "Results",
    "Rounds",
    "Sample",
    "about_run",
    "checks",
    "exit_code",
    "median_ratio",
    "multiple",
    "render",
    "table",
    "verdict_table",
)

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCES = ("sse-starlette", "fastapi-sse", "starlette-by-hand", "asgi-by-hand-coalescing")


class Sample(TypedDict):
    """One stream of one variant; times in seconds."""

    events: int
    seconds: float
    first_byte: float
    server_cpu: float
    client_cpu: float


Rounds: TypeAlias = list[dict[str, Sample]]


class AnyResults(TypedDict):
    """One run of any benchmark, raw."""

    benchmark: str
    date: str
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    rounds: Rounds  # the client wakes for whatever comes: these decide


class Results(AnyResults):
    """One run of this one."""

    patient_rounds: Rounds  # it wakes for 64 KiB
    trickle_us: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Gate:
    """`variant` reaches at least `least` times the events/s of `reference`."""

    variant: str
    reference: str
    least: float
    goal: float


# Below this the machine, not streamkit, decides: the run proves nothing either way.
VALID = Gate("asgi-by-hand-coalescing", "sse-starlette", 18, 18)
GATES = (
    Gate("streamkit", "sse-starlette", 12, 20),
    Gate("streamkit", "fastapi-sse", 40, 70),
    Gate("streamkit", "starlette-by-hand", 6, 10),
    Gate("streamkit", "asgi-by-hand-coalescing", 0.60, 0.70),
    Gate("streamkit-stdlib-json", "sse-starlette", 4.5, 6),
    Gate("streamkit-aiohttp", "aiohttp-sse", 12, 18),
)
TRICKLE = ("streamkit", "asgi-one-send-per-event")
MAX_ADDED_US = 200.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict; `passed` is None when its variants did not run."""

    what: str
    measured: str
    gate: str
    goal: str
    passed: bool | None
    validity: bool = False


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    return [
        _check(results, VALID, validity=True),
        *(_check(results, gate, validity=False) for gate in GATES),
        _check_trickle(results),
    ]


def exit_code(verdict: Sequence[Check]) -> int:
    """Give 0 for passed, 1 for failed, 2 for a run that proves nothing."""
    failed = [check for check in verdict if check.passed is False]
    if any(check.validity for check in failed):
        return 2
    return 1 if failed else 0


def _check(results: Results, gate: Gate, *, validity: bool) -> Check:
    ratio = median_ratio(results["rounds"], gate.variant, gate.reference)
    return Check(
        what=f"{gate.variant} / {gate.reference}",
        measured=multiple(ratio),
        gate=f"≥ {multiple(gate.least)}",
        goal="run is valid" if validity else multiple(gate.goal),
        passed=None if ratio is None else ratio >= gate.least,
        validity=validity,
    )


def _check_trickle(results: Results) -> Check:
    ours, raw = (results["trickle_us"].get(name) for name in TRICKLE)
    added = median(ours) - median(raw) if ours and raw else None
    return Check(
        what=f"trickle p50, {TRICKLE[0]} - {TRICKLE[1]}",
        measured="-" if added is None else f"{added:+.0f} µs",
        gate=f"≤ +{MAX_ADDED_US:.0f} µs",
        goal="",
        passed=None if added is None else added <= MAX_ADDED_US,
    )


def render(results: Results) -> str:
    """Write the run as Markdown."""
    eager, patient = results["rounds"], results["patient_rounds"]
    speed = [_speed(eager, name) for name in eager[0]]
    calm = [_speed(patient, name) for name in patient[0]]
    latency = [_latency(name, us) for name, us in results["trickle_us"].items()]
    parts = (
        about_run(results),
        table(("events/s, client wakes for whatever comes", *_SPEED), speed),
        table(("events/s, client wakes for 64 KiB", *_SPEED), calm),
        table(_LATENCY, latency),
        verdict_table(checks(results)),
    )
    return "\n\n".join(parts) + "\n"


def about_run(results: AnyResults) -> str:
    """Say when and where it ran, and with what."""
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{results['date']}: {machine['cpu']}, {machine['cores']} cores, load {machine['load']}, "
        f"{machine['system']}, Python {machine['python']}, {len(results['rounds'])} rounds."
        f"\n\n{packages}."
    )


def verdict_table(verdict: Sequence[Check]) -> str:
    """Write one line for each check."""
    return table(_VERDICT, [_verdict(check) for check in verdict])


_SPEED = (
    "median",
    "lowest to highest",
    "server CPU s per million",
    "first byte ms",
    *(f"x {name}" for name in REFERENCES),
)
_LATENCY = ("10 events/s, latency in µs", "p50", "p99", "samples")
_VERDICT = ("gate", "measured", "needed", "goal", "verdict")


def _speed(rounds: Rounds, name: str) -> list[str]:
    samples = [measured[name] for measured in rounds]
    rates = sorted(sample["events"] / sample["seconds"] for sample in samples)
    cpu = median(sample["server_cpu"] / sample["events"] for sample in samples) * 1e6
    first = median(sample["first_byte"] for sample in samples) * 1000
    ratios = [multiple(median_ratio(rounds, name, reference)) for reference in REFERENCES]
    spread = f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
    return [name, f"{median(rates):,.0f}", spread, f"{cpu:.2f}", f"{first:.1f}", *ratios]


def _latency(name: str, latencies: list[float]) -> list[str]:
    p99 = sorted(latencies)[len(latencies) * 99 // 100]
    return [name, f"{median(latencies):.0f}", f"{p99:.0f}", str(len(latencies))]


def _verdict(check: Check) -> list[str]:
    bad = "VOID" if check.validity else "FAILED"
    word = {True: "passed", False: bad, None: "not run"}[check.passed]
    return [check.what, check.measured, check.gate, check.goal, word]


def median_ratio(rounds: Rounds, name: str, reference: str) -> float | None:
    """Take the median of the ratios within each round: a slow minute slows both."""
    if name not in rounds[0] or reference not in rounds[0]:
        return None
    return median(
        (measured[name]["events"] / measured[name]["seconds"])
        / (measured[reference]["events"] / measured[reference]["seconds"])
        for measured in rounds
    )


def multiple(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align a Markdown table, so that it reads well in a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = (
        " | ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, rule, *rows)
    )
    return "\n".join(f"| {line} |" for line in lines)
