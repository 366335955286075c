"""The HTTP exchange that each adapter binds to its framework, and what all of them share."""

from __future__ import annotations

__all__ = ("GONE", "Asked", "Client", "Left", "Stuck", "Timing", "end", "wait_until_gone")

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from anyio import BrokenResourceError, ClosedResourceError, move_on_after, sleep_forever

logger = logging.getLogger("streamkit")

# What a server, or a middleware in between, raises when the client has gone.
GONE = (OSError, BrokenResourceError, ClosedResourceError)


class Asked(NamedTuple):
    """What a request asks for, as far as a stream is concerned."""

    head: bool
    """Whether it is a HEAD request, which gets no body."""
    last_event_id: str | None
    after: str | None
    """The cursor in the URL."""
    status: int
    """The status that the response will have."""


class Client(Protocol):
    """One HTTP exchange. An `OSError` means that the client has gone."""

    @property
    def started(self) -> bool:
        """Whether the status may have been sent, so that it is too late for another one."""
        ...

    async def start(self) -> None:
        """Send the status and the headers."""

    async def write(self, data: bytes) -> None:
        """Send a part of the body. Wait while the client does not read."""

    async def finish(self) -> None:
        """Mark the body as complete."""

    async def cut(self, error: Exception) -> None:
        """End the connection so that no client takes the body for complete."""

    async def gone(self) -> None:
        """Return when the client has left. Otherwise this call gets cancelled."""

    def abort(self) -> None:
        """Free the connection of a client that takes nothing, if the server allows it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a response waits, in seconds: for its first batch, when idle, and for the client."""

    first_wait: float = 2.0
    keep_alive: float | None = 15.0
    send_timeout: float = 30.0

    def __post_init__(self) -> None:
        """Refuse values that would spin or never send."""
        # Written with `not` to refuse NaN too, for which every comparison is false.
        if not self.first_wait >= 0:
            raise ValueError(f"first_wait is a time of 0 s or more, not {self.first_wait}")
        if self.keep_alive is not None and not self.keep_alive > 0:
            raise ValueError(f"keep_alive is a time above 0 s, or None, not {self.keep_alive}")
        if not self.send_timeout > 0:
            raise ValueError(f"send_timeout is a time above 0 s, not {self.send_timeout}")


class Left(Exception):
    """The client left before the end."""


class Stuck(Left):
    """The client took nothing for too long, and was given up."""


async def wait_until_gone(client: Client) -> None:
    """Return when the client has left. If that cannot be detected, a later write will notice it."""
    try:
        await client.gone()
    except Exception as error:  # noqa: BLE001 - the stream goes on
        logger.warning("a client's leaving will be noticed late: %r", error)
        await sleep_forever()


async def end(
    client: Client, send_timeout: float, *, complete: bool, stuck: bool, failure: Exception | None
) -> None:
    """End a response: finish it, give up its client or cut it. Raise what it ended with, if any."""
    if complete:
        with move_on_after(send_timeout), suppress(*GONE):
            await client.finish()
    elif stuck:
        logger.warning("a client took nothing for %g s and was given up", send_timeout)
        client.abort()
        raise Stuck
    elif failure is None:
        raise Left
    else:
        if client.started:
            with move_on_after(send_timeout):
                await client.cut(failure)
        raise failure
