"""`write_following`: send a followed stream to one client. The shared clock watches over it."""

from __future__ import annotations

__all__ = ("write_following",)

from collections.abc import Awaitable, Iterator
from random import uniform
from typing import Any

from anyio import CancelScope, Event, create_task_group, move_on_after
from anyio.lowlevel import checkpoint

from .._following.follower import FrameFollower
from .._following.following import Following
from .._following.mirror import MAX_WRITE
from .._following.waiting import JUST_NOW
from .._items.format import Encoder, Format
from .._items.stored import failure_of
from ..errors import ExpiredStream, ServerStopping, StoreAway
from .client import GONE, Asked, Client, Left, Timing, end, wait_until_gone
from .place import place_of

# How long a client waits before it reconnects, in ms. Each client gets a different value: a server
# that stops may have thousands of clients, and they must not all reconnect at the same moment.
RETRY = 2000
JITTER = 0.5


async def write_following(
    client: Client,
    following: Following,
    format: Format[Any],
    timing: Timing,
    asked: Asked,
) -> bool:
    """Send a followed stream to a client from where it was. Return False if it has seen all of it.

    Nothing was sent if this returns False or raises `UnknownStream`, `ExpiredStream` or
    `InvalidCursor`. Raises `Left` if the client left or was given up. An error that the format
    cannot express is raised after the connection was cut. If the store is away, the client is told
    to reconnect: an error status would make `EventSource` give up for good.
    """
    try:
        place = await place_of(following, format, asked)
    except StoreAway:
        if not (wish := _come_back(format.encoder())):
            raise
        await _say(client, wish + b"\n", timing.send_timeout)
        return True
    if place is None:
        return False
    follower = following.frames(*place, format=format, keep_alive=timing.keep_alive)
    await _Answer(client, follower, timing.send_timeout).run()
    return True


def _come_back(encoder: Encoder[Any]) -> bytes:
    """Return the bytes that tell this client how long to wait before it reconnects."""
    return encoder.come_back(round(RETRY * uniform(1 - JITTER, 1 + JITTER)))  # noqa: S311


async def _say(client: Client, data: bytes, send_timeout: float) -> None:
    try:
        with move_on_after(send_timeout):
            await client.start()
            await client.write(data)
            await client.finish()
    except GONE as error:
        raise Left from error


