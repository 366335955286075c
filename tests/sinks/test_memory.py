"""The memory store beyond the rules of every store: its cost, its clocks, its bells."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from itertools import pairwise

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after, wait_all_tasks_blocked

from streamkit.sinks import memory
from streamkit.sinks.memory import MemoryStore

from .makers import claim_of

CLAIM = claim_of()


async def test_a_cancelled_append_did_nothing() -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    with CancelScope() as scope:
        scope.cancel()
        await store.append(CLAIM, 0, [b"1"])
    assert scope.cancelled_caught
    page = await store.read("a", 0, 10)
    assert page is not None
    assert page.events == []


async def test_the_caller_may_change_its_list_afterwards() -> None:
    store, events = MemoryStore(), [b"1", b"2"]
    await store.claim(CLAIM, "nothing")
    await store.append(CLAIM, 0, events)
    events.clear()
    page = await store.read("a", 0, 10)
    assert page is not None
    page.events.append(b"3")
    page = await store.read("a", 0, 10)
    assert page is not None
    assert page.events == [b"1", b"2"]


async def test_what_is_forgotten_is_free_at_once_and_its_places_soon() -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    for tail in range(1000):
        await store.append(CLAIM, tail, [b"%d" % tail], forget=tail - 8)
    events = store._logs["a"]._events
    assert len([event for event in events if event]) == 10
    assert len(events) <= 20
    page = await store.read("a", 0, 100)
    assert page is not None
    assert page.events == [b"%d" % number for number in range(990, 1000)]
    assert (page.head.first, page.head.tail) == (991, 1000)


async def test_a_stream_that_is_trimmed_all_the_time_moves_each_event_about_once() -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    sizes = []
    for tail in range(0, 4000, 4):
        await store.append(CLAIM, tail, [b"1"] * 4, forget=tail - 400)
        sizes.append(len(store._logs["a"]._events))
    moved = sum(after for before, after in pairwise(sizes) if after < before)
    assert moved <= 4000


async def test_setting_the_time_of_the_machine_orphans_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    monkeypatch.setattr(memory, "time", lambda: 1e12)
    assert await store.sweep() == []


async def test_a_lease_passes_on_the_second_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 50.0
    monkeypatch.setattr(memory, "monotonic", lambda: now)
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    now = 149.9
    assert await store.sweep() == []
    taker = replace(CLAIM, epoch=2, token="token2")
    head = await store.claim(taker, "lapsed")
    assert head is not None
    assert head.epoch == 1
    now = 150.0
    assert [name for name, _ in await store.sweep()] == ["a"]
    head = await store.claim(taker, "lapsed")
    assert head is not None
    assert head.epoch == 2
    assert await store.sweep() == []  # the taker's own lease counts from now on


async def test_an_ended_stream_is_removed_on_the_second_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 5000.0
    monkeypatch.setattr(memory, "time", lambda: now)
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    now = 5001.0
    head = await store.append(CLAIM, 0, [b"1"], close="done")
    assert head is not None
    assert (head.started, head.ended, head.expires) == (5000.0, 5001.0, 5101.0)
    now = 5100.9
    await store.sweep()
    assert await store.read("a", 0, 0) is not None
    now = 5101.0
    await store.sweep()
    assert await store.read("a", 0, 0) is None


async def test_a_listener_that_waits_is_woken_by_a_bell() -> None:
    store, heard = MemoryStore(), list[str | None]()

    async def listen() -> None:
        async with store.bells() as bells:
            heard.append(await anext(bells))

    async with create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        await store.claim(CLAIM, "nothing")
    assert heard == ["a"]


async def test_listeners_do_not_take_each_others_bells() -> None:
    store = MemoryStore()
    async with store.bells() as first, store.bells() as second:
        await store.claim(CLAIM, "nothing")
        with fail_after(1):
            assert [await anext(first), await anext(second)] == ["a", "a"]


async def test_a_listener_that_is_far_behind_is_told_to_look_at_everything() -> None:
    store = MemoryStore()
    async with store.bells() as bells:
        for number in range(1001):
            await store.claim(claim_of(f"a{number}"), "nothing")
        with fail_after(1):
            assert await anext(bells) is None
            await store.delete("a7")  # and is no longer behind
            async for name in bells:
                assert name == "a7"
                break


async def test_what_changes_nothing_rings_no_bell() -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    async with store.bells() as bells:
        await store.claim(CLAIM, "nothing")
        await store.append(CLAIM, 0, [])
        await store.append(CLAIM, 7, [b"1"])
        await store.delete("b")
        await store.claim(claim_of("z"), "nothing")
        with fail_after(1):
            assert await anext(bells) == "z"


async def test_a_listener_that_leaves_is_forgotten() -> None:
    store = MemoryStore()
    async with store.bells() as bells:
        left = weakref.ref(bells)
    del bells
    gc.collect()
    assert left() is None


def test_a_store_may_be_made_before_the_event_loop_and_outlives_it() -> None:
    store = MemoryStore()

    async def use(name: str) -> None:
        async with store.bells() as bells:
            await store.claim(claim_of(name), "nothing")
            with fail_after(1):
                assert await anext(bells) == name

    anyio.run(use, "a", backend="asyncio")
    anyio.run(use, "b", backend="trio")
