"""How the mappers read what a provider sends, so that no shape of it raises. Rule: no I/O here."""

from __future__ import annotations

__all__ = (
    "is_json",
    "json_of",
    "list_of",
    "number_of",
    "object_of",
    "place_of",
    "provider_error",
    "text_of",
)

import re
from typing import Any

from ..._items.json import from_json, to_json, to_utf8
from ...errors import ItemRefused
from .._events import Error

# An error's message is for people; what is longer is a page of HTML, or worse.
MAX_MESSAGE = 2000


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


def provider_error(body: object, status: int | None = None) -> Error:
    """Return the error in what a provider sent, in whichever of their shapes, or in a page."""
    if isinstance(body, list) and body:  # Google's, without `alt=sse`
        body = body[0]
    inner = object_of(body).get("error")
    if not isinstance(inner, dict | str) or not inner:  # flat, or no JSON at all
        inner = body
    told = object_of(inner)
    names = (told.get("code"), told.get("status"), told.get("type"))
    # Some send a sentence there; a code is shown to everybody.
    codes = [name for name in names if isinstance(name, str) and _CODE.fullmatch(name)]
    numbers = [number for number in (*names, status) if isinstance(number, int)]
    if status is None:
        status = next((number for number in numbers if 400 <= number < 600), None)
    code = codes[0] if codes else "provider-error"
    detail = text_of(told.get("message")) or text_of(inner)
    return Error(code, _sentence(status), status, _may_pass(code, status), _public(detail))


_CODE = re.compile(r"(?!error$)[A-Za-z][A-Za-z0-9_.-]{0,60}")


def _sentence(status: int | None) -> str:
    if status == 429:
        return "The provider asks for patience."
    if status is not None and 400 <= status < 500:
        return "The provider refused the request."
    return "The provider reported an error."


# What OpenAI, Google and most others put before a key.
_KEY = re.compile(r"\b(sk-|AIza|Bearer\s+|key=)[^\s\"'&,;]{4,}")


def _public(message: str) -> str:
    return _KEY.sub(r"\1…", message)[:MAX_MESSAGE]


def _may_pass(code: str, status: int | None) -> bool:
    if code == "insufficient_quota":  # a 429 that no patience helps
        return False
    return status in (408, 409, 429) or (status or 0) >= 500 or code in _PASSING


_PASSING = frozenset(
    {"DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    | {"overloaded_error", "rate_limit_exceeded", "server_error", "vector_store_timeout"}
)
