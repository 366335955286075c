"""`WaitingRoom`: where a few followers wait for more of a stream, and the clock's look at them.

A response waits in one of two ways. Two tasks cost 25 KiB for each idle client, one costs 19.

```
   something comes now and then                       nothing came for a whole tick
  ┌───────────────────────────────┐  idle: the event  ┌───────────────────────────────┐
  │ writing, in two tasks:        │  is set, and take │ resting, in one task:         │
  │ one awaits `room.event`,      │  says "idle"      │ it awaits the client's        │
  │ one awaits the client's       │ ────────────────► │ leaving; it is in             │
  │ leaving                       │                   │ `room.resting`                │
  │                               │ ◄──────────────── │                               │
  └───────────────────────────────┘  ring: `wake()`   └───────────────────────────────┘
   a keep-alive is due: `pings`                        a keep-alive is due: one task of
   grows, the event is set, and                        the room writes to all who rest,
   take says "ping"                                    one after the other: `ping()`
```

Each response notes in `since` that it waits for its client to take a write. The clock reads that at
each tick, and gives up a client that took nothing for `send_timeout`. Rule: no I/O here.
"""

from __future__ import annotations

__all__ = ("JUST_NOW", "PLACES", "OpenResponse", "WaitingRoom")

from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from random import random
from typing import Any, Protocol

from anyio import CancelScope, Event

# Followers that wait for the same event. They get their keep-alive at the same time, so the number
# bounds how long the loop is busy with that.
PLACES = 64

# For `OpenResponse.since`: the clock has not looked yet. Only the clock knows the time.
JUST_NOW = -1.0


class OpenResponse(Protocol):
    """A response that is being written to a client."""

    since: float | None
    """Since when it waits for the client: `JUST_NOW` until the clock looks; or None."""
    send_timeout: float

    def give_up(self) -> None:
        """Leave a client that takes nothing."""

    def wake(self) -> None:
        """Come back from a rest: there is something to write."""

    async def ping(self, pinger: CancelScope) -> None:
        """Send a keep-alive; cancel `pinger` to give it up."""


class WaitingRoom:
    """A few followers that wait for the same event."""

    __slots__ = (
        "_idle",
        "_looked",
        "_pinged",
        "_pinged_before",
        "_quiet_since",
        "_rung",
        "_start",
        "_to_ping",
        "event",
        "period",
        "pings",
        "places",
        "responses",
        "resting",
    )

    def __init__(self, keep_alive: float | None) -> None:
        """Take the longest silence that they want, in seconds."""
        self.event = Event()
        """Set when something comes; then there is a new one."""
        self.places = 0
        """How many followers are here."""
        self.pings = 0
        """How many keep-alives were due."""
        self.responses: set[OpenResponse] = set()
        """Those that write to a client."""
        self.resting: set[OpenResponse] = set()
        """Those of them that wait for a `wake` instead of the event."""
        self.period = inf if keep_alive is None else keep_alive
        self._rung = False
        self._idle = False
        self._looked: float | None = None
        # The first keep-alive early, and at random: thousands may come at the same time.
        self._start = 0.0 if keep_alive is None else keep_alive * random() / 2  # noqa: S311
        self._quiet_since = 0.0
        self._to_ping: deque[OpenResponse] = deque()
        self._pinged = self._pinged_before = 0

    @property
    def idle(self) -> bool:
        """Tell whether nothing has come for a while, so that one may rest."""
        return self._idle

    def ring(self) -> None:
        """Wake all who wait."""
        self._rung, self._idle = True, False
        self._wake()
        if self.resting:
            for response in self.resting:
                response.wake()
            self.resting.clear()

    def tick(
        self, now: float, start: Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
    ) -> None:
        """Give up clients that are stuck; when nothing comes, let the others rest, and ping them.

        Call it a few times in each period. `start` runs a task.
        """
        self._give_up_the_stuck(now)
        if self._to_ping and self._pinged == self._pinged_before:
            start(self._ping)  # the task at it waits for a client that does not take its own
        self._pinged_before = self._pinged
        step = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if self._rung or not step:
            self._rung, self._quiet_since = False, now - step - self._start
            self._start = 0.0
        elif now + step >= self._quiet_since + self.period:
            self._quiet_since = now
            self.pings += 1
            self._to_ping = deque(self.resting)
            self._pinged += 1  # so that the next look sees a difference
            start(self._ping)
            self._wake()
        elif not self._idle:
            self._idle = True
            self._wake()

    def _give_up_the_stuck(self, now: float) -> None:
        for response in self.responses:
            if response.since == JUST_NOW:
                response.since = now
            elif response.since is not None and now - response.since > response.send_timeout:
                response.give_up()

    async def _ping(self) -> None:
        """Send a keep-alive to those who rest, one after the other: a task for each costs more.

        All who are at it take from the same list. So when a client does not take its own, the
        clock starts another one, and the others wait for a second at most.
        """
        with CancelScope() as scope:
            while self._to_ping:
                await self._to_ping.popleft().ping(scope)
                self._pinged += 1

    def _wake(self) -> None:
        event, self.event = self.event, Event()
        event.set()
