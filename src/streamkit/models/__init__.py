"""What a language model says, in one shape whoever says it.

An answer is a sequence of these events: exactly one `Start` first, exactly one `Finish` last. What
is not complete says so: `Error`, then `Finish("error")`, and then the source raises `ModelFailed`.
Each becomes an `Event` and back without loss, so an answer can live in a stream and be replayed.
"""

from __future__ import annotations

__all__ = (
    "Answer",
    "Citation",
    "Data",
    "Error",
    "Finish",
    "FinishReason",
    "InvalidChunk",
    "MissingKey",
    "ModelEvent",
    "ModelFailed",
    "ModelSilent",
    "PartEnd",
    "Sources",
    "Start",
    "Text",
    "Tone",
    "ToolCall",
    "ToolCallDelta",
    "UnknownProvider",
    "Usage",
    "accumulate",
    "from_event",
)

from types import FunctionType

from ._answer import Answer, accumulate
from ._errors import InvalidChunk, MissingKey, ModelFailed, ModelSilent, UnknownProvider
from ._events import (
    Citation,
    Data,
    Error,
    Finish,
    FinishReason,
    ModelEvent,
    PartEnd,
    Sources,
    Start,
    Text,
    Tone,
    ToolCall,
    ToolCallDelta,
    Usage,
    from_event,
)

for _name in __all__:
    if isinstance(_public := globals()[_name], type | FunctionType):
        _public.__module__ = __name__
