"""What the numbers mean: medians, ratios, gates, and the tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = ("Results", "Rounds", "Sample", "checks", "median_ratio", "render")

from dataclasses import dataclass
from statistics import median
from typing import TypeAlias, TypedDict

from benchmarks.report import AnyResults, Check, about_run, multiple, table, verdict_table

REFERENCES = ("sse-starlette", "fastapi-sse", "starlette-by-hand", "asgi-by-hand-coalescing")


class Sample(TypedDict):
    """One stream of one variant; times in seconds."""

    events: int
    seconds: float
    first_byte: float
    server_cpu: float
    client_cpu: float


Rounds: TypeAlias = list[dict[str, Sample]]


class Results(AnyResults):
    """One run, raw."""

    rounds: Rounds  # the client wakes for whatever comes: these decide
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


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    return [
        _check(results, VALID, validity=True),
        *(_check(results, gate, validity=False) for gate in GATES),
        _check_trickle(results),
    ]


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
        about_run(results, len(eager)),
        table(("events/s, client wakes for whatever comes", *_SPEED), speed),
        table(("events/s, client wakes for 64 KiB", *_SPEED), calm),
        table(_LATENCY, latency),
        verdict_table(checks(results)),
    )
    return "\n\n".join(parts) + "\n"


_SPEED = (
    "median",
    "lowest to highest",
    "server CPU s per million",
    "first byte ms",
    *(f"x {name}" for name in REFERENCES),
)
_LATENCY = ("10 events/s, latency in µs", "p50", "p99", "samples")


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


def median_ratio(rounds: Rounds, name: str, reference: str) -> float | None:
    """Take the median of the ratios within each round: a slow minute slows both."""
    if name not in rounds[0] or reference not in rounds[0]:
        return None
    return median(
        (measured[name]["events"] / measured[name]["seconds"])
        / (measured[reference]["events"] / measured[reference]["seconds"])
        for measured in rounds
    )
