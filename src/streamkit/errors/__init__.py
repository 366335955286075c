"""Every error that more than one part raises.

They are grouped by whose mistake it is:

    StreamkitError
    ├── UsageError                 the caller's mistake; the call stack shows the line
    │   ├── NotASource             a str, dict, coroutine, … where a source belongs
    │   ├── InvalidEvent           a type or id that would break the wire
    │   ├── ReservedType           an event type that only the log or an adapter writes
    │   ├── ItemRefused            an item that the chosen format cannot carry
    │   ├── MissingDependency      an optional package that is not installed
    │   ├── NotRunning             `async with streams` was forgotten
    │   ├── UnknownStore           a store's URL of an unknown kind
    │   ├── InvalidStoreURL        a store's URL with parts that mean nothing
    │   ├── UnusableFile           a file that is not a store's, or of a newer version
    │   ├── InvalidName            a stream's name with characters that it may not have
    │   ├── InvalidCursor          not a place in any stream
    │   ├── StreamExists           a name that is taken
    │   ├── StreamEnded            a stream that takes nothing any more
    │   └── Overflow               more was sent at once than may wait
    ├── SourceError                what went wrong where the items come from
    │   ├── SourceCancelled        the source was cancelled by somebody else
    │   ├── CleanupTimeout         closing the source took too long
    │   ├── EventTooLarge          an event stream that is read exceeds the bound
    │   └── UpstreamError          what went wrong with another server's stream
    │       ├── UpstreamUnreachable  there is no connection
    │       ├── UpstreamStatus       it answered with another status than 200
    │       ├── UpstreamContentType  it answered with something else than a stream
    │       ├── UpstreamSilent       nothing came for too long
    │       ├── UpstreamTruncated    it ended without saying that this is the end
    │       │   └── UpstreamCut      the connection broke
    │       └── UpstreamFailed       it said that it failed
    ├── StreamError                what became of a stream that outlives its request
    │   ├── UnknownStream          there is none of that name
    │   ├── ExpiredStream          there was one, and it is no longer kept
    │   ├── StreamFailed           its source failed; the follower has all it wrote before
    │   ├── StreamCancelled        somebody cancelled it
    │   ├── StreamOrphaned         its producer vanished
    │   ├── CursorLost             the format cannot tell a follower what it missed
    │   ├── StreamLost             its producer may not write any more
    │   └── StoreAway              the store does not answer
    └── ServerStopping             the server is shutting down; a client may come back

Import errors that only one source raises from that source: `streamkit.sources.process` has the
errors of commands, `streamkit.models` those of models. Each error has a `status` (used if nothing
was sent yet) and a `code` (kebab-case, for programs). The class owns the sentence; the code that
raises it passes facts. `str(error)` is safe to show in a browser.
"""

from __future__ import annotations

__all__ = (
    "CleanupTimeout",
    "CursorLost",
    "EventTooLarge",
    "ExpiredStream",
    "InvalidCursor",
    "InvalidEvent",
    "InvalidName",
    "InvalidStoreURL",
    "ItemRefused",
    "MissingDependency",
    "NotASource",
    "NotRunning",
    "Overflow",
    "ReservedType",
    "ServerStopping",
    "SourceCancelled",
    "SourceError",
    "StoreAway",
    "StreamCancelled",
    "StreamEnded",
    "StreamError",
    "StreamExists",
    "StreamFailed",
    "StreamLost",
    "StreamOrphaned",
    "StreamkitError",
    "UnknownStore",
    "UnknownStream",
    "UnusableFile",
    "UpstreamContentType",
    "UpstreamCut",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamSilent",
    "UpstreamStatus",
    "UpstreamTruncated",
    "UpstreamUnreachable",
    "UsageError",
)

from ._base import (
    CleanupTimeout,
    EventTooLarge,
    InvalidEvent,
    ItemRefused,
    MissingDependency,
    NotASource,
    ReservedType,
    ServerStopping,
    SourceCancelled,
    SourceError,
    StreamkitError,
    UsageError,
)
from ._streams import (
    CursorLost,
    ExpiredStream,
    InvalidCursor,
    InvalidName,
    InvalidStoreURL,
    NotRunning,
    Overflow,
    StoreAway,
    StreamCancelled,
    StreamEnded,
    StreamError,
    StreamExists,
    StreamFailed,
    StreamLost,
    StreamOrphaned,
    UnknownStore,
    UnknownStream,
    UnusableFile,
)
from ._upstream import (
    UpstreamContentType,
    UpstreamCut,
    UpstreamError,
    UpstreamFailed,
    UpstreamSilent,
    UpstreamStatus,
    UpstreamTruncated,
    UpstreamUnreachable,
)

for _name in __all__:
    globals()[_name].__module__ = __name__  # a traceback shows where users import it from
