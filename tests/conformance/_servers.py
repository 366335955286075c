"""The real servers, each in a thread of the test process with an event loop of its own."""

from __future__ import annotations

__all__ = ("VARIANTS", "Variant")

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, cast

import hypercorn
import trio
import uvicorn
from aiohttp import web
from anyio import from_thread
from anyio.lowlevel import EventLoopToken, current_token
from hypercorn.trio import serve
from starlette.types import ASGIApp

from ._apps import aiohttp_app, fastapi_app, starlette_app
from ._loop import Loop

# Above hypercorn's 3 s of grace, which it takes when a connection is left open.
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Variant:
    """One server with one application."""

    name: str
    run: Callable[[Loop], AbstractContextManager[int]]
    """Run the server while the block lasts; gives the port. Its application runs in the loop."""
    framework: Literal["starlette", "fastapi", "aiohttp"]
    failure_log: str
    """What the server itself logs of an exception that leaves the application."""
    shields_send: bool = False
    """Whether a `send` that waits for its client cannot be cancelled."""


@contextmanager
def _uvicorn(
    app: Callable[[Loop], ASGIApp],
    http: Literal["httptools", "h11"],
    runner: Literal["uvloop", "asyncio"],
    loop: Loop,
) -> Iterator[int]:
    # Connections wait in the listener's queue until the server accepts them: there is nothing
    # to wait for before the first request.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app(loop), http=http, loop=runner, lifespan="on", log_config=None)
        server = uvicorn.Server(config)
        with _in_thread(partial(server.run, [listener])):
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True


@contextmanager
def _hypercorn_on_trio(app: Callable[[Loop], ASGIApp], loop: Loop) -> Iterator[int]:
    ready: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()

    async def main() -> None:
        config = hypercorn.Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = logging.getLogger("hypercorn.error")
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            # It has types of its own for what passes between server and application.
            served = partial(serve, cast("Any", app(loop)), config, shutdown_trigger=stop.wait)
            binds = await nursery.start(served)
            ready.put((_port(binds[0]), _from_thread(stop.set, current_token())))

    with _in_thread(partial(trio.run, main)):
        port, stop = ready.get(timeout=STOP_TIMEOUT)
        try:
            yield port
        finally:
            stop()


@contextmanager
def _aiohttp(loop: Loop, *, handler_cancellation: bool) -> Iterator[int]:
    ready: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()

    async def main() -> None:
        runner = web.AppRunner(
            aiohttp_app(loop), handler_cancellation=handler_cancellation, access_log=None
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        ready.put((runner.addresses[0][1], _from_thread(stop.set, current_token())))
        await stop.wait()
        await runner.cleanup()

    with _in_thread(lambda: asyncio.run(main())):
        port, stop = ready.get(timeout=STOP_TIMEOUT)
        try:
            yield port
        finally:
            stop()


@contextmanager
def _in_thread(serve: Callable[[], None]) -> Iterator[None]:
    thread = Thread(target=serve, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(STOP_TIMEOUT)
    assert not thread.is_alive(), "the server did not stop"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _from_thread(call: Callable[[], None], token: EventLoopToken) -> Callable[[], None]:
    return partial(from_thread.run_sync, call, token=token)


_UVICORN_LOG = "Exception in ASGI application"
_AIOHTTP_LOG = "Error handling request"

VARIANTS = (
    Variant(
        "starlette-uvicorn-httptools-uvloop",
        partial(_uvicorn, starlette_app, "httptools", "uvloop"),
        "starlette",
        _UVICORN_LOG,
    ),
    Variant(
        "starlette-uvicorn-h11-asyncio",
        partial(_uvicorn, starlette_app, "h11", "asyncio"),
        "starlette",
        _UVICORN_LOG,
    ),
    Variant(
        "starlette-hypercorn-trio",
        partial(_hypercorn_on_trio, starlette_app),
        "starlette",
        "Error in ASGI Framework",
        shields_send=True,
    ),
    Variant(
        "fastapi-uvicorn",
        partial(_uvicorn, fastapi_app, "httptools", "uvloop"),
        "fastapi",
        _UVICORN_LOG,
    ),
    Variant("aiohttp", partial(_aiohttp, handler_cancellation=False), "aiohttp", _AIOHTTP_LOG),
    Variant(
        "aiohttp-cancelling-handlers",
        partial(_aiohttp, handler_cancellation=True),
        "aiohttp",
        _AIOHTTP_LOG,
    ),
)
