"""Keys do not belong into what is told of a failure: some servers repeat what they were sent."""

from __future__ import annotations

__all__ = ("without_secrets",)

from collections.abc import Iterable
from dataclasses import replace

from ._events import Error

# Shorter ones are no keys, but stand for none; to hide them would spoil every sentence.
MIN_SECRET = 6


def without_secrets(error: Error, secrets: Iterable[str]) -> Error:
    """Return the error with none of the secrets in it, also where its text was cut within one."""
    detail, code = error.detail, error.code
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            detail, code = detail.replace(secret, "…"), code.replace(secret, "…")
            detail = _without_beginning(detail, secret)
    return replace(error, detail=detail, code=code)


def _without_beginning(detail: str, secret: str) -> str:
    """Return a text, which may have been cut within the secret, without what is left of that."""
    for size in range(len(secret) - 1, 3, -1):
        if detail.endswith(secret[:size]):
            return detail[:-size] + "…"
    return detail
