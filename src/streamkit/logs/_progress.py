"""`Progress`, how far a job is, and the tracker that tells it at most ten times a second.

Rules here: no I/O and no timer. A value that comes too early is held; whoever owns the tracker
sleeps no longer than until `due`, and then calls `flush_due`. So the last value always comes out,
also when a job stops at 95 % for an hour.
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

# Ten a second look smooth; more would only fill the log of a stream.
INTERVAL = 0.1

# The rate is that of the last 10 s, and of the last ten values where they come more slowly.
WINDOW = 10.0
MIN_SAMPLES = 10
MAX_SAMPLES = 128


@dataclass(frozen=True, slots=True)
class Progress(Typed):
    """How far a job is.

    `total` is None while it is not known, and then so are `percent` (100.0 only when all is done)
    and `eta`, the seconds that are left. `rate` is per second; it and `eta` are None until they
    can be measured.
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
        """Return `event: progress` with all of it."""
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
    """Tell how far a job is, at most ten times a second; from any thread.

    A value that comes sooner is held, and the next one replaces it. The last one is always sent:
    after 100 ms, or at once by `flush` and at the end of `track`.

    Example:
        async def parse_all(stream: Stream, parts: list[str]) -> None:
            async for part in stream.progress.track(parts):
                await parse(part)
    """

    def __init__(
        self, send: Callable[[Progress], object], *, clock: Callable[[], float] = monotonic
    ) -> None:
        """`send` is called under a lock, so that the order holds: it must not wait.

        When it raises `Overflow` the value stays held, and is tried again when it is next due.
        After the end of the stream values are left out, as log records are: progress shall not
        break the job that tells it.
        """
        self._send = send
        self._clock = clock
        # Reentrant: Python may collect, and so close, a `track` at any point of another call.
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
        """Say what is known now; what is left out stays as it was.

        `advance` is added to what was done, which threads can do side by side. `done` may go back:
        then the rate is measured anew. A total of 0 is reached at once.
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
        """Return the items, to be iterated by `for` or `async for`, and count those finished.

        An item is finished when the next one is asked for: after a `break` or an exception, the
        last value is what was reached. Each iteration starts again from 0; a tracker has one at a
        time. `total` is the `len()` of the items unless it is given.

        In `async for`, items that are all there give way to other tasks every few milliseconds; a
        generator that blocks belongs into a `def` job. After a `break` the items are closed with
        the source or job in whose task they were iterated.
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
        """Tell until when, on the tracker's clock, its owner may sleep; None: for ever.

        It is set by each value that is sent, so no other wake-up is needed than `send`.
        """
        return self._window_ends

    def flush_due(self, now: float) -> None:
        """Send what is held, if it is due; `now` is a time of the tracker's clock."""
        with self._lock:
            if self._window_ends is not None and now >= self._window_ends:
                self._window_ends = None
                if self._held:
                    self._send_now(now)

    def flush(self) -> None:
        """Send what is held, at once; call it before a stream ends."""
        with self._lock:
            if self._held:
                self._send_now(self._clock())

    def _restart(self, total: float | None, message: str) -> None:
        """Start again from 0: nothing that was said before holds any more."""
        with self._lock:
            self._samples.clear()
            self._done, self._total, self._message = 0, total, message
            self._tell()

    # What follows runs under the lock.

    def _tell(self) -> None:
        self._changed = now = self._clock()
        self._held = True
        if self._window_ends is None or now >= self._window_ends:
            self._send_now(now)

    def _send_now(self, now: float) -> None:
        # Before it is sent: the owner, whom that wakes, may look in this very moment.
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
        if not samples or samples[-1][0] < now:  # it may be tried again, when there was no room
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
    # Those of other packages can be counted with, but not all can be written as JSON.
    return value if type(value) in (int, float) else float(value)


def _total(total: float | None) -> float | None:
    if total is None:
        return None
    if total < 0:
        raise ValueError(f"total is 0 or more, not {total!r}")
    return _finite("total", total)


def _length(items: object) -> float | None:
    try:
        return len(items)  # type: ignore[arg-type]  # that is the question
    except (TypeError, NotImplementedError):  # some have one and do not know it
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
