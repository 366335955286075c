"""Start each server once, and see that nothing is left of it."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator

import pytest
import uvloop

from ._client import Server, eventually, open_files
from ._log import Log
from ._servers import VARIANTS, Variant


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every server that it is for."""
    if "running" in metafunc.fixturenames:
        asgi_only = "asgi_server" in metafunc.fixturenames
        variants = [each for each in VARIANTS if each.framework != "aiohttp" or not asgi_only]
        ids = [each.name for each in variants]
        metafunc.parametrize("running", variants, indirect=True, ids=ids, scope="package")


@pytest.fixture(scope="package")
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Variant, int, Log]]:
    """Run one server while the tests with it last."""
    variant: Variant = request.param
    log = Log()
    logging.getLogger().addHandler(log)
    # libuv opens a pipe with its first loop, for all that will follow in this process.
    uvloop.new_event_loop().close()
    threads, files = set(_threads()), open_files()
    try:
        with variant.run() as port:
            yield variant, port, log
    finally:
        logging.getLogger().removeHandler(log)
    gc.collect()
    assert not log.take_rest()
    assert eventually(lambda: set(_threads()) <= threads), f"threads are left: {_threads()}"
    assert eventually(lambda: open_files() <= files), f"left open: {open_files() - files}"


@pytest.fixture
def server(running: tuple[Variant, int, Log]) -> Iterator[Server]:
    """Return a server; each source of the test must end closed, each logged error expected."""
    server = Server(*running)
    yield server
    server.close()
    assert not server.log.take_rest()


@pytest.fixture
def asgi_server(server: Server) -> Server:
    """Return a server with ASGI middleware."""
    return server


def _threads() -> list[threading.Thread]:
    # Trio keeps idle workers for 10 s, for whoever needs one next, whichever run it was.
    return [thread for thread in threading.enumerate() if not thread.name.startswith("Trio")]
