"""What ordinary code says while it works: log records, the bridge from `logging`, progress."""

from __future__ import annotations

__all__ = ("Level", "LogHandler", "LogRecord", "Progress", "ProgressTracker")

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime, strftime, time_ns
from typing import ClassVar, Literal, Protocol, TypeAlias, get_args

from .._items.event import Event, Typed
from .._items.stored import log_text
from ..errors import StreamEnded, StreamLost
from ._progress import Progress, ProgressTracker

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
"""The severity of a record, in lower case as on the wire."""


@dataclass(frozen=True, slots=True, init=False)
class LogRecord(Typed):
    """One message, with its time and severity.

    `timestamp` is UTC in ISO 8601 with milliseconds, as JavaScript's `toISOString` writes it. It
    sorts as text, and has no `+`, which would be a space in a URL. A message of several lines is
    one record, and its text keeps the lines.

    Example:
        LogRecord("parsing metadata").to_text()  # [2026-11-20T15:30:00.123Z] INFO: parsing metadata
    """

    kind: ClassVar[str] = "log"

    timestamp: str
    level: Level
    message: str

    def __init__(self, message: str, level: Level = "info", *, timestamp: str = "") -> None:
        """Create a record with the current time. Pass `timestamp` for an earlier message."""
        if level not in _LEVELS:
            raise ValueError(f"a log level is {', '.join(_LEVELS)}; not {level!r}")
        if type(message) is not str:
            message = _plain(message)
        _set_timestamp(self, timestamp or _timestamp(time_ns() // 1_000_000))
        _set_level(self, level)
        _set_message(self, message)

    def to_text(self) -> str:
        """Return `[timestamp] LEVEL: message` with a line end."""
        return log_text(self.timestamp, self.level, self.message)

    def to_event(self) -> Event:
        """Return an unnamed event, which `EventSource.onmessage` receives."""
        return Event(
            data={"timestamp": self.timestamp, "log_level": self.level, "message": self.message}
        )


class _Log(Protocol):
    @property
    def log(self) -> Callable[[str, Level], object]: ...


class LogHandler(logging.Handler):
    """Send the records of a standard library logger to a stream.

    Only the message is sent. Followers must not see tracebacks, so formatters are not used. A level
    between two levels counts as the lower one. Records of the library's own logger are skipped, or
    each failure to write to the stream would be written to the stream. For the same reason, add
    this to the logger of your code and not to the root logger, where a store's driver may log too.

    It never raises into the code that logs. Records after the end of the stream are dropped. Other
    failures are shown as the standard library shows them. Two concurrent jobs need separate loggers
    if neither should see the other's records.

    Example:
        async def crawl(stream: Stream) -> None:
            handler = LogHandler(stream)
            crawler_logger.addHandler(handler)
            try:
                await run_the_crawler()
            finally:
                crawler_logger.removeHandler(handler)
    """

    def __init__(self, stream: _Log, level: int | str = logging.NOTSET) -> None:
        """`stream` is anything with `log(message, level)` that may be called from any thread."""
        super().__init__(level)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; the logger calls this."""
        if f"{record.name}.".startswith("streamkit."):
            return
        try:
            self._stream.log(record.getMessage(), _level_of(record.levelno))
        except (StreamEnded, StreamLost):
            pass  # the stream takes no more records; other handlers still get this one
        except Exception:  # noqa: BLE001 - shown on stderr, unless logging.raiseExceptions is off
            self.handleError(record)


_LEVELS: tuple[Level, ...] = get_args(Level)

# The slots' own setters, as in `Event`.
_set_timestamp = LogRecord.__dict__["timestamp"].__set__
_set_level = LogRecord.__dict__["level"].__set__
_set_message = LogRecord.__dict__["message"].__set__


def _plain(message: str) -> str:
    """Return a plain `str`: a subclass such as `Line` holds more than its text."""
    if not isinstance(message, str):
        raise TypeError(f"a log message is a str, not {type(message).__name__}; write str(it)")
    return str.__str__(message)


def _timestamp(milliseconds: int) -> str:
    second, rest = divmod(milliseconds, 1000)
    return f"{_second(second)}.{rest:03d}Z"


# Many records share a second: with this cache a timestamp costs less than half of a datetime.
@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))


def _level_of(number: int) -> Level:
    return _LEVELS[min(max(number // 10 - 1, 0), 4)]


for _public in (Progress, ProgressTracker):
    _public.__module__ = __name__
