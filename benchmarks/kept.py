"""What a whole run leaves behind: its raw numbers in `results/`, and a section of RESULTS.md."""

from __future__ import annotations

__all__ = ("keep", "kept", "write_section")

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent
RESULTS = ROOT / "RESULTS.md"


_NUMBERS = re.compile(r"\[[-\d.,\s]+\]")


def keep(name: str, results: Mapping[str, Any]) -> None:
    """Replace the kept results of a benchmark."""
    path = _path(name)
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(results, indent=1)
    # Fifty thousand samples are one line, or nobody would find the change of another.
    path.write_text(_NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def kept(name: str) -> Any:
    """Read the kept results of a benchmark."""
    return json.loads(_path(name).read_text())


def write_section(name: str, text: str) -> None:
    """Put the text into its section of RESULTS.md, and leave the rest of the file alone."""
    begin, end = f"<!-- {name}: written by --write -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = (RESULTS.read_text() if RESULTS.exists() else "").partition(begin)
    _, _, after = rest.partition(end)
    RESULTS.write_text(f"{before}{begin}{text}{end}{after}")


def _path(name: str) -> Path:
    return ROOT / "results" / f"{name}.json"
