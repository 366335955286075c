"""One worker: an application with streams in the file that the environment names."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from threading import Thread

import uvicorn
from anyio import current_time, sleep
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streamkit import Stream, StreamkitError, Streams, as_sse
from streamkit._streams.options import GivenOptions
from streamkit.adapters.starlette import StreamResponse, error_response
from streamkit.sinks.sqlite import SQLiteStore

streams = Streams(
    SQLiteStore(os.environ["CHAOS_FILE"], max_page_count=int(os.environ["CHAOS_PAGES"])),
    sweep=float(os.environ["CHAOS_SWEEP"]),
    keep=600.0,
)


async def numbered(stream: Stream, mark: str, total: int, rate: float, size: int) -> None:
    """Write numbered items; `total` 0 is without an end, `rate` 0 as fast as it goes."""
    pad, began = "x" * size, current_time()
    for number in count(1):
        if total and number > total:
            return
        if rate:
            await sleep(max(0.0, began + number / rate - current_time()))
        await stream.send({"n": number, "mark": mark, "pad": pad})


async def start(request: Request) -> Response:
    asked = request.query_params
    terms = GivenOptions(lease=float(asked.get("lease", 10)))
    if "max_events" in asked:
        terms["max_events"] = int(asked["max_events"])
    if "max_bytes" in asked:
        terms["max_bytes"] = int(asked["max_bytes"])
    await streams.launch(
        request.path_params["name"],
        numbered,
        asked.get("mark", ""),
        int(asked.get("total", 0)),
        float(asked.get("rate", 0)),
        int(asked.get("size", 0)),
        if_exists="restart" if "restart" in asked else "raise",
        **terms,
    )
    return JSONResponse({}, 201)


async def follow(request: Request) -> Response:
    return StreamResponse(
        streams.follow(request.path_params["name"]),
        as_sse,
        keep_alive=float(request.query_params.get("keep_alive", 15)),
        send_timeout=float(request.query_params.get("send_timeout", 30)),
    )


async def status(request: Request) -> Response:
    return JSONResponse(await streams.status(request.path_params["name"]))


async def cancel(request: Request) -> Response:
    state = await streams.cancel(request.path_params["name"], "by a test")
    return JSONResponse({"state": state})


async def delete(request: Request) -> Response:
    await streams.delete(request.path_params["name"])
    return JSONResponse({})


async def list_names(request: Request) -> Response:
    return JSONResponse([each["name"] for each in await streams.list(limit=10_000)])


async def statistics(request: Request) -> Response:
    held = streams.statistics()
    return JSONResponse([held.followers, held.producers, held.watched])


@asynccontextmanager
async def running(app: Starlette) -> AsyncGenerator[None, None]:
    async with streams:
        yield


app = Starlette(
    lifespan=running,
    exception_handlers={StreamkitError: error_response},
    routes=[
        Route("/start/{name}", start, methods=["POST"]),
        Route("/follow/{name}", follow),
        Route("/status/{name}", status),
        Route("/cancel/{name}", cancel, methods=["POST"]),
        Route("/delete/{name}", delete, methods=["POST"]),
        Route("/list", list_names),
        Route("/statistics", statistics),
    ],
)


def end_with_the_test() -> None:
    sys.stdin.read()  # ends when the process of the test does, however that ended
    os._exit(1)


def main() -> None:
    Thread(target=end_with_the_test, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        # Connections wait in the listener's queue until the server accepts them.
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
