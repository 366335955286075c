"""What every benchmark says of a server that it compares."""

from __future__ import annotations

__all__ = ("Variant",)

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Variant:
    """One server: its app, and what serves it."""

    name: str
    app: str  # "module:attribute", below the benchmark's package
    server: Literal["uvicorn", "aiohttp"] = "uvicorn"
    json: Literal["any", "stdlib"] = "any"  # "stdlib" hides orjson from the process
