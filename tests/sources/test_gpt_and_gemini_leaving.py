"""Whoever leaves, and whenever, the provider's connection is closed within half a second."""

from __future__ import annotations

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from streamkit import as_text, open_source
from streamkit._feeding.handover import Handover
from streamkit.models._source import ModelSource

from ._model_server import (
    Asker,
    array,
    asker,
    assert_closed,
    frames,
    never_answers,
    opening,
    says_all,
)
from ._upstream_server import Exchange, serving

__all__ = ("asker",)  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp:DeprecationWarning")


def begun(asker: Asker) -> bytes:
    """Return the beginning of an answer, after which nothing comes."""
    chunks = opening(asker.wire)
    return asker.encode(chunks) if asker.encode is frames else asker.encode(chunks, end=False)


async def first_word(source: ModelSource) -> None:
    async for event in source:
        if str(event):
            return


async def test_leaving_the_block_closes_the_connection(asker: Asker) -> None:
    async with (
        serving(says_all(asker, begun(asker), wait=True)) as server,
        asker.asking(server) as source,
    ):
        async with open_source(source) as events:
            async for event in events:
                if str(event):
                    break
        await assert_closed(server)
        assert source.closed
        with pytest.raises(StopAsyncIteration):
            await anext(source)


async def test_cancelling_the_wait_for_more_closes_the_connection(asker: Asker) -> None:
    async with (
        serving(says_all(asker, begun(asker), wait=True)) as server,
        asker.asking(server) as source,
    ):
        await first_word(source)
        async with create_task_group() as tasks:
            tasks.start_soon(first_word, source)
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        await assert_closed(server)


async def test_cancelling_the_wait_for_an_answer_closes_the_connection(asker: Asker) -> None:
    async with serving(never_answers) as server, asker.asking(server) as source:
        async with create_task_group() as tasks:
            tasks.start_soon(first_word, source)
            while not server.exchanges:
                await anyio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        await assert_closed(server)


async def test_a_response_that_is_left_closes_the_connection(asker: Asker) -> None:
    async with (
        serving(says_all(asker, begun(asker), wait=True)) as server,
        asker.asking(server) as source,
    ):
        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, source, as_text.encoder())
            assert await hand.take() == b"Hel"
            await wait_all_tasks_blocked()
            hand.leave()
            await assert_closed(server)


async def test_a_flood_can_be_left(asker: Asker) -> None:
    piece = begun(asker).removeprefix(b"[") + (b"," if asker.encode is array else b"")

    async def script(exchange: Exchange) -> None:
        await exchange.head(200, asker.type)
        if asker.encode is array:
            await exchange.send(b"[")
        while not exchange.client_left.is_set():
            await exchange.send(piece * 100)

    async with serving(script) as server, asker.asking(server) as source:
        hand = Handover()
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, source, as_text.encoder())
            for _ in range(10):
                assert await hand.take()
            hand.leave()
            await assert_closed(server)


async def test_closing_before_the_first_event_sends_nothing(asker: Asker) -> None:
    async with serving(never_answers) as server, asker.asking(server) as source:
        await source.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    assert not server.exchanges
