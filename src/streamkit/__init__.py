"""Turn anything that produces output over time into a stream that browsers and services follow.

Import sources from `streamkit.sources`, and adapters for web frameworks from `streamkit.adapters`.
This package has the core, the formats that need no other package, the in-memory store, and the
five base classes of errors. Specific errors are in `streamkit.errors`, or next to the source that
raises them.
"""

from __future__ import annotations

__all__ = (
    "Claim",
    "Encoder",
    "Event",
    "Following",
    "Format",
    "Head",
    "History",
    "HistoryEvent",
    "Line",
    "MemoryStore",
    "Page",
    "SSEDecoder",
    "Source",
    "SourceError",
    "Statistics",
    "Status",
    "Store",
    "Stream",
    "StreamError",
    "StreamkitError",
    "Streams",
    "UpstreamError",
    "UsageError",
    "as_bytes",
    "as_chunk_done",
    "as_event_jsonl",
    "as_jsonl",
    "as_relay",
    "as_sse",
    "as_text",
    "encode_sse",
    "open_source",
    "step",
    "stream_name",
)

from importlib import import_module
from typing import TYPE_CHECKING
from warnings import warn

from . import errors as _errors
from ._feeding.source import Source, open_source
from ._feeding.step import step
from ._items.event import Event
from ._items.format import Encoder, Format
from ._items.lines import Line
from ._items.sse import SSEDecoder, encode_sse
from .errors import SourceError, StreamError, StreamkitError, UpstreamError, UsageError
from .sinks.chunk_done import as_chunk_done
from .sinks.event_jsonl import as_event_jsonl
from .sinks.jsonl import as_jsonl
from .sinks.sse import as_sse
from .sinks.text import as_bytes, as_text

if TYPE_CHECKING:
    from ._following.following import Following
    from ._following.history import History, HistoryEvent, Status
    from ._store.contract import Claim, Head, Page, Store
    from ._store.names import stream_name
    from ._streams.stream import Stream
    from ._streams.streams import Statistics, Streams
    from .sinks.memory import MemoryStore
    from .sinks.relay import as_relay
else:
    # Loaded on first use: a stream that lives within its request needs none of these.
    _LATER = {
        "Claim": "._store.contract",
        "Following": "._following.following",
        "Head": "._store.contract",
        "History": "._following.history",
        "HistoryEvent": "._following.history",
        "MemoryStore": ".sinks.memory",
        "Page": "._store.contract",
        "Statistics": "._streams.streams",
        "Status": "._following.history",
        "Store": "._store.contract",
        "Stream": "._streams.stream",
        "Streams": "._streams.streams",
        "as_relay": ".sinks.relay",
        "stream_name": "._store.names",
    }
    # Before 0.1 the specific errors were here. Until 0.2 they can still be imported from here,
    # with a warning that names their new home.
    _MOVED = dict.fromkeys(_errors.__all__, ".errors")
    _MOVED |= dict.fromkeys(
        (
            "CommandFailed",
            "CommandNotFound",
            "CommandTimeout",
            "OutputTooLarge",
            "StartFailed",
            "UnsafeArgument",
        ),
        ".sources.process",
    )
    _MOVED |= dict.fromkeys(
        ("MissingKey", "ModelFailed", "ModelSilent", "UnknownProvider"), ".models"
    )

    def __getattr__(name: str) -> object:
        """Load names that are imported lazily, and find names that have moved."""
        if name in ("logs", "models"):
            return import_module(f".{name}", __name__)
        if name in _LATER:
            globals()[name] = value = getattr(import_module(_LATER[name], __name__), name)
            return value
        if name in _MOVED:
            home = f"{__name__}{_MOVED[name]}"
            warn(f"import {name} from {home}", DeprecationWarning, stacklevel=2)
            return getattr(import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


for _public in (SSEDecoder, Encoder, Event, Format, Line, encode_sse, open_source, step):
    _public.__module__ = __name__
