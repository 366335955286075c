"""What goes wrong with a command.

UsageError
└── UnsafeArgument     an argument that the command would take for an option
SourceError
├── StartFailed        the command could not be started
│   └── CommandNotFound  there is none of that name
├── CommandFailed      it ended with another code than 0
├── CommandTimeout     it ran, or was silent, for too long
└── OutputTooLarge     it wrote more than it may
"""

from __future__ import annotations

__all__ = (
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "OutputTooLarge",
    "StartFailed",
    "UnsafeArgument",
)

from ...errors import SourceError, UsageError


class UnsafeArgument(UsageError, ValueError):
    """Refuse a value that a command would take for an option."""

    status = 400
    code = "unsafe-argument"

    def __init__(self, flag: str) -> None:
        """`flag` is the option that the value was meant for."""
        super().__init__(f"the value of {flag} starts with a dash, so it would be an option itself")


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
        super().__init__(f"the command {what} for more than {seconds:g} s")


class OutputTooLarge(SourceError):
    """Say that a command was stopped because it wrote too much."""

    code = "output-too-large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the command wrote more than {max_bytes} bytes")
