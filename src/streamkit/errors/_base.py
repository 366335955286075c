"""The errors that every part of the library may raise, and what a client may see of any error."""

# Annotations are evaluated here: tools read them in `streamkit.errors`, where these names are not.

__all__ = (
    "CleanupTimeout",
    "EventTooLarge",
    "InvalidEvent",
    "ItemRefused",
    "MissingDependency",
    "NotASource",
    "ReservedType",
    "ServerStopping",
    "SourceCancelled",
    "SourceError",
    "StreamkitError",
    "UsageError",
    "public_words",
)

from typing import ClassVar


class StreamkitError(Exception):
    """Catch this to catch every error that the library raises itself."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"


class UsageError(StreamkitError):
    """Say that the calling code asked for something that cannot work."""

    code = "usage"


class NotASource(UsageError, TypeError):
    """Refuse a value that is not a source, and say how to fix it."""

    code = "not-a-source"


class InvalidEvent(UsageError, ValueError):
    """Refuse an event type, id, time or `retry` that cannot be written as it is."""

    code = "invalid-event"

    def __init__(self, field: str, value: str, rule: str) -> None:
        """`field` is the name of the refused field, `rule` says what it must be."""
        super().__init__(f"an event's {field} {rule}, not {value!r}")


class ReservedType(UsageError, ValueError):
    """Refuse an event of a source if only the log or an adapter writes its type."""

    code = "reserved-type"

    def __init__(self, type: str) -> None:
        super().__init__(f"the event type {type!r} is reserved; give yours another name")


class ItemRefused(UsageError, TypeError):
    """Refuse an item that the format cannot carry."""

    code = "item-refused"


class MissingDependency(UsageError, ImportError):
    """Name the package that a module needs, and the extra that installs it."""

    code = "missing-dependency"

    def __init__(self, module: str, package: str, *, extra: str = "") -> None:
        hint = f"pip install 'streamkit-py[{extra or package}]'"
        super().__init__(f"{module} needs the {package} package: {hint}")


class SourceError(StreamkitError):
    """Say that the source, or what it reads from, failed."""

    code = "source-failed"


class SourceCancelled(SourceError):
    """Say that other code cancelled the source's task, so that not all items were sent."""

    code = "source-cancelled"

    def __init__(self) -> None:
        super().__init__("the source was cancelled before its end")


class CleanupTimeout(SourceError):
    """Say that the source was given up because closing it took too long."""

    code = "cleanup-timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"closing the source took longer than {seconds:g} s")


class EventTooLarge(SourceError, ValueError):
    """Refuse an event that would need more memory than the bound allows."""

    status = 502
    code = "event-too-large"

    def __init__(self, max_event_bytes: int) -> None:
        """`max_event_bytes` is the bound that was exceeded."""
        super().__init__(f"an event exceeds {max_event_bytes} bytes; raise max_event_bytes")


class ServerStopping(StreamkitError):
    """Say that the server is shutting down."""

    status = 503
    code = "server-stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping; try again in a moment")


def public_words(error: BaseException) -> tuple[str, str]:
    """Return the code and the sentence that a client may see. The rest is only for the log."""
    if isinstance(error, StreamkitError):
        return error.code, str(error)
    return SourceError.code, "The source failed."
