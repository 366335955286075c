"""Raw ASGI and orjson, one `send` per event: nothing is faster to bring out a single event."""

from __future__ import annotations

__all__ = ("app",)

from typing import TYPE_CHECKING

import orjson

from benchmarks.one_connection.items import source

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for item in source(scope["path"]):
        frame = b"data: %b\n\n" % orjson.dumps(item)
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
