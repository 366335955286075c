"""`WaitingRoom`: where a few followers wait for more of a stream, and where the clock finds them.

A response waits in one of two ways. Two tasks cost 25 KiB for each idle client, one costs 19 KiB.

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

Each response sets `since` while it waits for its client to take a write. The clock reads it at each
tick, and gives up a client that took nothing for `send_timeout`. Rule: no I/O here.
"""

from __future__ import annotations

__all__ = ("JUST_NOW", "PLACES", "OpenResponse", "WaitingRoom")

from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from random import random
from typing import Any, Protocol

from anyio import CancelScope, Event

# How many followers wait for the same event. They get their keep-alive at the same time, so this
# bounds how long the event loop is busy with that.
PLACES = 64

# A value of `OpenResponse.since`: the clock has not ticked since. Only the clock knows the time.
JUST_NOW = -1.0


class OpenResponse(Protocol):
    """A response that is being written to a client."""

    since: float | None
    """Since when it waits for the client: `JUST_NOW` until the next tick; None if it does not."""
    send_timeout: float

    def give_up(self) -> None:
        """Give up a client that takes nothing."""

    def wake(self) -> None:
        """End a rest: there is something to write."""

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
        """`keep_alive` is the longest silence that the followers want, in seconds."""
        self.event = Event()
        """Set when something comes, and then replaced by a new one."""
        self.places = 0
        """How many followers are here."""
        self.pings = 0
        """How many keep-alives were due so far."""
        self.responses: set[OpenResponse] = set()
        """The followers that write to a client."""
        self.resting: set[OpenResponse] = set()
        """The responses that wait for a `wake` instead of the event."""
        self.period = inf if keep_alive is None else keep_alive
        self._rung = False
        self._idle = False
        self._looked: float | None = None
        # The first keep-alive comes early, at a random time: thousands may connect at once.
        self._start = 0.0 if keep_alive is None else keep_alive * random() / 2  # noqa: S311
        self._quiet_since = 0.0
        self._to_ping: deque[OpenResponse] = deque()
        self._pinged = self._pinged_before = 0

    @property
    def idle(self) -> bool:
        """Return whether nothing has come for a while, so that a response may rest."""
        return self._idle

    def ring(self) -> None:
        """Wake all followers that wait."""
        self._rung, self._idle = True, False
        self._wake()
        if self.resting:
            for response in self.resting:
                response.wake()
            self.resting.clear()

    def tick(
        self, now: float, start: Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
    ) -> None:
        """Give up stuck clients. When nothing comes, let the others rest, and ping them.

        Call this a few times per period. `start` starts a task.
        """
        self._give_up_the_stuck(now)
        if self._to_ping and self._pinged == self._pinged_before:
            start(self._ping)  # the current task is held up by a client that takes nothing
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
            self._pinged += 1  # so that the next tick sees a difference
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
        """Send a keep-alive to resting responses, one after another: a task for each costs more.

        All tasks that do this take from the same list. If a client does not take its keep-alive,
        the clock starts another task, so the other clients wait for a second at most.
        """
        with CancelScope() as scope:
            while self._to_ping:
                await self._to_ping.popleft().ping(scope)
                self._pinged += 1

    def _wake(self) -> None:
        event, self.event = self.event, Event()
        event.set()
