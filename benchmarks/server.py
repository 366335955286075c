"""One server process: `python -m benchmarks.server PACKAGE VARIANT [DIRECTORY]`.

Works in the directory, if one is named. Binds a free port of 127.0.0.1, prints it when the app is
imported, and serves until it is told to stop or its parent is gone.
"""

from __future__ import annotations

__all__ = ()

import importlib
import os
import resource
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from aiohttp import web

if TYPE_CHECKING:
    from benchmarks.variants import Variant

# Address space: a server that gathers without limit shall fail, not the machine.
MAX_MEMORY = 4 * 1024**3


def main() -> None:
    package, name, *directory = sys.argv[1:]
    variant = importlib.import_module(f"{package}.variants").VARIANTS[name]
    for path in directory:
        os.chdir(path)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    serve(variant, package)


def serve(variant: Variant, package: str) -> None:
    """Serve a variant, whose app is below the package."""
    app = _load(variant, package)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        if variant.server == "aiohttp":
            loop = uvloop.new_event_loop()
            web.run_app(app, sock=listener, loop=loop, access_log=None, print=None)
        else:
            config = uvicorn.Config(
                app, loop="uvloop", http="httptools", access_log=False, log_level="warning"
            )
            uvicorn.Server(config).run(sockets=[listener])


def _load(variant: Variant, package: str) -> Any:
    if variant.json == "stdlib":
        sys.modules["orjson"] = None  # type: ignore[assignment]  # makes `import orjson` fail
    module, _, attribute = variant.app.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)


def _leave_with_parent() -> None:
    # The parent holds the other end and never writes. Not sys.stdin: its lock, held by a daemon
    # thread, makes the interpreter's own exit fail.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
