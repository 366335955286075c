"""Stores for the tests of `Streams`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from anyio import current_time

from streamkit import MemoryStore, Store, Streams
from streamkit.sinks import memory
from streamkit.sinks.sqlite import SQLiteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store; no power fails in a test, so it need not wait for the disk."""
    if request.param == "memory":
        return MemoryStore()
    return SQLiteStore(tmp_path / "streams.db", synchronous="normal")


@pytest.fixture
async def streams(store: Store) -> AsyncIterator[Streams]:
    """Run streams that cancel at once, when the test is over, what did not end by itself."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Streams(store, drain=0))
        yield running
    assert running.statistics().producers == 0


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Return a store whose leases and expiry follow the clock of the event loop, which may jump."""
    monkeypatch.setattr(memory, "monotonic", current_time)
    monkeypatch.setattr(memory, "time", lambda: 1_000_000_000 + current_time())
    return MemoryStore()
