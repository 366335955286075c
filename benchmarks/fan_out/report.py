"""What the numbers mean: medians, ratios, gates, and the tables. Pure: results in, text out."""

from __future__ import annotations

__all__ = ("Idle", "Results", "Sample", "checks", "render")

from statistics import median
from typing import TYPE_CHECKING, Literal, TypedDict

from benchmarks.fan_out.variants import BUSY, CELLS, CROWD, FULL_100, FULL_1000, PEERS, Cell
from benchmarks.report import AnyResults, Check, about_run, multiple, table, verdict_table

if TYPE_CHECKING:
    from collections.abc import Callable


class Sample(TypedDict):
    """One stream to all its followers; an event is counted once for each of them."""

    due: int
    events: int
    seconds: float
    server_cpu: float
    client_cpu: float
    p50_ms: float | None  # None: it did not come in time
    p99_ms: float | None


class Idle(TypedDict):
    """What a follower costs that gets nothing but keep-alives."""

    followers: int
    kib: float  # of the server's memory, for each
    cpu: float  # share of a core, for all


class Results(AnyResults):
    """One run, raw."""

    rounds: list[dict[str, dict[str, Sample]]]  # by cell, by variant
    idle: dict[str, Idle]


QUEUE, MEMORY, SQLITE = "queue-sse-starlette", "streamkit", "streamkit-sqlite"
BARE_QUEUE, BARE = "queue-sse-starlette-bare", "streamkit-bare"
# Cell, variant, least deliveries/s in those of the queues, goal.
FASTER = (
    (FULL_100, MEMORY, 70, None),
    (FULL_1000, MEMORY, 45, 60),
    (FULL_100, SQLITE, 80, None),
)
# Cell, variant, most ms at p99.
IN_TIME = ((BUSY, MEMORY, 15), (BUSY, SQLITE, 15), (CROWD, MEMORY, 120))
# Variant, most CPU for a delivery in that of the best peer, goal.
CHEAPER = ((MEMORY, 0.55, None), (SQLITE, 0.8, 0.6))
MAX_IDLE_KIB, GOAL_IDLE_KIB = 19.0, 13.0
MAX_IDLE_RATIO = 0.5
MAX_IDLE_CPU = 0.015


def checks(results: Results) -> list[Check]:
    """Hold the results against every gate."""
    return [
        *(_faster(results, *gate) for gate in FASTER),
        *(check for gate in IN_TIME for check in _in_time(results, *gate)),
        *(_cheaper(results, *gate) for gate in CHEAPER),
        *_idle_checks(results["idle"]),
    ]


def _faster(results: Results, cell: Cell, name: str, least: float, goal: float | None) -> Check:
    ratio = _ratio(results, cell, name, (QUEUE,), _rate)
    return Check(
        what=f"{cell.name}: {name} / {QUEUE}",
        measured="-" if ratio is None else multiple(ratio),
        gate=f"≥ {least}",
        goal=f"{goal}" if goal else "",
        passed=None if ratio is None else ratio >= least,
    )


def _in_time(results: Results, cell: Cell, name: str, most: float) -> list[Check]:
    samples = _samples(results, cell, name)
    if not samples:
        return [Check(f"{cell.name}: {name}", "-", f"p99 ≤ {most} ms", "", passed=None)]
    came = min(sample["events"] / sample["due"] for sample in samples)
    p99 = _median_ms(samples, "p99_ms")
    return [
        Check(f"{cell.name}: {name}, delivered", f"{came:.0%}", "100%", "", passed=came == 1),
        Check(
            f"{cell.name}: {name}, p99",
            _ms(p99, cell),
            f"≤ {most} ms",
            "",
            passed=p99 is not None and p99 <= most,
        ),
    ]


def _cheaper(results: Results, name: str, most: float, goal: float | None) -> Check:
    ratio = _ratio(results, BUSY, name, PEERS, _cpu)
    return Check(
        what=f"{BUSY.name}: {name} / best peer, CPU",
        measured=multiple(ratio),
        gate=f"≤ {multiple(most)}",
        goal=f"{goal}" if goal else "",
        passed=None if ratio is None else ratio <= most,
    )


