"""The errors of streams that outlive their request."""

from __future__ import annotations

__all__ = (
    "CursorLost",
    "ExpiredStream",
    "InvalidCursor",
    "InvalidName",
    "InvalidStoreURL",
    "NotRunning",
    "Overflow",
    "StoreAway",
    "StreamCancelled",
    "StreamEnded",
    "StreamError",
    "StreamExists",
    "StreamFailed",
    "StreamLost",
    "StreamOrphaned",
    "UnknownStore",
    "UnknownStream",
    "UnusableFile",
)

from ._base import StreamkitError, UsageError


class NotRunning(UsageError, RuntimeError):
    """Say that `async with streams` is missing, and where it belongs."""

    code = "not-running"

    def __init__(self) -> None:
        super().__init__(
            "these streams are not running; enter `async with streams:` where the application "
            "starts: in the lifespan of FastAPI(lifespan=...) or Starlette(lifespan=...), or in "
            "app.cleanup_ctx of aiohttp"
        )


class UnknownStore(UsageError, ValueError):
    """Refuse a store's URL of an unknown kind."""

    code = "unknown-store"

    def __init__(self, scheme: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no store for {scheme!r}; there are {', '.join(known)}")


class InvalidStoreURL(UsageError, ValueError):
    """Refuse a store's URL with parts that would be ignored."""

    code = "invalid-store-url"

    def __init__(self) -> None:
        super().__init__(
            "a store is memory:, sqlite:///relative.db or sqlite:////absolute.db; "
            "its options are for SQLiteStore(...)"
        )


class UnusableFile(UsageError, ValueError):
    """Refuse a file that is not a store, or not one that this release can read."""

    code = "unusable-file"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path!r} {why}")


class InvalidName(UsageError, ValueError):
    """Refuse a name that a stream cannot have."""

    status = 400
    code = "invalid-name"

    def __init__(self) -> None:
        super().__init__(
            "a stream's name has 1 to 200 of A-Z a-z 0-9 . _ ~ : @ % -; "
            "stream_name(...) makes one of any text"
        )


class InvalidCursor(UsageError, ValueError):
    """Refuse a cursor that cannot come from any stream."""

    status = 400
    code = "invalid-cursor"

    def __init__(self) -> None:
        super().__init__("a cursor is the id of an event, as in abcdefgh.42, or empty")


class StreamExists(UsageError):
    """Refuse to start a name that is taken. A stream that ended holds its name until it expires."""

    status = 409
    code = "stream-exists"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"a stream named {name!r} was already started; follow it, or start another name"
        )


class StreamEnded(UsageError):
    """Refuse an item for a stream that has ended."""

    status = 409
    code = "stream-ended"

    def __init__(self, name: str) -> None:
        super().__init__(f"the stream named {name!r} has ended; it takes nothing any more")


class Overflow(UsageError):
    """Refuse an item because too many are waiting; `send` waits for room instead."""

    status = 503
    code = "overflow"

    def __init__(self, name: str) -> None:
        super().__init__(f"too much waits to be written to the stream named {name!r}")


class StreamError(StreamkitError):
    """Say what happened to a stream that outlives its request."""

    code = "stream"


class UnknownStream(StreamError, LookupError):
    """Say that there is no stream of that name."""

    status = 404
    code = "unknown-stream"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no stream named {name!r}")


class ExpiredStream(StreamError, LookupError):
    """Say that a client came back to a stream that is no longer kept."""

    status = 410
    code = "expired-stream"

    def __init__(self, name: str) -> None:
        super().__init__(f"the stream named {name!r} is no longer kept")


class StreamFailed(StreamError):
    """Say that the source of a followed stream failed. Its earlier items were delivered."""

    status = 502
    code = "stream-failed"

    def __init__(self, code: str, message: str) -> None:
        """`code` and `message` describe the failure."""
        super().__init__(f"the stream failed: {message}")
        self.cause_code = code


class StreamCancelled(StreamError):
    """Say that a stream was cancelled."""

    status = 409
    code = "stream-cancelled"

    def __init__(self, reason: str) -> None:
        """`reason` is the reason that was given for it, which may be empty."""
        super().__init__(f"the stream was cancelled: {reason}" if reason else "it was cancelled")
        self.reason = reason


class StreamOrphaned(StreamError):
    """Say that the producer of a stream vanished before its end."""

    status = 502
    code = "stream-orphaned"

    def __init__(self) -> None:
        super().__init__("the producer of the stream vanished before its end")


class CursorLost(StreamError):
    """Say that a follower missed events, and that its format cannot express this."""

    status = 410
    code = "cursor-lost"

    def __init__(self) -> None:
        super().__init__(
            "events that this reader has not seen are no longer kept, and its format cannot say "
            "so; as_sse and as_event_jsonl can"
        )


class StreamLost(StreamError):
    """Say that a producer may no longer write to its stream."""

    status = 409
    code = "stream-lost"

    def __init__(self, name: str, why: str) -> None:
        """`why` says what happened to the stream named `name`."""
        super().__init__(f"the stream named {name!r} cannot be written any more: {why}")


class StoreAway(StreamError):
    """Say that the store of the streams does not answer."""

    status = 503
    code = "store-away"

    def __init__(self, why: str = "") -> None:
        super().__init__("the store of the streams does not answer; try again in a moment")
        self.why = why
