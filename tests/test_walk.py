"""The walk of an event through the house, as docs/design.md draws it: seen while one walks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from aiohttp import web
from anyio import EndOfStream, connect_tcp, fail_after, sleep

from streamkit import MemoryStore, Source, Streams, as_sse
from streamkit.adapters.aiohttp import respond
from streamkit.sources.echo import stream_echo

from .test_layering import SOURCE

MARK = "needle"
PAGE = (Path(__file__).parents[1] / "docs" / "design.md").read_text()
ROOMS_ON_THE_WAY = 6


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on asyncio alone, as aiohttp does."""
    return str(request.param)


def drawn(walk: str) -> list[str]:
    """Return the rooms of a walk in the order of the page."""
    row = re.search(rf"^{walk} +(\S.*)$", PAGE, re.MULTILINE)
    assert row is not None
    return row[1].split(" → ")


def is_marked(value: object) -> bool:
    """Tell whether a value is the event, in whichever of its forms."""
    if isinstance(value, str):
        return MARK in value
    if isinstance(value, bytes):
        return MARK.encode() in value
    if isinstance(value, list | tuple):
        return any(is_marked(each) for each in value)
    return False


@contextmanager
def watching() -> Iterator[list[str]]:
    """Note each room in which a call is given the event, or gives it back, when it first does."""
    rooms: list[str] = []

    def watch(frame: FrameType, what: str, given: object) -> None:
        path = Path(frame.f_code.co_filename)
        if what not in ("call", "return") or SOURCE not in path.parents:
            return
        room = path.relative_to(SOURCE).parts[0]
        if room in rooms:
            return
        values = [*frame.f_locals.values()] if what == "call" else [given]
        if any(is_marked(value) for value in values):
            rooms.append(room)

    sys.setprofile(watch)
    try:
        yield rooms
    finally:
        sys.setprofile(None)


async def exchange(source: Source[Any]) -> bytes:
    """Ask aiohttp for a response, over a socket, and return what came."""

    async def endpoint(request: web.Request) -> web.StreamResponse:
        return await respond(request, source, as_sse)

    app = web.Application()
    app.router.add_get("/", endpoint)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with await connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            body = b""
            with suppress(EndOfStream), fail_after(10):
                while True:
                    body += await stream.receive()
        return body
    finally:
        await runner.cleanup()


async def test_from_a_source_to_the_wire() -> None:
    source = stream_echo(MARK)
    with watching() as rooms:
        body = await exchange(source)
    assert MARK.encode() in body
    assert rooms == drawn("source → wire")


async def test_from_a_source_to_the_store() -> None:
    source, store = stream_echo(MARK), MemoryStore()
    async with Streams(store) as streams:
        with watching() as rooms:
            await streams.start("a", source)
            while (await streams.status("a"))["active"]:
                await sleep(0.001)
    # Behind the store, the pump shows those who follow in its process what has landed.
    assert rooms == [*drawn("source → store"), "_following"]


async def test_from_the_store_to_a_follower() -> None:
    store = MemoryStore()
    async with Streams(store) as writer, Streams(store) as streams:
        async for _ in await writer.start("a", [MARK]):
            pass
        with watching() as rooms:
            body = await exchange(streams.follow("a"))
    assert MARK.encode() in body
    assert rooms == drawn("store → follower")


@pytest.mark.parametrize("walk", ["source → wire", "source → store", "store → follower"])
def test_a_walk_is_drawn_with_six_rooms_at_most_and_none_of_them_twice(walk: str) -> None:
    rooms = drawn(walk)
    assert len(rooms) == len(set(rooms)) <= ROOMS_ON_THE_WAY
