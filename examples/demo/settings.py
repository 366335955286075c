"""The file `.env`: keys that belong neither into the code nor into a shell's history."""

from __future__ import annotations

__all__ = ("load_settings",)

import os
import re
from pathlib import Path

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")
QUOTED = re.compile(r"""(?s)(["'])(.*)\1(?:\s+#.*)?""")


def load_settings(file: Path) -> None:
    """Set what the file names in the environment, unless it is set there: `NAME=value` lines."""
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        if found := LINE.fullmatch(line):
            os.environ.setdefault(found[1], _value(found[2]))


def _value(text: str) -> str:
    if quoted := QUOTED.fullmatch(text):
        return quoted[2]
    return re.split(r"\s+#|^#", text)[0]
