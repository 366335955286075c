"""What is told of an answer that failed: the provider's own error, or ours. Rule: no I/O here."""

from __future__ import annotations

__all__ = ("TOO_LARGE", "TRUNCATED", "provider_error")

import re

from ..._upstream.reconnect import may_pass
from .._events import Error
from .reading import object_of, text_of

TRUNCATED = Error("truncated", "The answer ended before the provider said that it is complete.")
TOO_LARGE = Error("too-large", "The model wrote more arguments for its calls than are held.")

# An error's message is for people; what is longer is a page of HTML, or worse.
MAX_MESSAGE = 2000


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
    return may_pass(status or 0) or code in _PASSING


_PASSING = frozenset(
    {"DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    | {"overloaded_error", "rate_limit_exceeded", "server_error", "vector_store_timeout"}
)
