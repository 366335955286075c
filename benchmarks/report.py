"""What the reports of all benchmarks share: checks, their verdict, tables. Pure: text out."""

from __future__ import annotations

__all__ = ("AnyResults", "Check", "about_run", "exit_code", "multiple", "table", "verdict_table")

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence


class AnyResults(TypedDict):
    """What the results of any benchmark say of their run."""

    benchmark: str
    date: str
    machine: dict[str, str | int | float]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict; `passed` is None when its variants did not run."""

    what: str
    measured: str
    gate: str
    goal: str
    passed: bool | None
    validity: bool = False


def exit_code(verdict: Sequence[Check]) -> int:
    """Give 0 for passed, 1 for failed, 2 for a run that proves nothing."""
    failed = [check for check in verdict if check.passed is False]
    if any(check.validity for check in failed):
        return 2
    return 1 if failed else 0


def about_run(results: AnyResults, rounds: int) -> str:
    """Say when and where it ran, and with what."""
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{results['date']}: {machine['cpu']}, {machine['cores']} cores, load {machine['load']}, "
        f"{machine['system']}, Python {machine['python']}, {rounds} rounds."
        f"\n\n{packages}."
    )


def verdict_table(verdict: Sequence[Check]) -> str:
    """Write one line for each check."""
    return table(_VERDICT, [_verdict(check) for check in verdict])


_VERDICT = ("gate", "measured", "needed", "goal", "verdict")


def _verdict(check: Check) -> list[str]:
    bad = "VOID" if check.validity else "FAILED"
    word = {True: "passed", False: bad, None: "not run"}[check.passed]
    return [check.what, check.measured, check.gate, check.goal, word]


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
