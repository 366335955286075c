"""Who leaves somebody else's stream closes the connection at once, as the server sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anyio import CancelScope, create_task_group, current_time, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from streamkit import as_sse, open_source, step
from streamkit._feeding.closing import Feeding, feeding_now
from streamkit._feeding.handover import Handover
from streamkit.errors import UpstreamCut, UpstreamSilent
from streamkit.sources.upstream import stream_sse

from ._upstream_server import (
    CLIENTS,
    END,
    SOON,
    Exchange,
    Server,
    client_of,
    numbered,
    says,
    serving,
    waits,
)

# From the reader's leaving until the server sees it; on an idle machine it takes a millisecond.
AT_ONCE = 0.5


async def never_answers(exchange: Exchange) -> None:
    await exchange.client_left.wait()


async def floods(exchange: Exchange) -> None:
    await exchange.head()
    while True:
        await exchange.send(b"data: x\n\n" * 1000)


SCRIPTS = [
    pytest.param(never_answers, id="before the answer"),
    pytest.param(waits(), id="before the first event"),
    pytest.param(waits(b"data: a\n\n"), id="idle"),
    pytest.param(floods, id="busy", marks=pytest.mark.slow),  # some MB have to come
]


@step
async def passed_on(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def feed_and_leave(source: Any, server: Server) -> None:
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, as_sse.encoder())
        await until_asked(server)
        hand.leave()


async def cancel_the_reader(source: Any, server: Server) -> None:
    async def read() -> None:
        async for _ in source:
            pass

    async with create_task_group() as tasks:
        tasks.start_soon(read)
        await until_asked(server)
        tasks.cancel_scope.cancel()


async def cancel_who_opened_it(source: Any, server: Server) -> None:
    async def read() -> None:
        async with open_source(source) as events:
            async for _ in events:
                pass

    async with create_task_group() as tasks:
        tasks.start_soon(read)
        await until_asked(server)
        tasks.cancel_scope.cancel()


async def until_asked(server: Server) -> None:
    while not server.exchanges:
        await checkpoint()
    for _ in range(20):  # who reads a flood never waits
        await checkpoint()


WAYS = [feed_and_leave, cancel_the_reader, cancel_who_opened_it]


@asynccontextmanager
async def seen_at_once(server: Server) -> AsyncIterator[None]:
    yield
    with fail_after(AT_ONCE):
        await server.exchanges[-1].client_left.wait()


@pytest.mark.parametrize("package", CLIENTS)
@pytest.mark.parametrize("leave", WAYS)
@pytest.mark.parametrize("script", SCRIPTS)
async def test_the_server_sees_at_once_that_its_reader_left(
    script: Any, leave: Callable[[Any, Server], Awaitable[None]], package: Any
) -> None:
    async with serving(script) as server, client_of(package) as client:
        async with seen_at_once(server):
            await leave(stream_sse(server.url, client=client), server)
        assert client is None or not client.is_closed


async def test_a_step_over_it_leaves_with_its_reader() -> None:
    async with serving(waits(b"data: a\n\n")) as server, seen_at_once(server):
        await feed_and_leave(passed_on(passed_on(stream_sse(server.url))), server)


async def test_who_stops_reading_a_source_that_was_opened_leaves() -> None:
    async with (
        serving(waits(numbered(1, 2, 3))) as server,
        seen_at_once(server),
        open_source(stream_sse(server.url)) as events,
    ):
        assert (await anext(events)).data == "1"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # with which trio says what it cleans up
async def test_who_breaks_out_of_a_plain_loop_leaves_too() -> None:
    async def first(url: str) -> object:
        async for event in stream_sse(url):
            return event.data
        return None

    async with serving(waits(numbered(1, 2, 3))) as server, seen_at_once(server):
        assert await first(server.url) == "1"


async def test_a_reader_that_left_while_a_read_timed_out_is_not_asked_to_wait_again() -> None:
    async with serving(waits(b"retry: 1\n" + numbered(7))) as server:
        feeding = Feeding()
        token = feeding_now.set(feeding)
        source = stream_sse(server.url, idle_timeout=0.05)
        assert (await anext(source)).data == "7"
        feeding.left = True
        with pytest.raises(StopAsyncIteration):
            await anext(source)
        feeding_now.reset(token)
        assert source.closed


async def test_a_source_that_is_closed_yields_nothing_more() -> None:
    async with serving(waits(numbered(1, 2, 3))) as server, seen_at_once(server):
        source = stream_sse(server.url)
        assert (await anext(source)).data == "1"
        await source.aclose()
        await source.aclose()
        assert source.closed
        assert [event async for event in source] == []


async def test_another_task_may_close_it_while_a_read_waits() -> None:
    async with serving(waits(b"retry: 1\n" + numbered(1))) as server, seen_at_once(server):
        source, read = stream_sse(server.url), []

        async def reader() -> None:
            async for event in source:
                read.append(event.data)  # noqa: PERF401 - somebody looks at it meanwhile

        async with create_task_group() as tasks:
            tasks.start_soon(reader)
            while not read:
                await checkpoint()
            await wait_all_tasks_blocked()
            await source.aclose()
        assert read == ["1"]


async def test_a_source_that_nobody_read_sends_nothing() -> None:
    async with serving() as server:
        source = stream_sse(server.url)
        await source.aclose()
        assert [event async for event in source] == []
        assert not server.exchanges


@pytest.mark.slow  # the request has to be there before the limit has passed
@pytest.mark.parametrize("script", [never_answers, waits(), waits(b": ping\n\n")])
async def test_silence_before_the_first_byte_has_a_timeout_of_its_own(script: Any) -> None:
    async with serving(script) as server:
        source = stream_sse(server.url, first_timeout=0.3, idle_timeout=0.31, reconnect=None)
        begun = current_time()
        with pytest.raises(UpstreamSilent) as silent:
            await anext(source)
        assert 0.29 < current_time() - begun < SOON / 2
        assert silent.value.status == 504
        await server.exchanges[0].client_left.wait()


async def test_silence_after_the_first_byte_has_another() -> None:
    async with serving(waits(b"data: a\n\n")) as server:
        source = stream_sse(server.url, first_timeout=60, idle_timeout=0.05)
        assert (await anext(source)).data == "a"
        with pytest.raises(UpstreamSilent, match=r"for 0\.05 s"):
            await anext(source)
        await server.exchanges[0].client_left.wait()


@pytest.mark.slow  # silence that is none has to take its time
async def test_comments_are_no_silence_and_neither_is_a_slow_reader() -> None:
    async def pings(exchange: Exchange) -> None:
        await exchange.head()
        for _ in range(16):
            await exchange.send(b": ping\n\n")
            with CancelScope(deadline=current_time() + 0.05):
                await exchange.client_left.wait()
        await exchange.send(numbered(1))
        await exchange.send(numbered(2) + END)

    async with serving(pings) as server:
        source = stream_sse(server.url, first_timeout=0.6, idle_timeout=0.6)
        assert (await anext(source)).data == "1"
        with CancelScope(deadline=current_time() + 0.7):
            await server.exchanges[0].client_left.wait()
        assert [event.data async for event in source] == ["2"]


async def test_a_cancelled_read_of_a_post_is_a_cut_and_nothing_is_sent_twice() -> None:
    async with serving(waits(b"data: a\n\n")) as server:
        source = stream_sse(server.url, json={})
        assert (await anext(source)).data == "a"
        with CancelScope(deadline=current_time() + 0.01):
            await anext(source)
        with pytest.raises(UpstreamCut):
            await anext(source)
        assert len(server.exchanges) == 1


async def test_a_cancelled_read_of_a_get_goes_on_where_it_was() -> None:
    async with serving(waits(b"retry: 1\n" + numbered(7)), says(numbered(8) + END)) as server:
        source = stream_sse(server.url)
        assert (await anext(source)).data == "7"
        with CancelScope(deadline=current_time() + 0.01):
            await anext(source)
        assert [event.data async for event in source] == ["8"]
        assert server.exchanges[1].headers["last-event-id"] == "7"
