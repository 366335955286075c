"""`Process`: a running command as a source, and `Exit`, its last item."""

# Annotations are evaluated here: frameworks read those of `Exit` to make schemas.

__all__ = ("Exit", "Process")

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from signal import Signals
from typing import ClassVar

from ..._feeding.batched import Batched
from ..._feeding.closing import Feeding, closing_within, feeding_now, register
from ..._items.event import Event, Typed
from ..._items.lines import Line
from ...errors import StreamkitError
from ._child import Child, Reason
from ._errors import CommandFailed, CommandTimeout, OutputTooLarge
from ._spawn import Settings

# Beyond the grace: to notice that KILL has worked.
CLOSE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Exit(Typed):
    """How a command ended: always the last item, and exactly once.

    `code` is its exit code, or None when `signal` ended it, or when nothing could. `reason` says
    what ended it: "exit", it ended by itself; "timeout", "idle_timeout" or "output_limit", it
    reached a limit; "cancelled", the reader left, so nobody sees this one.
    `orphans`: processes that it had started were still there, and were stopped.
    """

    kind: ClassVar[str] = "exit"

    code: int | None
    signal: str | None
    reason: Reason
    duration: float
    orphans: bool

    def to_text(self) -> str:
        """Return nothing: an exit is not text."""
        return ""

    def to_event(self) -> Event:
        """Return `event: exit` with all of it."""
        return Event("exit", asdict(self))


class Process(Batched[Line | Exit]):
    """A command that starts when its first item is asked for; `stream_process` makes it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._child: Child | None = None
        self._feeding: Feeding | None = None
        self._ended = False
        self._error: StreamkitError | None = None

    async def open(self) -> None:
        if not self._ended:
            self._started()

    @property
    def closed(self) -> bool:
        """Tell whether nothing is left to close."""
        return self._child is None or self._child.over

    async def aclose(self) -> None:
        """Stop the command and its group, and return when they are gone."""
        self._ended = True
        if self.closed or self._child is None:
            return
        with closing_within(self._settings.grace + CLOSE_TIMEOUT):
            self._child.stop("cancelled")
            while await self._child.read():
                pass  # it may have to get rid of its output before it can end
        if not self._child.over:
            self._child.close()

    async def read(self) -> Sequence[Line | Exit]:
        """Return the lines that the command wrote in one go; its exit comes alone."""
        if self._ended:
            error, self._error = self._error, None
            if error is not None:
                raise error
            return []
        child = self._started()
        lines = await child.read(self._feeding)
        if lines or not child.over:
            return lines
        self._ended, exit = True, _exit_of(child)
        self._error = _error_of(exit, self._settings)
        return [exit]

    def _started(self) -> Child:
        if self._child is None:
            self._child, self._feeding = Child(self._settings), feeding_now.get()
            register(self)
        return self._child


def _exit_of(child: Child) -> Exit:
    code = child.returncode
    return Exit(
        code=code if code is not None and code >= 0 else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        reason=child.reason,
        duration=round(child.ended - child.started, 3),
        orphans=child.orphans,
    )


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # real-time signals have none
        return f"SIG{number}"


def _error_of(exit: Exit, settings: Settings) -> StreamkitError | None:
    if exit.reason == "timeout":
        return CommandTimeout("ran", settings.timeout or 0)
    if exit.reason == "idle_timeout":
        return CommandTimeout("was silent", settings.idle_timeout or 0)
    if exit.reason == "output_limit":
        return OutputTooLarge(settings.max_bytes or 0)
    if settings.check and exit.code != 0:
        return CommandFailed(exit.signal or f"exit code {exit.code}")
    return None
