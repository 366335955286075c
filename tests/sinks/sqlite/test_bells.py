"""Bells ring for changes of this process at once, and for those of others when it next looks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from anyio import fail_after, wait_all_tasks_blocked

from streamkit._store.bells import Listener
from streamkit.sinks.sqlite import SQLiteStore

from ..makers import claim_of
from .files import sql, store_threads

NEVER = 1000.0  # between two looks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


async def heard(bells: AsyncIterator[str | None], *, until: str | None) -> set[str | None]:
    """Return what rings, up to and with a name."""
    found: set[str | None] = set()
    with fail_after(5):
        async for name in bells:
            found.add(name)
            if name == until:
                break
    return found


def changes_of(store: SQLiteStore) -> list[tuple[bool, Callable[[], Awaitable[object]]]]:
    """Return calls of all kinds, each with whether it rings."""
    renewal = claim_of(lease=0)
    return [
        (True, partial(store.claim, claim_of(), "nothing")),
        (True, partial(store.append, claim_of(), 0, [b"1"])),
        (False, partial(store.append, renewal, 1, [])),
        (True, partial(store.claim, claim_of(epoch=2), "lapsed")),
        (True, partial(store.cancel, "a", "stop")),
        (True, partial(store.append, claim_of(epoch=2), 1, [], close="cancelled")),
        (True, partial(store.claim, claim_of(life="life2"), "anything")),
        (True, partial(store.delete, "a")),
    ]


async def test_it_rings_for_its_own_changes_without_a_look_into_the_file(path: Path) -> None:
    async with SQLiteStore(path, poll=NEVER) as store, store.bells() as one, store.bells() as two:
        for rings, change in changes_of(store):
            await change()
            await store.claim(claim_of("next"), "nothing")
            for bells in (one, two):
                assert ("a" in await heard(bells, until="next")) == rings
            await store.delete("next")
            for bells in (one, two):
                await heard(bells, until="next")


async def test_it_rings_for_each_change_of_another(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other, store.bells() as bells:
        for number, (rings, change) in enumerate(changes_of(other)):
            await change()
            await store._poller.call(lambda _: None)  # it looks now
            await heard(bells, until="a") if rings else None
            await other.claim(claim_of(f"next{number}"), "nothing")
            assert await heard(bells, until=f"next{number}") == {f"next{number}"}


async def test_what_does_nothing_does_not_ring(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other, store.bells() as bells:
        await other.claim(claim_of(), "nothing")
        await heard(bells, until="a")
        for one in (store, other):
            await one.claim(claim_of(), "nothing")
            await one.claim(claim_of(epoch=2), "lapsed")
            await one.append(claim_of(), 7, [b"1"], close="done")
            await one.delete("b")
            await one.cancel("b", "stop")
        await other.claim(claim_of("next"), "nothing")
        assert await heard(bells, until="next") == {"next"}


async def test_its_own_changes_do_not_ring_again_from_the_file(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other, store.bells() as bells:
        await store.claim(claim_of(), "nothing")
        await heard(bells, until="a")
        await other.claim(claim_of("next"), "nothing")
        assert await heard(bells, until="next") == {"next"}


async def test_somebody_looks_only_while_somebody_listens(path: Path) -> None:
    looks = "streamkit-sqlite-bells"
    async with SQLiteStore(path) as store:
        assert looks not in store_threads()
        async with store.bells():
            async with store.bells():
                assert store_threads().count(looks) == 1
            assert looks in store_threads()
        assert looks not in store_threads()
        async with store.bells() as bells, SQLiteStore(path) as other:
            await other.claim(claim_of(), "nothing")
            await heard(bells, until="a")


async def test_who_is_far_behind_is_told_once_to_look_at_everything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "max_rung", 3)
    async with SQLiteStore(path, poll=NEVER) as store, store.bells() as bells:
        for number in range(9):
            await store.claim(claim_of(f"n{number}"), "nothing")
        await wait_all_tasks_blocked()
        assert await heard(bells, until=None) == {None}


async def test_after_an_error_it_says_that_anything_may_have_changed(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other, store.bells() as bells:
        elsewhere = path.with_name("elsewhere.db")
        os.rename(path, elsewhere)
        await store._poller.call(lambda _: None)  # it looks, and finds no file
        os.rename(elsewhere, path)
        assert await heard(bells, until=None) == {None}
        await other.claim(claim_of(), "nothing")
        assert await heard(bells, until="a") == {"a"}


async def test_after_a_step_back_it_says_that_anything_may_have_changed(path: Path) -> None:
    async with SQLiteStore(path) as store, SQLiteStore(path) as other, store.bells() as bells:
        for name in "ab":
            await other.claim(claim_of(name), "nothing")
        await heard(bells, until="b")
        sql(path, "DELETE FROM stream WHERE name = 'b'")
        assert await heard(bells, until=None) == {None}
        await other.claim(claim_of("c"), "nothing")
        assert await heard(bells, until="c") == {"c"}


async def test_a_cancelled_wait_loses_no_name(path: Path) -> None:
    async with SQLiteStore(path, poll=NEVER) as store, store.bells() as bells:
        with pytest.raises(TimeoutError), fail_after(0.001):
            await anext(bells)
        await store.claim(claim_of(), "nothing")
        assert await heard(bells, until="a") == {"a"}
