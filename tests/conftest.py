"""What every test may rely on."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from ssl import SSLContext

import pytest
from anyio import current_time
from hypothesis import settings

from streamkit import MemoryStore, Store, Streams
from streamkit.sinks import memory
from streamkit.sinks.sqlite import SQLiteStore

from .needs import pytest_configure, pytest_runtest_setup  # noqa: F401 - pytest calls them

# CI tries the same examples each time; a person's runs look for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _child_processes_buffer_their_output() -> Iterator[None]:
    # As on a fresh machine; many containers set it, and hide that a child's lines come late.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_authorities_are_read() -> Iterator[None]:
    # No test speaks TLS, yet each client reads all that vouch for servers: 20 ms, 500 times.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SSLContext, "load_verify_locations", lambda *_, **__: None)
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one more than there are cores, as much of a test is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or the others would wait for it in the end."""
    items.sort(key=lambda item: item.path.name not in ("test_demo.py", "test_docs.py"))


def pytest_collection_finish() -> None:
    """Let the collector pass over what the tests import: it takes 0.1 s each time otherwise."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every async test on both."""
    return str(request.param)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest) -> Store:
    """Return an empty store; no power fails in a test, so it need not wait for the disk."""
    if request.param == "memory":
        return MemoryStore()
    tmp_path: Path = request.getfixturevalue("tmp_path")
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
