"""`Progress`, how far a job is, and the tracker that reports it at most ten times a second.

Rules here: no I/O and no timer. A value that comes too early is held. The owner of the tracker
sleeps at most until `due`, and then calls `flush_due`. So the last value is always sent, even if a
job stops at 95 % for an hour.
"""

from __future__ import annotations

__all__ = ("Progress", "ProgressTracker")

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isfinite
from threading import RLock
from time import monotonic
from typing import ClassVar, TypeVar, overload

from .._items.event import Event, Typed
from ..errors import Overflow, StreamEnded, StreamLost
from ._track import Track

T = TypeVar("T")

# Ten values a second look smooth; more would only fill the log of a stream.
INTERVAL = 0.1

# The rate is measured over the last 10 s, or over the last ten values if they come more slowly.
WINDOW = 10.0
MIN_SAMPLES = 10
MAX_SAMPLES = 128


@dataclass(frozen=True, slots=True)
class Progress(Typed):
    """How far a job is.

    While `total` is unknown it is None, and so are `percent` (100.0 only when everything is done)
    and `eta`, the remaining seconds. `rate` is per second; `rate` and `eta` are None until they can
    be measured.
    """

    kind: ClassVar[str] = "progress"

    done: float
    total: float | None = None
    percent: float | None = None
    rate: float | None = None
    eta: float | None = None
    message: str = ""

    def to_text(self) -> str:
        """Return nothing: progress is not text."""
        return ""

    def to_event(self) -> Event:
        """Return `event: progress` with all fields."""
        data = {
            "done": self.done,
            "total": self.total,
            "percent": self.percent,
            "rate": self.rate,
            "eta": self.eta,
            "message": self.message,
        }
        return Event("progress", data)


