"""What shows that a store of yours keeps the rules.

It needs no test framework.
"""

from __future__ import annotations

__all__ = ("FaultyStore", "StoreBroken", "check_store")

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from random import Random
from typing import Self, TypeVar, TypeVarTuple

from anyio import sleep
from anyio.lowlevel import checkpoint

from .._store.contract import Claim, Head, Over, Page, Store
from .._store.lifecycle import Ended
from ..errors import StoreAway
from ..sinks.memory import MemoryStore
from ._compare import StoreBroken, compare
from ._rules import RULES, Broken

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def check_store(
    make_store: Callable[[], AbstractAsyncContextManager[Store]],
    *,
    rounds: int = 50,
    first_round: int = 0,
) -> None:
    """Check that a store does what `Streams` relies on; raise `StoreBroken` if it does not.

    `make_store` returns a context manager that yields a fresh, empty store. Each rule is tried on a
    store of its own. Then each round makes about 60 random calls to a store, and the same calls to
    a `MemoryStore`. A round is the same each time it runs, so that you can repeat one that fails.

    Example:
        @asynccontextmanager
        async def make_store():
            async with SQLiteStore(path_of_a_new_file()) as store:
                yield store

        async def test_it_keeps_the_contract():
            await check_store(make_store)
    """
    for rule, check in RULES.items():
        async with make_store() as store:
            try:
                await check(store)
            except Broken as broken:
                raise StoreBroken(rule, f"But here {broken}") from None
    for number in range(first_round, first_round + rounds):
        async with make_store() as store:
            try:
                await compare(store, MemoryStore(), Random(number))  # noqa: S311 - not a secret
            except Exception as error:
                again = f"check_store(..., first_round={number}, rounds=1)"
                error.add_note(f"This was round {number}; repeat it with {again}.")
                raise


class FaultyStore:
    """Wrap a store to make it fail: it loses answers and bells, and delays calls.

    Each rate is from 0.0 to 1.0. `lost_acks` is how often a claim, an append or a cancel is applied
    and then raises `StoreAway`. `delays` is how often a call waits a little. `away` is how often a
    call raises `StoreAway` and does nothing. `hints` is how often a bell arrives. `faults` counts
    what happened.

    Example:
        streams = Streams(FaultyStore(MemoryStore(), random=Random(1), lost_acks=0.25, hints=0.0))
    """

    def __init__(
        self,
        store: Store,
        *,
        random: Random,
        lost_acks: float = 0.0,
        delays: float = 0.0,
        hints: float = 1.0,
        away: float = 0.0,
    ) -> None:
        """`random` decides. With the same seed and the same calls, the faults are the same."""
        self.durable = store.durable
        self.faults: Counter[str] = Counter()
        """How many of each there were: "lost ack", "delay", "lost bell", "away"."""
        self._store = store
        self._random = random
        self._lost_acks, self._delays, self._away = lost_acks, delays, away
        self._lost_bells = 1.0 - hints

    async def __aenter__(self) -> Self:
        """Open the wrapped store, if it has to be opened."""
        if isinstance(self._store, AbstractAsyncContextManager):
            await self._store.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        if isinstance(self._store, AbstractAsyncContextManager):
            await self._store.__aexit__(None, None, None)

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        return await self._written(self._store.claim, claim, over)

    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        append = partial(self._store.append, close=close, forget=forget)
        return await self._written(append, claim, expected, events)

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        return await self._called(self._store.read, name, after, limit)

    async def cancel(self, name: str, reason: str) -> Head | None:
        return await self._written(self._store.cancel, name, reason)

    async def delete(self, name: str) -> None:
        await self._called(self._store.delete, name)

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        return await self._called(self._store.names, prefix, after, limit)

    async def sweep(self) -> list[tuple[str, Head]]:
        return await self._called(self._store.sweep)

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        """Yield the bells that are not lost."""
        async with self._store.bells() as bells:
            yield _Heard(bells, lambda: self._happens("lost bell", self._lost_bells))

    async def _written(self, call: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        result = await self._called(call, *args)
        if self._happens("lost ack", self._lost_acks):
            raise StoreAway("the answer was lost")
        return result

    async def _called(self, call: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        if self._happens("away", self._away):
            raise StoreAway("the question was lost")
        await self._wait()
        result = await call(*args)
        await self._wait()
        return result

    async def _wait(self) -> None:
        """Let other tasks run first, for a few turns or a few milliseconds."""
        if not self._happens("delay", self._delays):
            return
        if self._random.random() < 0.5:
            await sleep(self._random.uniform(0.001, 0.005))
        else:
            for _ in range(self._random.randint(1, 5)):
                await checkpoint()

    def _happens(self, fault: str, chance: float) -> bool:
        if self._random.random() >= chance:
            return False
        self.faults[fault] += 1
        return True


class _Heard(AsyncIterator[str | None]):
    def __init__(self, bells: AsyncIterator[str | None], is_lost: Callable[[], bool]) -> None:
        self._bells, self._is_lost = bells, is_lost

    async def __anext__(self) -> str | None:
        while True:
            name = await anext(self._bells)
            if not self._is_lost():
                return name


_: type[Store] = FaultyStore


StoreBroken.__module__ = __name__
