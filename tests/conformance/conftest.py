"""Start each server once, and see that nothing is left of it."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator

import pytest
import uvloop

from streamkit._following.clock import Clock

from ._away import Away
from ._client import Server, eventually, open_files
from ._followed import Followed, open_streams
from ._log import Log
from ._loop import Loop
from ._servers import VARIANTS, Variant


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every server that it is for."""
    if "running" in metafunc.fixturenames:
        asgi_only = "asgi_server" in metafunc.fixturenames
        variants = [each for each in VARIANTS if each.framework != "aiohttp" or not asgi_only]
        ids = [each.name for each in variants]
        metafunc.parametrize("running", variants, indirect=True, ids=ids, scope="package")


@pytest.fixture(scope="package")
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Variant, int, Log, Loop]]:
    """Run one server while the tests with it last."""
    variant: Variant = request.param
    log, loop = Log(), Loop()
    logging.getLogger().addHandler(log)
    # libuv opens a pipe with its first loop, for all that will follow in this process.
    uvloop.new_event_loop().close()
    threads, files = set(_threads()), open_files()
    try:
        with pytest.MonkeyPatch.context() as patch:
            # What the clock of all followers does once a second need not be waited for so long.
            patch.setattr(Clock, "tick", 0.02)
            with variant.run(loop) as port:
                loop.wait_until_running()
                yield variant, port, log, loop
    finally:
        logging.getLogger().removeHandler(log)
    gc.collect()
    assert not log.take_rest()
    assert eventually(lambda: set(_threads()) <= threads), f"threads are left: {_threads()}"
    assert eventually(lambda: open_files() <= files), f"left open: {open_files() - files}"


@pytest.fixture
def server(running: tuple[Variant, int, Log, Loop]) -> Iterator[Server]:
    """Return a server; each source of the test must end closed, each logged error expected."""
    server = Server(*running)
    yield server
    server.close()
    assert not server.log.take_rest()


@pytest.fixture
def asgi_server(server: Server) -> Server:
    """Return a server with ASGI middleware."""
    return server


@pytest.fixture
def followed(server: Server) -> Iterator[Followed]:
    """Return the streams of the application; nobody may follow and nothing run at the end."""
    followed = Followed(server, server.loop.streams)
    yield followed
    followed.close()


@pytest.fixture
def elsewhere(server: Server) -> Iterator[Followed]:
    """Return the same streams as another worker has them; it writes none."""
    elsewhere = Followed(server, server.loop.elsewhere)
    yield elsewhere
    elsewhere.close()


@pytest.fixture
def store(server: Server) -> Away:
    return Away()


@pytest.fixture
def here(server: Server, store: Away) -> Iterator[Followed]:
    """The streams of a store that may be away, as the worker has them that writes them."""
    with open_streams(server, store) as followed:
        yield followed


@pytest.fixture
def there(server: Server, store: Away) -> Iterator[Followed]:
    """The same as another worker has them."""
    with open_streams(server, store) as followed:
        yield followed


def _threads() -> list[threading.Thread]:
    # Trio keeps idle workers for 10 s, for whoever needs one next, whichever run it was.
    return [thread for thread in threading.enumerate() if not thread.name.startswith("Trio")]
