"""Print the requirements of a dependency group, one a line, for a pip that knows no groups.

Usage: requirements.py GROUP [--lowest]

With `--lowest` it prints the lower bounds of the library, its extras and the group as constraints.
"""

from __future__ import annotations

__all__ = ()

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def requirements(group: str) -> Iterator[str]:
    for entry in PYPROJECT["dependency-groups"][group]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from requirements(entry["include-group"])


def lowest(group: str) -> Iterator[str]:
    extras = [entry for extra in PROJECT["optional-dependencies"].values() for entry in extra]
    bounds: dict[str, str] = {}
    for entry in [*PROJECT["dependencies"], *extras, *requirements(group)]:
        name, bounded, version = entry.partition(">=")
        if bounded:
            bounds[name.partition("[")[0]] = version
    return (f"{name}=={version}" for name, version in bounds.items())


if __name__ == "__main__":
    print(*(lowest if "--lowest" in sys.argv else requirements)(sys.argv[1]), sep="\n")
