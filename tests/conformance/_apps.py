"""The same routes for each framework, made from the one table of scenarios."""

from __future__ import annotations

__all__ = ("aiohttp_app", "fastapi_app", "starlette_app")

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Annotated, Any, TypeAlias

import fastapi
from aiohttp import web
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamkit import Format, StreamkitError
from streamkit.adapters import aiohttp as aiohttp_adapter
from streamkit.adapters import fastapi as fastapi_adapter
from streamkit.adapters import starlette as starlette_adapter

from . import _cleaning  # noqa: F401 - it adds to the table
from ._loop import Loop
from ._run import Run, get_run, where
from ._scenarios import FORMATS, SCENARIOS, Scenario

# The header that names a request's record.
RUN = "run"
# The header that asks an endpoint not to read the body of the request.
LEAVE_BODY = "leave-body"
METHODS = ["GET", "HEAD", "POST"]
# More than the buffers of a connection take.
LARGE = "x" * (16 << 20)


Endpoint: TypeAlias = Callable[[Scenario, Format[Any]], Any]


def _routes(endpoint: Endpoint) -> Iterator[tuple[str, Any]]:
    for name, scenario in SCENARIOS.items():
        for prefix, format in FORMATS.items():
            yield f"/{prefix}/{name}", endpoint(scenario, format)


def starlette_app(loop: Loop) -> ASGIApp:
    """Serve the table by Starlette, also under two kinds of middleware."""
    routes = [Route(path, made, methods=METHODS) for path, made in _routes(_on_starlette)]
    routes += [
        Route("/plain", _plain),
        Route("/plain-in-thread", _plain_in_thread),
        Route("/large", _large),
    ]
    handlers: Any = {StreamkitError: starlette_adapter.error_response}
    return _with_middleware(Starlette(routes=routes, exception_handlers=handlers), loop)


def _on_starlette(scenario: Scenario, format: Format[Any]) -> Callable[[Request], Awaitable[Any]]:
    async def endpoint(request: Request) -> Response:
        run = get_run(request.headers[RUN])
        run.forbidden = HTTPException(403)
        if LEAVE_BODY not in request.headers:
            run.request_body = await request.body()
        where.set("in the endpoint")
        return starlette_adapter.StreamResponse(
            scenario.source(run),
            format,
            background=BackgroundTask(run.notes.append, "after"),
            **scenario.options,
            **run.options,
        )

    return endpoint


async def _plain(request: Request) -> Response:
    return PlainTextResponse("plain")


async def _large(request: Request) -> Response:
    return PlainTextResponse(LARGE)


def _plain_in_thread(request: Request) -> Response:
    return PlainTextResponse("plain")


def fastapi_app(loop: Loop) -> ASGIApp:
    """Serve the table by FastAPI, also under two kinds of middleware."""
    app = FastAPI()
    for path, endpoint in _routes(_on_fastapi):
        app.api_route(path, methods=METHODS)(endpoint)
    app.get("/plain")(_plain)
    app.get("/plain-in-thread")(_plain_in_thread)
    app.get("/large")(_large)
    app.add_exception_handler(StreamkitError, fastapi_adapter.error_response)
    return _with_middleware(app, loop)


async def _run_of(request: fastapi.Request) -> AsyncIterator[Run]:
    run = get_run(request.headers[RUN])
    try:
        yield run
    finally:
        run.notes.append("torn down")


def _on_fastapi(scenario: Scenario, format: Format[Any]) -> Callable[..., Awaitable[Any]]:
    async def endpoint(
        run: Annotated[Run, Depends(_run_of)], request: fastapi.Request
    ) -> fastapi_adapter.StreamResponse:
        run.forbidden = fastapi.HTTPException(403)
        if LEAVE_BODY not in request.headers:
            run.request_body = await request.body()
        where.set("in the endpoint")
        return fastapi_adapter.StreamResponse(
            scenario.source(run),
            format,
            background=BackgroundTask(run.notes.append, "after"),
            **scenario.options,
            **run.options,
        )

    return endpoint


def _with_middleware(app: ASGIApp, loop: Loop) -> ASGIApp:
    async def passed_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    mounts = [
        Mount("/under-base", BaseHTTPMiddleware(app, passed_on)),
        Mount(
            "/under-two-bases", BaseHTTPMiddleware(BaseHTTPMiddleware(app, passed_on), passed_on)
        ),
        Mount("/under-gzip", GZipMiddleware(app)),
        Mount("/under-faulty", _Faulty(app)),
        Mount("/", app),
    ]
    return _Watched(Starlette(routes=mounts, lifespan=loop.running))


class _Faulty:
    """Fail where a comment is sent, as middleware with a mistake in it does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            if message.get("body") == b": keep-alive\n\n":
                raise RuntimeError("this middleware does not like comments")
            await send(message)

        await self._app(scope, receive, checked)


class _Watched:
    """Note when a request has left the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                get_run(dict(scope["headers"])[RUN.encode()].decode()).over.set()


def aiohttp_app(loop: Loop) -> web.Application:
    """Serve the table by aiohttp."""
    app = web.Application(middlewares=[_watched, aiohttp_adapter.error_response])

    async def running(app: web.Application) -> AsyncIterator[None]:
        async with loop.running():
            yield

    app.cleanup_ctx.append(running)
    for path, handler in _routes(_on_aiohttp):
        app.router.add_route("*", path, handler)
    app.router.add_get("/plain", _plain_on_aiohttp)
    app.router.add_get("/plain-in-thread", _plain_in_thread_on_aiohttp)
    app.router.add_get("/large", _large_on_aiohttp)
    return app


def _on_aiohttp(
    scenario: Scenario, format: Format[Any]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        run = get_run(request.headers[RUN])
        run.forbidden = web.HTTPForbidden()
        if LEAVE_BODY not in request.headers:
            run.request_body = await request.read()
        where.set("in the endpoint")
        try:
            return await aiohttp_adapter.respond(
                request, scenario.source(run), format, **scenario.options, **run.options
            )
        finally:
            run.notes.append("after")

    return handler


async def _plain_on_aiohttp(request: web.Request) -> web.Response:
    return web.Response(text="plain")


async def _large_on_aiohttp(request: web.Request) -> web.Response:
    return web.Response(text=LARGE)


async def _plain_in_thread_on_aiohttp(request: web.Request) -> web.Response:
    return web.Response(text=await asyncio.to_thread(str, "plain"))


@web.middleware
async def _watched(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    finally:
        get_run(request.headers[RUN]).over.set()
