"""`answer_following`: a followed stream to one client. The shared clock watches over it."""

from __future__ import annotations

__all__ = ("answer_following",)

import logging
from collections.abc import Awaitable
from contextlib import suppress
from random import uniform
from typing import Any

from anyio import CancelScope, create_task_group, move_on_after, sleep_forever

from ._errors import ServerStopping
from ._follower import FrameFollower
from ._following import Following, ended_badly
from ._format import Encoder, Format
from ._stream_errors import ExpiredStream, StoreAway
from ._writing import GONE, Client, Left, Stuck, Timing

logger = logging.getLogger("streamkit")

# How long a client waits before it comes back, in ms. Each is told another: a server that stops
# has thousands, and they shall not all come in the same moment.
RETRY = 2000
JITTER = 0.5


async def answer_following(
    client: Client,
    following: Following,
    format: Format[Any],
    timing: Timing,
    *,
    last_event_id: str | None,
    after: str | None,
) -> bool:
    """Send a followed stream to a client, from where it was; False when it has seen all of it.

    Nothing was sent then, and when it raises `UnknownStream`, `ExpiredStream` or `InvalidCursor`.
    Raises `Left` when the client went, or was given up; and what the format has no words for,
    after the connection was cut. A store that is away is one to come back to: a status that says
    so would make `EventSource` give up for good.
    """
    try:
        follower = await following.answer(
            format, last_event_id=last_event_id, after=after, keep_alive=timing.keep_alive
        )
    except StoreAway:
        if not (wish := _come_back(format.encoder())):
            raise
        await client.start()
        await client.write(wish + b"\n")
        await client.finish()
        return True
    if follower is not None:
        await _write(client, follower, timing.send_timeout)
    return follower is not None


async def _write(client: Client, follower: FrameFollower, send_timeout: float) -> None:
    writing = _Writing(client, follower, send_timeout)
    failure: Exception | None = None
    async with create_task_group() as tasks:
        writing.scope = tasks.cancel_scope
        tasks.start_soon(writing.watch)
        follower.bay.writers.add(writing)
        try:
            await writing.write_all()
            writing.complete = True
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            failure = error
        finally:
            follower.bay.writers.discard(writing)
            follower.leave()
        tasks.cancel_scope.cancel()
    if writing.complete:
        with move_on_after(send_timeout), suppress(*GONE):
            await client.finish()
    elif writing.stuck:
        logger.warning("a client took nothing for %g s and was given up", send_timeout)
        raise Stuck
    elif failure is None or isinstance(failure, Left):
        raise Left
    else:
        with move_on_after(send_timeout):
            await client.cut(failure)
        raise failure


def _come_back(encoder: Encoder[Any]) -> bytes:
    """Return the wish that this client waits so long before it comes back."""
    return encoder.come_back(round(RETRY * uniform(1 - JITTER, 1 + JITTER)))  # noqa: S311


class _Writing:
    """One response while it is being written."""

    scope: CancelScope

    def __init__(self, client: Client, follower: FrameFollower, send_timeout: float) -> None:
        self.complete = False
        self.stuck = False
        self.since: float | None = None
        self.send_timeout = send_timeout
        self._client = client
        self._follower = follower
        self._tails = follower.tails

    def give_up(self) -> None:
        self.stuck = True
        self.scope.cancel()

    async def watch(self) -> None:
        try:
            await self._client.gone()
        except Exception as error:  # noqa: BLE001 - the stream goes on; a write will notice
            logger.warning("a client's leaving will be noticed late: %r", error)
            await sleep_forever()
        self.scope.cancel()

    async def write_all(self) -> None:
        follower, encoder = self._follower, self._follower.encoder
        await self._sent(self._client.start())
        begin = _come_back(encoder) + encoder.begin()
        while data := await follower.take() or (b"" if follower.ended else encoder.keep_alive):
            await self._put(begin + data if begin else data)
            begin = b""
        await self._put(begin + self._last())

    def _last(self) -> bytes:
        """Return what is written last: how the stream ended, or that one may come back to it."""
        follower, encoder = self._follower, self._follower.encoder
        if follower.last is None:
            wish = _come_back(encoder)
            if not wish:
                raise ServerStopping if self._tails.stopping else ExpiredStream(follower.name)
            return wish + encoder.keep_alive
        last = encoder.last(follower.last)
        if last is None:
            raise ended_badly(follower.last)
        return last

    async def _put(self, data: bytes) -> None:
        if data:
            await self._sent(self._client.write(data))

    async def _sent(self, sending: Awaitable[None]) -> None:
        self.since = self._tails.now
        try:
            await sending
        except GONE as error:
            raise Left from error
        self.since = None
