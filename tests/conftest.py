"""What every test may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _child_processes_buffer_their_output() -> Iterator[None]:
    # As on a fresh machine; many containers set it, and hide that a child's lines come late.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        yield


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every async test on both."""
    return str(request.param)
