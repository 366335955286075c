"""Run an app on a listening socket until Ctrl-C, also while somebody follows an endless stream."""

from __future__ import annotations

__all__ = ("load_app", "serve")

import logging
from contextlib import suppress
from importlib import import_module
from socket import socket
from typing import TypeAlias

import uvicorn
from aiohttp import web
from starlette.applications import Starlette

App: TypeAlias = Starlette | web.Application

# An endless stream never finishes by itself, so waiting longer for it gains nothing.
STOP_TIMEOUT = 1


def load_app(framework: str) -> App:
    app: App = import_module(f"examples.demo.{framework}_app").app
    return app


def serve(app: App, listener: socket) -> None:
    if isinstance(app, web.Application):
        # aiohttp waits twice: for a handler to finish, then for it to be cancelled.
        timeout = STOP_TIMEOUT / 2
        with suppress(web.GracefulExit):  # of a second Ctrl-C
            web.run_app(app, sock=listener, shutdown_timeout=timeout, access_log=None, print=None)
        return
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_TIMEOUT)
    )
    # While it stops, uvicorn reports each stream that it cuts as an error. Here that is the plan.
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)
    server.run(sockets=[listener])