def _idle_checks(idle: dict[str, Idle]) -> list[Check]:
    ours, peer = idle.get(BARE), idle.get(BARE_QUEUE)
    if ours is None or peer is None:
        return [Check("idle", "-", "", "", passed=None)]
    kib, ratio, cpu = ours["kib"], ours["kib"] / peer["kib"], ours["cpu"]
    return [
        Check(
            f"idle: {BARE}, memory of a follower",
            f"{kib:.1f} KiB",
            f"≤ {MAX_IDLE_KIB:.0f} KiB",
            f"{GOAL_IDLE_KIB:.0f} KiB",
            passed=kib <= MAX_IDLE_KIB,
        ),
        Check(
            f"idle: {BARE} / {BARE_QUEUE}, memory",
            multiple(ratio),
            f"≤ {multiple(MAX_IDLE_RATIO)}",
            "",
            passed=ratio <= MAX_IDLE_RATIO,
        ),
        Check(
            f"idle: {BARE}, keep-alives, of a core",
            f"{cpu:.2%}",
            f"≤ {MAX_IDLE_CPU:.1%}",
            "",
            passed=cpu <= MAX_IDLE_CPU,
        ),
    ]


def _ratio(
    results: Results,
    cell: Cell,
    name: str,
    references: tuple[str, ...],
    value: Callable[[Sample], float],
) -> float | None:
    """Take the median of the ratios within each round, each to the least of the references."""
    rounds = [measured[cell.name] for measured in results["rounds"]]
    if not {name, *references} <= rounds[0].keys():
        return None
    return median(
        value(measured[name]) / min(value(measured[reference]) for reference in references)
        for measured in rounds
    )


def _rate(sample: Sample) -> float:
    return sample["events"] / sample["seconds"]


def _cpu(sample: Sample) -> float:
    return sample["server_cpu"] / sample["events"]


def _samples(results: Results, cell: Cell, name: str) -> list[Sample]:
    rounds = [measured[cell.name] for measured in results["rounds"]]
    return [measured[name] for measured in rounds if name in measured]


def render(results: Results) -> str:
    """Write the run as Markdown."""
    parts = (
        about_run(results, len(results["rounds"])),
        *(_full(results, cell) if not cell.rate else _paced(results, cell) for cell in CELLS),
        _idle(results["idle"]),
        verdict_table(checks(results)),
    )
    return "\n\n".join(parts) + "\n"


def _full(results: Results, cell: Cell) -> str:
    head = (
        f"deliveries/s at {cell.name}",
        "median",
        "lowest to highest",
        "server CPU s per million",
        "server's core",
        "client's core",
        f"x {QUEUE}",
    )
    rows = []
    for name in results["rounds"][0][cell.name]:
        samples = _samples(results, cell, name)
        rates = sorted(map(_rate, samples))
        ratio = _ratio(results, cell, name, (QUEUE,), _rate)
        rows.append(
            [
                name,
                f"{median(rates):,.0f}",
                f"{rates[0]:,.0f} to {rates[-1]:,.0f}",
                f"{median(map(_cpu, samples)) * 1e6:.2f}",
                _core(samples, "server_cpu"),
                _core(samples, "client_cpu"),
                multiple(ratio),
            ]
        )
    return table(head, rows)


def _paced(results: Results, cell: Cell) -> str:
    head = (cell.name, "delivered", "p50 ms", "p99 ms", "server CPU s per million", "server's core")
    rows = []
    for name in results["rounds"][0][cell.name]:
        samples = _samples(results, cell, name)
        delivered = median(sample["events"] / sample["due"] for sample in samples)
        rows.append(
            [
                name,
                f"{delivered:.0%}",
                _ms(_median_ms(samples, "p50_ms"), cell),
                _ms(_median_ms(samples, "p99_ms"), cell),
                f"{median(map(_cpu, samples)) * 1e6:.2f}",
                _core(samples, "server_cpu"),
            ]
        )
    return table(head, rows)


def _idle(idle: dict[str, Idle]) -> str:
    rows = [
        [name, f"{one['followers']:,}", f"{one['kib']:.1f}", f"{one['cpu']:.2%}"]
        for name, one in idle.items()
    ]
    return table(("idle", "followers", "KiB for each", "keep-alives, of a core"), rows)


def _core(samples: list[Sample], key: Literal["server_cpu", "client_cpu"]) -> str:
    return f"{median(sample[key] / sample['seconds'] for sample in samples):.0%}"


def _median_ms(samples: list[Sample], key: Literal["p50_ms", "p99_ms"]) -> float | None:
    """Take the median of the rounds, where what did not come in time is later than the rest."""
    middle = sorted((sample[key] for sample in samples), key=lambda ms: (ms is None, ms))
    return middle[len(middle) // 2]


def _ms(milliseconds: float | None, cell: Cell) -> str:
    return f"> {cell.seconds * 1000:,}" if milliseconds is None else f"{milliseconds:.1f}"
