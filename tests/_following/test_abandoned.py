"""Threads and iterations that nobody waits for any more: they keep nothing alive."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from anyio import fail_after, to_thread, wait_all_tasks_blocked

from streamkit import MemoryStore, Stream, Streams
from streamkit._feeding.threaded import Threaded
from streamkit.errors import CleanupTimeout

from .._streams.fakes import data, eventually, last_type, read
from ..fakes import Fountain


@pytest.mark.slow  # it is given up
async def test_a_thread_that_was_given_up_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Threaded, "close_timeout", 0.02)
    go = threading.Event()

    def blocking() -> Any:
        yield "x"
        go.wait(10)

    items = Threaded(blocking())
    assert await anext(items) == "x"
    with pytest.raises(CleanupTimeout):
        await items.aclose()
    with fail_after(0.5):
        await items.aclose()
    assert not go.is_set()
    go.set()


@pytest.mark.slow  # it is given up
async def test_a_job_in_a_thread_that_does_not_look_keeps_nothing_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Threaded, "close_timeout", 0.02)
    go, threads = threading.Event(), []

    def work(stream: Stream) -> None:
        threads.append(threading.current_thread())
        stream.send_sync("x")
        go.wait(10)

    try:
        with fail_after(5):
            async with Streams(MemoryStore(), drain=0) as streams:
                following = await streams.launch("a", work)
                await read(following, 1)
                await streams.cancel("a", "enough")
                assert await last_type(following) == "cancelled"
        assert threads[0].daemon
        assert threads[0].is_alive()
    finally:
        go.set()


async def test_an_iteration_that_is_collected_in_another_thread_follows_no_more() -> None:
    store = MemoryStore()
    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        await writer.start("a", Fountain("x", wait=True))

        async def abandon() -> None:
            reading = aiter(streams.follow("a"))
            await anext(reading)
            cycle: list[object] = [reading]
            cycle.append(cycle)  # only the garbage collector frees it

        gc.collect()
        gc.disable()
        try:
            await abandon()
            assert streams.statistics().followers == streams.statistics().watched == 1
            await to_thread.run_sync(gc.collect)
        finally:
            gc.enable()
        await eventually(lambda: streams.statistics().followers == 0)
        await wait_all_tasks_blocked()
        assert streams.statistics().watched == 0
        assert data(await read(streams.follow("a"), 1)) == ["x"]


async def test_an_iteration_may_be_closed_before_and_after_it_was_begun(streams: Streams) -> None:
    following = await streams.start("a", Fountain("x", wait=True))
    never: Any = aiter(following)
    await never.aclose()
    begun: Any = aiter(following)
    await anext(begun)
    await begun.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(begun)
    assert streams.statistics().followers == 0
