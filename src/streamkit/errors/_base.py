"""Every error of the library, chosen by whose mistake it is.

    StreamkitError
    ├── UsageError             the caller's mistake; the call stack shows the line
    │   ├── NotASource         a str, dict, coroutine, … where a source belongs
    │   ├── InvalidEvent       a type or id that would break the wire
    │   ├── ReservedType       an event type that only the log or an adapter writes
    │   ├── ItemRefused        an item that the chosen format cannot carry
    │   ├── UnsafeArgument     an argument that a command would take for an option
    │   └── MissingDependency  an optional package that is not installed
    ├── SourceError            what went wrong where the items come from
    │   ├── SourceCancelled    the source was cancelled by somebody else
    │   ├── CleanupTimeout     closing the source took too long
    │   ├── StartFailed        a command could not be started
    │   │   └── CommandNotFound  there is none of that name
    │   ├── CommandFailed      a command ended with another code than 0
    │   ├── CommandTimeout     a command took too long, or was silent for too long
    │   ├── OutputTooLarge     a command wrote more than it may
    │   ├── EventTooLarge      an event stream we read exceeds the bound
    │   └── ModelFailed        a model's answer is not complete
    ├── StreamError            what became of a stream that outlives its request
    └── ServerStopping         the server is shutting down; the reader may come back

Those of streams that outlive their request are in `_stream_errors`. Each has a `status` (when
nothing was sent yet) and a `code` (kebab-case, for programs). The class owns the sentence, the
raiser passes facts. `str(error)` is safe to show to a browser.
"""

from __future__ import annotations

__all__ = (
    "CleanupTimeout",
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "EventTooLarge",
    "InvalidEvent",
    "ItemRefused",
    "MissingDependency",
    "ModelFailed",
    "NotASource",
    "OutputTooLarge",
    "ReservedType",
    "ServerStopping",
    "SourceCancelled",
    "SourceError",
    "StartFailed",
    "StreamkitError",
    "UnsafeArgument",
    "UsageError",
    "public_words",
)

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ..models._events import Error


class StreamkitError(Exception):
    """Catch this to catch every error that the library raises itself."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"


class UsageError(StreamkitError):
    """Say that the calling code asked for something that cannot work."""

    code = "usage"


class NotASource(UsageError, TypeError):
    """Refuse a value that is not a source, with the sentence that says the mend."""

    code = "not-a-source"


class InvalidEvent(UsageError, ValueError):
    """Refuse an event type or id that cannot be written as it is."""

    code = "invalid-event"

    def __init__(self, field: str, value: str, rule: str) -> None:
        """`field` is the name of the refused one, `rule` what it must fulfil."""
        super().__init__(f"an event's {field} {rule}, not {value!r}")


class ReservedType(UsageError, ValueError):
    """Refuse a source's event of a type that only the log or an adapter writes."""

    code = "reserved-type"

    def __init__(self, type: str) -> None:
        """`type` is the reserved one."""
        super().__init__(f"the event type {type!r} is reserved; give yours another name")


class ItemRefused(UsageError, TypeError):
    """Refuse an item that the format cannot carry."""

    code = "item-refused"


class UnsafeArgument(UsageError, ValueError):
    """Refuse a value that a command would take for an option."""

    status = 400
    code = "unsafe-argument"

    def __init__(self, flag: str) -> None:
        """`flag` is the option that the value was meant for."""
        super().__init__(f"the value of {flag} starts with a dash, so it would be an option itself")


class MissingDependency(UsageError, ImportError):
    """Name the package that a module needs, and the extra that brings it."""

    code = "missing-dependency"

    def __init__(self, module: str, package: str, *, extra: str = "") -> None:
        """`extra` defaults to the package's name."""
        hint = f"pip install 'streamkit-py[{extra or package}]'"
        super().__init__(f"{module} needs the {package} package: {hint}")


class SourceError(StreamkitError):
    """Say that the source failed, or what it reads from."""

    code = "source-failed"


class SourceCancelled(SourceError):
    """Say that the source's task was cancelled by somebody else, so that its items are not all."""

    code = "source-cancelled"

    def __init__(self) -> None:
        super().__init__("the source was cancelled before its end")


class CleanupTimeout(SourceError):
    """Say that the source was given up because closing it took too long."""

    code = "cleanup-timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"closing the source took longer than {seconds:g} s")


class StartFailed(SourceError):
    """Say that a command could not be started. Which one, and its arguments, are for the log."""

    code = "start-failed"

    def __init__(self, reason: str) -> None:
        """`reason` says what is wrong, without a word of the command."""
        super().__init__(f"the command could not be started: {reason}")


class CommandNotFound(StartFailed):
    """Say that there is no such command."""

    code = "command-not-found"

    def __init__(self) -> None:
        super().__init__(
            "it was not found; pass arguments one by one, or run a script with stream_shell"
        )


class CommandFailed(SourceError):
    """Say that a command ended with another code than 0, and that this was to be checked."""

    code = "command-failed"

    def __init__(self, how: str) -> None:
        """`how` is its exit code or its signal."""
        super().__init__(f"the command ended with {how}")


class CommandTimeout(SourceError):
    """Say that a command was stopped because it took too long, or was silent for too long."""

    status = 504
    code = "command-timeout"

    def __init__(self, what: str, seconds: float) -> None:
        """Take what it did for too long."""
        super().__init__(f"the command {what} for more than {seconds:g} s")


class OutputTooLarge(SourceError):
    """Say that a command was stopped because it wrote too much."""

    code = "output-too-large"

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` is the bound."""
        super().__init__(f"the command wrote more than {max_bytes} bytes")


class EventTooLarge(SourceError, ValueError):
    """Refuse an event that would need more memory than the bound allows."""

    status = 502
    code = "event-too-large"

    def __init__(self, max_event_bytes: int) -> None:
        """`max_event_bytes` is the bound that was passed."""
        super().__init__(f"an event exceeds {max_event_bytes} bytes; raise max_event_bytes")


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


class ServerStopping(StreamkitError):
    """Say that the server is shutting down."""

    status = 503
    code = "server-stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping; try again in a moment")


def public_words(error: BaseException) -> tuple[str, str]:
    """Return the code and the sentence that a client may see; the rest is for the log."""
    if isinstance(error, StreamkitError):
        return error.code, str(error)
    return SourceError.code, "The source failed."
