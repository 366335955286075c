"""How the mappers read what a provider sends, so that no shape of it raises. Rule: no I/O here."""

from __future__ import annotations

__all__ = (
    "is_json",
    "json_of",
    "list_of",
    "number_of",
    "object_of",
    "place_of",
    "text_of",
)

from typing import Any

from ..._items.json import from_json, to_json, to_utf8
from ...errors import ItemRefused


def text_of(value: object) -> str:
    """Return a text; nothing for what is none."""
    return value if isinstance(value, str) else ""


def number_of(value: object) -> int:
    """Return a count; 0 for what is none."""
    return value if isinstance(value, int) and value >= 0 else 0


def place_of(value: object) -> int | None:
    """Return a place in a text; None for what is none."""
    return value if isinstance(value, int) else None


def json_of(value: object) -> str | None:
    """Return JSON text; None for what is nested too deeply to be written again."""
    try:
        return to_json(value).decode()
    except ItemRefused:
        return None


def is_json(text: str) -> bool:
    """Tell whether a text is whole."""
    try:
        from_json(to_utf8(text))
    except (ValueError, RecursionError):
        return False
    return True


def object_of(value: object) -> dict[str, Any]:
    """Return an object; an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list; an empty one for what is none."""
    return value if isinstance(value, list) else []
