"""Without a thread: `asyncio.create_subprocess_exec`, one `send` for each line."""

from __future__ import annotations

__all__ = ("app",)

from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


async def lines(*command: str) -> AsyncIterator[bytes]:
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    assert process.stdout is not None
    async for line in process.stdout:
        yield line
    await process.wait()


async def stream(request: Request) -> StreamingResponse:
    command = ("cat", request.path_params["name"])
    return StreamingResponse(lines(*command), media_type="text/plain")


app = Starlette(routes=[Route("/text/{name}", stream)])
