"""All pumps of this process: they claim a name, write its stream, and release it."""

from __future__ import annotations

__all__ = ("IfExists", "Pumps")

import logging
from dataclasses import replace
from typing import Literal, TypeAlias, get_args
from weakref import WeakValueDictionary

from anyio import CancelScope, Lock, move_on_after, sleep
from anyio.abc import TaskGroup

from .._following.clock import Clock
from .._following.mirrors import Mirrors
from .._store.contract import Claim, Head, Over, Store
from .._store.cursor import new_token
from .._store.listening import Listening
from .._store.names import check_name
from .._store.patience import Patience
from .._store.verdict import new_epoch
from ..errors import ServerStopping, StoreAway, StreamExists
from .options import GivenOptions, StreamOptions
from .producer import Producer
from .pump import Pump

IfExists: TypeAlias = Literal["raise", "follow", "restart"]

# How often to attempt a claim whose acknowledgement is lost. Repeating a claim changes nothing.
CLAIM_ATTEMPTS = 4

logger = logging.getLogger("streamkit")


class Pumps:
    """The streams that this process writes. Their tasks run in a group that the caller owns."""

    close_timeout = 6.0
    """Seconds for a cancelled stream to end; its source has 5 s to clean up."""

    def __init__(
        self,
        store: Store,
        mirrors: Mirrors,
        listening: Listening,
        clock: Clock,
        options: StreamOptions,
    ) -> None:
        """`options` apply where a stream does not set its own."""
        self._store = store
        self._mirrors = mirrors
        self._options = options
        self._pumps: dict[str, Pump] = {}
        self._starting: WeakValueDictionary[str, Lock] = WeakValueDictionary()
        self._tasks: TaskGroup | None = None
        listening.tell(self._look_at_head)
        clock.tell(self._look_at_followers)

    def run_in(self, tasks: TaskGroup) -> None:
        """Use this task group. Nothing is left over from an earlier run."""
        self._tasks = tasks
        self._pumps = {}
        self._starting = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._pumps)

    def get(self, name: str) -> Pump | None:
        """Return the pump of a stream, if this process has one."""
        return self._pumps.get(name)

    async def start(
        self, name: str, producer: Producer, if_exists: IfExists, own: GivenOptions
    ) -> Pump | None:
        """Claim a name and write what `producer` produces; None if it is taken and to be followed.

        A pump that already writes the name in this process is stopped first, and the new source
        begins only after that.
        """
        check_name(name)
        if self._tasks is None:
            raise ServerStopping
        if if_exists not in get_args(IfExists):
            raise ValueError(f"if_exists is one of {get_args(IfExists)}, not {if_exists!r}")
        options = replace(self._options, **own)
        claim = Claim(name, new_token(), new_epoch(), new_token(), options.lease, options.keep)
        pump = None
        # Only one start at a time for each name, or the last claim might not be the last to run. A
        # start is shielded, or a claim without a pump could hold the name.
        lock = self._starting.setdefault(name, Lock())
        async with lock:
            with CancelScope(shield=True):
                pump = await self._begin(claim, options, producer, if_exists)
        return pump

    async def stop(self, drain: float) -> None:
        """Give the streams `drain` seconds to end by themselves, then cancel the others."""
        self._tasks = None
        with move_on_after(drain):
            await self._ended()
        for pump in list(self._pumps.values()):
            pump.cancel(ServerStopping.code)
        with move_on_after(self.close_timeout):
            await self._ended()
        for name, pump in list(self._pumps.items()):
            logger.error("the end of the stream %s could not be written", name)
            pump.scope.cancel()

    async def _begin(
        self, claim: Claim, options: StreamOptions, producer: Producer, if_exists: IfExists
    ) -> Pump | None:
        head = await self._claimed(claim, "anything" if if_exists == "restart" else "nothing")
        if head is None or head.life != claim.life:
            if if_exists == "follow":
                return None
            raise StreamExists(claim.name)
        if self._tasks is None:
            await self._store.delete(claim.name)
            raise ServerStopping
        return self._run(self._tasks, claim, head, options, producer)

    async def _ended(self) -> None:
        for pump in list(self._pumps.values()):
            await pump.ended.wait()

    async def _claimed(self, claim: Claim, over: Over) -> Head | None:
        patience = Patience()
        for _ in range(CLAIM_ATTEMPTS - 1):
            try:
                return await self._store.claim(claim, over)
            except StoreAway as error:
                await sleep(patience.pause(error))
        return await self._store.claim(claim, over)

    def _run(
        self, tasks: TaskGroup, claim: Claim, head: Head, options: StreamOptions, producer: Producer
    ) -> Pump:
        old = self._pumps.get(claim.name)
        if old is not None:
            old.displace()
        mirror = self._mirrors.feed_here(claim.name)
        mirror.feed(head, 0, [])
        pump = Pump(self._store, claim, mirror, options, producer)
        self._pumps[claim.name] = pump
        tasks.start_soon(self._pumped, pump, producer)
        tasks.start_soon(self._produce, old, pump, producer)
        return pump

    async def _produce(self, old: Pump | None, pump: Pump, producer: Producer) -> None:
        if old is not None:
            with move_on_after(self.close_timeout):
                await old.ended.wait()
        pump.ready.set()
        await producer.run()

    async def _pumped(self, pump: Pump, producer: Producer) -> None:
        try:
            with pump.scope:
                await pump.run()
        finally:
            producer.leave()
            if self._pumps.get(pump.claim.name) is pump:  # it was not started again
                del self._pumps[pump.claim.name]
                self._mirrors.feed_no_more(pump.mirror)

    def _look_at_followers(self, now: float) -> None:
        for pump in list(self._pumps.values()):
            if pump.options.on_leave == "cancel":
                pump.look_at_followers(now)

    def _look_at_head(self, name: str | None) -> None:
        for pump in list(self._pumps.values()) if name is None else [self._pumps.get(name)]:
            if pump is not None and self._tasks is not None and pump.heard():
                self._tasks.start_soon(pump.look_soon)
