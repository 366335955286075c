"""A chat whose answers come from another service: passed on as they come, and kept when complete.

Nothing here knows a web framework: in each of them, a route is one line.
"""

from __future__ import annotations

__all__ = ("MESSAGE_REQUIRED", "UPSTREAM", "Chats")

import os
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from anyio import to_thread

from examples.demo.chat_table import ChatTable
from streamkit import step
from streamkit.models import ModelEvent, Sources, Text
from streamkit.sources.relay import relayed
from streamkit.sources.upstream import stream_sse

MESSAGE_REQUIRED = {"error": "Message is required"}

# The service that comes with the demo. STREAMKIT_DEMO_UPSTREAM names another one.
UPSTREAM = "/upstream/answers"


class Chats:
    """Rooms, each with its messages."""

    def __init__(self, database: Path) -> None:
        self._table = ChatTable(database)
        self._client: httpx2.AsyncClient

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Keep one client for all requests to the other service: for the lifespan of the app."""
        async with httpx2.AsyncClient(trust_env=False) as self._client:
            yield

    def answer(
        self, room: str, message: str, server: tuple[str, int]
    ) -> AsyncIterable[ModelEvent | dict[str, Any]]:
        """Ask the other service, pass on what it says, and keep it. `server` is this one."""
        url = os.environ.get("STREAMKIT_DEMO_UPSTREAM") or f"http://{_host(*server)}{UPSTREAM}"
        upstream = stream_sse(url, client=self._client, json={"question": message})
        return self._kept(relayed(upstream), room, message)

    async def messages(self, room: str) -> dict[str, object]:
        """Return what was kept of a room."""
        return {"messages": await to_thread.run_sync(self._table.read, room)}

    @step
    async def _kept(
        self, items: AsyncIterable[ModelEvent | dict[str, Any]], room: str, message: str
    ) -> AsyncGenerator[ModelEvent | dict[str, Any], None]:
        """Keep an answer when all of it is there; one that was cut, or left, is not kept.

        Before its end is told: a client that is told of the end finds it kept.
        """
        texts: list[str] = []
        knowledge: dict[str, None] = {}  # each once, in their order
        async for item in items:
            if isinstance(item, Text):
                texts.append(item.text)
            elif isinstance(item, Sources):
                knowledge |= dict.fromkeys(source.id for source in item.items)
            yield item
        await to_thread.run_sync(self._table.add, room, message, "".join(texts), list(knowledge))


def _host(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
