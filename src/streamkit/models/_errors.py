"""The errors of asking a language model.

UsageError
├── MissingKey       no API key, neither passed nor in the environment
└── UnknownProvider  a provider that we have no source for
SourceError
├── InvalidChunk     a part of an answer that is not JSON; the cause of a `ModelFailed`
└── ModelFailed      the answer is not complete
    └── ModelSilent  the model was silent for too long
"""

from __future__ import annotations

__all__ = ("InvalidChunk", "MissingKey", "ModelFailed", "ModelSilent", "UnknownProvider")

from collections.abc import Iterable

from ..errors import SourceError, UsageError
from ._events import Error


class MissingKey(UsageError, LookupError):
    """Say which environment variable would hold the key that is missing."""

    code = "missing-key"

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"there is no API key, or none that can be sent; set {variable} in the environment, "
            "or pass api_key"
        )


class UnknownProvider(UsageError, ValueError):
    """Refuse a provider of models that is not known. Its name may come from a request."""

    status = 400
    code = "unknown-provider"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"this provider is not known; there are {', '.join(known)}")


class ModelFailed(SourceError):
    """Say that a model's answer failed, or ended before it was complete.

    `error` says how. What the provider said stands only there: it may name what is none of the
    reader's business.
    """

    status = 502
    code = "model-failed"

    def __init__(self, error: Error) -> None:
        """`error` is the event that the source yielded before."""
        super().__init__(f"the model failed: {error.code}")
        self.error = error


class ModelSilent(ModelFailed):
    """Say that a model was silent for too long, before its answer or in the middle of it."""

    status = 504


class InvalidChunk(SourceError):
    """Say that a part of an answer is not JSON."""

    status = 502
    code = "invalid-chunk"

    def __init__(self) -> None:
        super().__init__("the provider sent something that is not JSON")
