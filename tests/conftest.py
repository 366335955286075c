"""What all tests share: both event loops, and an environment like other people's."""

from __future__ import annotations

import pytest
from trio.testing import MockClock


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {}), id="asyncio"),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run each async test on asyncio and on trio."""
    return request.param


@pytest.fixture
def trio_clock(anyio_backend: tuple[str, dict[str, object]]) -> None:
    """Let trio's time jump to the next deadline; asyncio's tests use short times instead."""
    if anyio_backend[0] == "trio":
        anyio_backend[1]["clock"] = MockClock(autojump_threshold=0)


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a setting that would hide how child processes buffer their output elsewhere."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
