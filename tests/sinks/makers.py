"""How the tests get a store that is fresh and empty; each of these must keep every rule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random

from streamkit import Claim, Store
from streamkit.sinks.memory import MemoryStore
from streamkit.testing import FaultyStore


@asynccontextmanager
async def make_memory() -> AsyncIterator[Store]:
    yield MemoryStore()


@asynccontextmanager
async def make_delayed() -> AsyncIterator[Store]:
    yield FaultyStore(MemoryStore(), random=Random(1), delays=0.02)


MAKERS: dict[str, Callable[[], AbstractAsyncContextManager[Store]]] = {
    "memory": make_memory,
    "delayed": make_delayed,
}


def claim_of(
    name: str = "a",
    *,
    life: str = "life1",
    epoch: int = 1,
    token: str = "token1",
    lease: float = 100.0,
    keep: float | None = 100.0,
) -> Claim:
    return Claim(name, life, epoch, token, lease, keep)
