"""All pumps of this process: a name is claimed, written, and let go."""

from __future__ import annotations

__all__ = ("Claimed", "IfExists", "Producers")

from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from anyio import move_on_after
from anyio.abc import TaskGroup

from ._cursor import new_token
from ._errors import ServerStopping
from ._names import check_name
from ._producing import Produced
from ._pump import Pump
from ._store import Claim, Head, Store, new_epoch
from ._stream_errors import StreamExists
from ._tails import Tails
from ._terms import TermOptions, Terms

IfExists: TypeAlias = Literal["raise", "follow", "restart"]

# For the sources of streams that are cancelled when the application stops; a source has 5 s.
CLOSE_TIMEOUT = 6.0


class Claimed(NamedTuple):
    """A name that may be written."""

    claim: Claim
    head: Head
    terms: Terms


class Producers:
    """The streams that this process writes; it runs its tasks in a group of somebody else."""

    def __init__(self, store: Store, tails: Tails, terms: Terms) -> None:
        """`terms` hold where a stream has none of its own."""
        self._store = store
        self._tails = tails
        self._terms = terms
        self._pumps: dict[str, Pump] = {}
        self._tasks: TaskGroup | None = None

    def run_in(self, tasks: TaskGroup) -> None:
        """Start to look at who follows, and at what other processes wish."""
        self._tasks = tasks
        self._tails.on_tick = self._look_at_followers
        self._tails.on_bell = self._look_at_head

    def __len__(self) -> int:
        """Count them."""
        return len(self._pumps)

    def get(self, name: str) -> Pump | None:
        """Return the pump of a stream, if it is here."""
        return self._pumps.get(name)

    async def claim(self, name: str, if_exists: IfExists, options: TermOptions) -> Claimed | None:
        """Become the writer of a name; None when it has one, and is to be followed."""
        check_name(name)
        terms = replace(self._terms, **options)
        claim = Claim(name, new_token(), new_epoch(), new_token(), terms.lease, terms.keep)
        head = await self._store.claim(claim, "anything" if if_exists == "restart" else "nothing")
        if head is None or head.life != claim.life:
            if if_exists == "follow":
                return None
            raise StreamExists(name)
        old = self._pumps.get(name)
        if old is not None:
            await old.look()
            with move_on_after(CLOSE_TIMEOUT):
                await old.ended.wait()
        return Claimed(claim, head, terms)

    def run(self, claimed: Claimed, produced: Produced) -> Pump:
        """Write what is produced under a claim."""
        claim, head, terms = claimed
        if self._tasks is None:
            raise ServerStopping
        tail = self._tails.feeding(claim.name)
        tail.feed(head, 0, [])
        pump = Pump(self._store, claim, tail, terms, intake=produced.intake, leave=produced.leave)
        self._pumps[claim.name] = pump
        self._tasks.start_soon(self._pumped, pump, produced)
        if produced.run is not None:
            self._tasks.start_soon(produced.run)
        return pump

    async def stop(self, drain: float) -> None:
        """Give the streams a while to end by themselves, and cancel the others."""
        pumps = list(self._pumps.values())
        with move_on_after(drain):
            for pump in pumps:
                await pump.ended.wait()
        for pump in pumps:
            pump.cancel(ServerStopping.code)
        with move_on_after(CLOSE_TIMEOUT):
            for pump in pumps:
                await pump.ended.wait()

    async def _pumped(self, pump: Pump, produced: Produced) -> None:
        try:
            await pump.run()
        finally:
            produced.leave()
            if self._pumps.get(pump.claim.name) is pump:  # and nobody has started it anew
                del self._pumps[pump.claim.name]
                self._tails.fed(pump.tail)

    def _look_at_followers(self, now: float) -> None:
        for pump in list(self._pumps.values()):
            if pump.terms.on_leave == "cancel":
                pump.look_at_followers(now)

    def _look_at_head(self, name: str | None) -> None:
        for pump in list(self._pumps.values()) if name is None else [self._pumps.get(name)]:
            if pump is not None and self._tasks is not None and not pump.looking:
                pump.looking = True
                self._tasks.start_soon(pump.look_soon)