class _Answer:
    """One response while it is being written.

    While events come, a second task watches whether the client leaves. While no events come, there
    is nothing to write, and the only task rests: it watches the client itself until there is an
    event. With 2,000 idle clients this took 19 KiB per client instead of 25 KiB.
    """

    __slots__ = (
        "_begin",
        "_client",
        "_complete",
        "_error",
        "_follower",
        "_gone",
        "_pinged",
        "_pinger",
        "_scope",
        "_stuck",
        "send_timeout",
        "since",
    )

    _scope: CancelScope

    def __init__(self, client: Client, follower: FrameFollower, send_timeout: float) -> None:
        self.since: float | None = None
        self.send_timeout = send_timeout
        self._client = client
        self._follower = follower
        self._begin = b""
        self._complete = self._gone = self._stuck = False
        self._error: Exception | None = None
        self._pinger: CancelScope | None = None
        self._pinged: Event | None = None

    async def run(self) -> None:
        room = self._follower.room
        room.responses.add(self)
        try:
            await self._start()
            while not self._over:
                await (self._rest() if self._follower.waits else self._write())
        finally:
            room.responses.discard(self)
            self._follower.leave()
        await end(
            self._client,
            self.send_timeout,
            complete=self._complete,
            stuck=self._stuck,
            failure=self._error,
        )

    def give_up(self) -> None:
        """Give up a client that takes nothing."""
        self._stuck = True
        if self._pinger is not None:
            self._pinger.cancel()
        self._leave()

    def wake(self) -> None:
        """End a rest."""
        self._scope.cancel()

    async def ping(self, pinger: CancelScope) -> None:
        """Send a keep-alive during a rest, in a task that `pinger` cancels."""
        if self not in self._follower.room.resting or self._pinger is not None:
            return  # an event has woken it meanwhile, or the last keep-alive is not taken yet
        self._pinger = pinger
        try:
            await self._guarded(self._put(self._follower.encoder.keep_alive))
        finally:
            self._pinger = None
            if self._pinged is not None:
                self._pinged.set()
        if self._over:
            self._leave()

    @property
    def _over(self) -> bool:
        return self._complete or self._gone or self._stuck or self._error is not None

    def _leave(self) -> None:
        # Leave here too: a server may shield its `send`, and then no other code gets to do it.
        self._follower.leave()
        self._scope.cancel()

    async def _start(self) -> None:
        encoder = self._follower.encoder
        self._begin = _come_back(encoder) + encoder.begin()
        with CancelScope() as self._scope:
            await self._guarded(self._sent(self._client.start()))

    async def _write(self) -> None:
        """Write events until none have come for a while or the client leaves."""
        async with create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            tasks.start_soon(self._watch)
            await self._guarded(self._write_all())
            tasks.cancel_scope.cancel()

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Note a failure. `end` raises it later, outside the task group that would wrap it."""
        try:
            await work
        except Left:
            self._gone = True
        except Exception as error:  # noqa: BLE001 - it concerns only this response
            self._error = error

    async def _watch(self) -> None:
        await wait_until_gone(self._client)
        self._gone = True
        self._leave()

    async def _rest(self) -> None:
        """Wait until the client leaves or an event comes."""
        resting = self._follower.room.resting
        with CancelScope() as self._scope:
            resting.add(self)
            await self._watch()
        resting.discard(self)
        self._follower.rested()
        if self._pinger is not None and not self._over:
            self._pinged = Event()
            await self._pinged.wait()  # some servers cannot handle two writes at the same time

    async def _write_all(self) -> None:
        follower, take, write = self._follower, self._follower.take, self._client.write
        while True:
            data = await take()
            if not data:
                if follower.pause == "idle":
                    return
                if follower.pause == "ended":
                    break
                data = follower.encoder.keep_alive
            if self._begin or len(data) > MAX_WRITE:
                await self._put(data)
                continue
            # The same as `_put`, inlined because every event to every client passes here.
            self.since = JUST_NOW
            try:
                await write(data)
            except GONE as error:
                raise Left from error
            self.since = None
            if self._gone:
                raise Left
        await self._put(self._last())
        self._complete = True

    def _last(self) -> bytes:
        """Return the last bytes: how the stream ended, or that the client should reconnect."""
        follower, encoder = self._follower, self._follower.encoder
        if follower.last is None:
            wish = _come_back(encoder)
            if not wish:
                raise ServerStopping if follower.mirrors.stopping else ExpiredStream(follower.name)
            return wish + encoder.keep_alive
        last = encoder.last(follower.last)
        if last is None:
            raise failure_of(follower.last)
        return last

    async def _put(self, data: bytes) -> None:
        if not data:
            return
        if self._begin:
            data, self._begin = self._begin + data, b""
        # A large page goes out in parts: the send timeout applies to each of them.
        for number, part in enumerate((data,) if len(data) <= MAX_WRITE else _parts(data)):
            if number:
                await checkpoint()  # or asyncio could not notice that the client has gone
            await self._sent(self._client.write(part))

    async def _sent(self, sending: Awaitable[None]) -> None:
        self.since = JUST_NOW
        try:
            await sending
        except GONE as error:
            raise Left from error
        self.since = None
        # A cancellation arrives only where a task waits, and writing a flood of events to a client
        # that has gone never waits.
        if self._gone:
            raise Left


def _parts(data: bytes) -> Iterator[bytes]:
    return (data[start : start + MAX_WRITE] for start in range(0, len(data), MAX_WRITE))
