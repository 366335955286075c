"""What goes wrong with the file is a store that is away, and nothing is lost or half done."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from streamkit import Head
from streamkit._store.verdict import Lost, verdict
from streamkit.errors import StoreAway
from streamkit.sinks.sqlite import SQLiteStore
from streamkit.sinks.sqlite import _threads as threads
from streamkit.sinks.sqlite._log import Changes

from ..makers import claim_of
from .files import held_writer, sql


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be a process that stopped inside its transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def test_who_stops_inside_a_transaction_does_not_keep_others_waiting_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.02)
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        with locked(path):
            with pytest.raises(StoreAway) as caught:
                await store.append(claim_of(), 0, [b"1"])
            assert "database is locked" in caught.value.why
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
            page = await store.read("a", 0, 1)  # who reads is not kept waiting
            assert page is not None
        head = await store.append(claim_of(), 0, [b"1"])
        assert head is not None
        assert head.tail == 1


async def test_it_waits_for_another_process_that_writes(path: Path) -> None:
    async with SQLiteStore(path) as store, create_task_group() as tasks:
        with locked(path):
            tasks.start_soon(store.claim, claim_of(), "nothing")
            await wait_all_tasks_blocked()
        head = await store.cancel("a", "stop")  # it comes after the claim
        assert head is not None
        assert head.cancel == "stop"


async def test_after_a_full_disk_the_same_append_works(path: Path) -> None:
    async with SQLiteStore(path, max_page_count=60) as store:
        large = [b"x" * 1000 for _ in range(100)]
        for name in "ab":
            await store.claim(claim_of(name), "nothing")
        await store.append(claim_of("a"), 0, large)
        results: list[Head | None] = []

        async def append() -> None:
            with pytest.raises(StoreAway) as caught:
                await store.append(claim_of("b"), 0, [*large, *large], close="done")
            assert "database or disk is full" in caught.value.why

        async def renew() -> None:
            results.append(await store.append(claim_of("a"), 100, []))

        async with create_task_group() as tasks, held_writer(store):
            tasks.start_soon(append)
            tasks.start_soon(renew)
            await wait_all_tasks_blocked()
        assert [head.tail for head in results if head] == [100]
        page = await store.read("b", 0, 1)
        assert page is not None
        assert (page.head.tail, page.head.state, page.events) == (0, "open", [])
        await store.delete("a")
        await store.sweep()
        head = await store.append(claim_of("b"), 0, [*large, *large], close="done")
        assert head is not None
        assert (head.tail, head.state) == (200, "done")
        assert sql(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
async def test_a_file_that_is_not_there_any_more_is_noticed(path: Path, how: str) -> None:
    other = path.with_name("other.db")
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        if how == "replaced":
            shutil.copyfile(path, other)
            os.replace(other, path)
        elif how == "moved":
            os.rename(path, other)
        else:
            path.unlink()
        for call in (store.read("a", 0, 0), store.cancel("a", "stop")):
            with pytest.raises(StoreAway) as caught:
                await call
            assert "moved, removed or replaced" in caught.value.why
        if how == "moved":
            os.rename(other, path)
            assert await store.read("a", 0, 0) is not None


async def test_an_older_copy_takes_its_place_while_it_is_closed(path: Path) -> None:
    copy = path.with_name("copy.db")
    store, claim = SQLiteStore(path), claim_of(lease=0)
    async with store:
        await store.claim(claim, "nothing")
        await store.append(claim, 0, [b"1"])
    shutil.copyfile(path, copy)
    async with store:
        newer = claim_of(epoch=2, token="token2")
        await store.claim(newer, "lapsed")
        await store.append(newer, 1, [b"2", b"3"])
    os.replace(copy, path)
    async with store:
        head = await store.append(newer, 3, [b"4"])
        assert verdict(newer, head, 3) is Lost.ROLLED_BACK
        again = claim_of(epoch=3, token="token2")
        await store.claim(again, "lapsed")
        head = await store.append(again, 1, [b"2", b"3", b"4"])
        assert head is not None
        assert (head.tail, head.claims) == (4, (("token1", 1), ("token2", 2)))
        page = await store.read("a", 0, 9)
        assert page is not None
        assert page.events == [b"1", b"2", b"3", b"4"]


async def test_batches_that_are_lost_below_the_tail_are_appended_again(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        for tail in (0, 2, 4):
            await store.append(claim_of(), tail, [b"%d" % (tail + 1), b"%d" % (tail + 2)])
        sql(path, "DELETE FROM batch WHERE last > 2")
        sql(path, "UPDATE stream SET tail = 2")
        head = await store.append(claim_of(), 6, [b"7"])
        assert verdict(claim_of(), head, 6) == -4
        await store.append(claim_of(), 2, [b"3", b"4", b"5", b"6", b"7"])
        page = await store.read("a", 0, 9)
        assert page is not None
        assert page.events == [b"%d" % number for number in range(1, 8)]


async def test_what_cannot_be_stored_is_the_callers_affair_alone(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        with pytest.raises(UnicodeEncodeError):
            await store.cancel("a", "\ud800")
        with pytest.raises(sqlite3.ProgrammingError):
            await store.cancel("a", object())  # type: ignore[arg-type]  # that is the mistake
        head = await store.cancel("a", "stop")
        assert head is not None
        assert head.cancel == "stop"


async def test_a_connection_that_cannot_even_undo_is_opened_again(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        with pytest.raises(sqlite3.ProgrammingError):
            await store._writer.call(lambda changes: changes._sql.close())
        assert await store.read("a", 0, 0) is not None
        head = await store.cancel("a", "stop")
        assert head is not None
        assert head.cancel == "stop"


async def test_a_snapshot_that_sqlite_has_given_up_fails_nobody(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store._reader.call(lambda reader: reader.execute("ROLLBACK"))
        assert await store.names() == []


async def test_a_transaction_that_sqlite_has_undone_by_itself_is_not_undone_twice(
    path: Path,
) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")

        def fail(changes: Changes) -> None:
            changes.cancel("a", "stop")
            changes._sql.execute("ROLLBACK")
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            await store._writer.call(fail)
        page = await store.read("a", 0, 0)
        assert page is not None
        assert page.head.cancel is None