class ProgressTracker:
    """Report how far a job is, at most ten times a second, from any thread.

    A value that comes too early is held, and a newer one replaces it. The last value is always
    sent: after 100 ms, or at once by `flush` and at the end of `track`.

    Example:
        async def parse_all(stream: Stream, parts: list[str]) -> None:
            async for part in stream.progress.track(parts):
                await parse(part)
    """

    def __init__(
        self, send: Callable[[Progress], object], *, clock: Callable[[], float] = monotonic
    ) -> None:
        """`send` is called under a lock, to keep the order, so it must not wait.

        If it raises `Overflow`, the value stays held and is tried again when it is next due. Values
        after the end of the stream are dropped, like log records: reporting progress must not break
        the job.
        """
        self._send = send
        self._clock = clock
        # Reentrant: Python may garbage-collect a `track`, and so close it, during any other call.
        self._lock = RLock()
        self._done: float = 0
        self._total: float | None = None
        self._message = ""
        self._held = False
        self._window_ends: float | None = None
        self._changed = 0.0
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)

    def update(
        self,
        done: float | None = None,
        *,
        advance: float = 0,
        total: float | None = None,
        message: str | None = None,
    ) -> None:
        """Report the given values; the others stay as they were.

        `advance` is added to what is done, so that several threads can report side by side. `done`
        may go back: the rate is then measured from there. A total of 0 is reached at once.
        """
        total, step = _total(total), _finite("advance", advance)
        reached = None if done is None else _finite("done", done)
        with self._lock:
            reached = (self._done if reached is None else reached) + step
            if reached < self._done:
                self._samples.clear()
            self._done = reached
            if total is not None:
                self._total = total
            if message is not None:
                self._message = message
            self._tell()

    @overload
    def track(
        self, items: Iterable[T], *, total: float | None = None, message: str = ""
    ) -> Track[T]: ...
    @overload
    def track(
        self, items: AsyncIterable[T], *, total: float | None = None, message: str = ""
    ) -> AsyncIterable[T]: ...
    def track(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        total: float | None = None,
        message: str = "",
    ) -> Track[T] | AsyncIterable[T]:
        """Return the items to iterate with `for` or `async for`, and count the finished ones.

        An item is finished when the next one is requested. After a `break` or an exception, the
        last value is what was reached. Each iteration starts again from 0; a tracker supports one
        at a time. `total` defaults to the `len()` of the items.

        In `async for`, items that are available at once give way to other tasks every few
        milliseconds. A generator that blocks belongs in a `def` job. After a `break` the items are
        closed with the source or job in whose task they were iterated.
        """
        if not isinstance(items, Iterable | AsyncIterable):
            raise TypeError(f"track takes something to iterate, not {type(items).__name__}")
        length = _length(items) if total is None else _total(total)
        return Track(
            items,
            start=partial(self._restart, length, message),
            finished=partial(self.update, advance=1),
            left=self.flush,
        )

    @property
    def due(self) -> float | None:
        """Return until when its owner may sleep, on the tracker's clock; None means forever.

        Each value that is sent sets it, so `send` is the only wake-up that the owner needs.
        """
        return self._window_ends

    def flush_due(self, now: float) -> None:
        """Send the held value if it is due; `now` is a time on the tracker's clock."""
        with self._lock:
            if self._window_ends is not None and now >= self._window_ends:
                self._window_ends = None
                if self._held:
                    self._send_now(now)

    def flush(self) -> None:
        """Send the held value at once; call this before a stream ends."""
        with self._lock:
            if self._held:
                self._send_now(self._clock())

    def _restart(self, total: float | None, message: str) -> None:
        """Start again from 0, and discard all earlier values."""
        with self._lock:
            self._samples.clear()
            self._done, self._total, self._message = 0, total, message
            self._tell()

    # The methods below run under the lock.

    def _tell(self) -> None:
        self._changed = now = self._clock()
        self._held = True
        if self._window_ends is None or now >= self._window_ends:
            self._send_now(now)

    def _send_now(self, now: float) -> None:
        # Set this before sending: sending wakes the owner, which may check it immediately.
        self._window_ends, self._held = now + INTERVAL, False
        try:
            with suppress(StreamEnded, StreamLost):
                self._send(self._progress())
        except Overflow:
            self._held = True
        except BaseException:
            self._held = True
            raise

    def _progress(self) -> Progress:
        done, total, rate = self._done, self._total, self._rate()
        return Progress(
            done=done,
            total=total,
            percent=_percent(done, total),
            rate=rate,
            eta=_eta(done, total, rate),
            message=self._message,
        )

    def _rate(self) -> float | None:
        samples, now = self._samples, self._changed
        if not samples or samples[-1][0] < now:  # not when a value is retried after an `Overflow`
            samples.append((now, self._done))
        while len(samples) > MIN_SAMPLES and samples[1][0] <= now - WINDOW:
            samples.popleft()
        then, done = samples[0]
        if now - then < INTERVAL:
            return None
        return _rounded((self._done - done) / (now - then))


def _finite(name: str, value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"{name} is a finite number, not {value!r}")
    # Number types of other packages can be used for counting, but not all can be written as JSON.
    return value if type(value) in (int, float) else float(value)


def _total(total: float | None) -> float | None:
    if total is None:
        return None
    if total < 0:
        raise ValueError(f"total is 0 or more, not {total!r}")
    return _finite("total", total)


def _length(items: object) -> float | None:
    try:
        return len(items)  # type: ignore[arg-type]  # it may not have one
    except (TypeError, NotImplementedError):  # some classes have a `len()` that does not work
        return None


def _percent(done: float, total: float | None) -> float | None:
    if total is None:
        return None
    if done >= total:
        return 100.0
    return max(0.0, 1000 * done // total / 10)  # rounded down: 99.96 is not all


def _eta(done: float, total: float | None, rate: float | None) -> float | None:
    if total is None:
        return None
    if done >= total:
        return 0.0
    return round((total - done) / rate, 1) if rate else None


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")
