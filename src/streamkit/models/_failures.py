"""What is raised and told of an answer that failed, and what of it is for the log alone.

No key may be in what is told: some servers repeat what they were sent.
"""

from __future__ import annotations

__all__ = ("failure_of", "raised", "without_secrets")

import json
from collections.abc import Iterable
from dataclasses import replace

from ..errors import (
    EventTooLarge,
    SourceError,
    UpstreamContentType,
    UpstreamError,
    UpstreamSilent,
    UpstreamStatus,
    UpstreamTruncated,
    UpstreamUnreachable,
    UsageError,
)
from ._errors import InvalidChunk, ModelFailed, ModelSilent
from ._events import Error
from ._wires.errors import TRUNCATED, provider_error

# Shorter ones are no keys, but stand for none; to hide them would spoil every sentence.
MIN_SECRET = 6


def failure_of(error: Exception, secrets: Iterable[str]) -> ModelFailed:
    """Return what is raised for an error of whatever carries the answer."""
    kind = ModelSilent if isinstance(error, UpstreamSilent) else ModelFailed
    failure = raised(without_secrets(_error_of(error), secrets), kind)
    # The log may show ours as the cause; the errors of an SDK may repeat a header.
    failure.__cause__ = error if isinstance(error, SourceError | UsageError) else None
    return failure


def raised(error: Error, kind: type[ModelFailed] = ModelFailed) -> ModelFailed:
    """Return what is raised; the provider's own words are for the log alone."""
    failure = kind(error)
    if error.detail:
        failure.add_note(f"the provider said: {error.detail}")
    return failure


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


def _error_of(error: Exception) -> Error:
    if isinstance(error, UpstreamStatus):
        return _refusal(error.upstream_status, error.body)
    if isinstance(error, UpstreamContentType) and (told := _parsed(error.body)) is not None:
        return provider_error(told)
    if isinstance(error, UpstreamTruncated):
        return replace(TRUNCATED, retryable=True)
    if isinstance(error, UpstreamSilent | UpstreamUnreachable):
        return Error(error.code, str(error), retryable=True)
    if isinstance(error, UpstreamError | EventTooLarge | InvalidChunk):
        return Error(error.code, str(error))
    return Error("client-failed", "The provider's client failed.")


def _refusal(status: int, body: str) -> Error:
    if status in (401, 403):  # its words may hold a part of the key
        return Error("unauthorized", "The provider does not accept the API key.", status)
    return provider_error(_parsed(body), status)


def _parsed(body: str) -> object:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict | list) else None
