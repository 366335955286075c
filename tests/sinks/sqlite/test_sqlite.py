"""`SQLiteStore` keeps every rule of a store; how it opens its file, and closes it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from streamkit import Store
from streamkit.errors import StoreAway, UnusableFile, UsageError
from streamkit.sinks.sqlite import SQLiteStore
from streamkit.sinks.sqlite import _file as file
from streamkit.sinks.sqlite._file import Link
from streamkit.testing import check_store

from ..makers import claim_of
from .files import sql, store_threads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


@pytest.mark.slow  # it opens a file for each rule and each round, and makes some 2000 calls
async def test_it_keeps_every_rule(tmp_path: Path) -> None:
    @asynccontextmanager
    async def make() -> AsyncIterator[Store]:
        with TemporaryDirectory(dir=tmp_path) as folder:
            async with SQLiteStore(Path(folder, "streams.db")) as store:
                yield store

    await check_store(make, rounds=20)


# What it does with its file.


async def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path) -> None:
    lines = [b'{"data":"\xc3\xa4 \\ud800 \\n"}', b" { } ", b'"%b"' % (b"x" * 100_000)]
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        head = await store.append(claim_of(), 0, lines, forget=2)
        await store.cancel("a", "stop it")
        await store.claim(claim_of("b"), "nothing")
        ended = await store.append(claim_of("b"), 0, [], close="done")
    async with SQLiteStore(path) as store:
        page = await store.read("a", 0, 10)
        assert page is not None
        assert head is not None
        assert page.head == replace(head, cancel="stop it")
        assert page.events == lines[1:]
        assert await store.names(after="a") == [("b", ended)]
        again = await store.append(claim_of(), 3, [b"4"])
        assert again is not None
        assert again.tail == 4


@pytest.mark.parametrize("name", ["a b.db", "a?mode=memory&x#y.db", "100%41.db", "näher.db"])
async def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    async with SQLiteStore(tmp_path / name) as store:
        await store.claim(claim_of(), "nothing")
        assert name in os.listdir(tmp_path)
    assert os.listdir(tmp_path) == [name]


async def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("streams.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    async with store:
        assert (tmp_path / "streams.db").exists()


@pytest.mark.parametrize("path", [":memory:", "", "file:streams.db"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UnusableFile, match="use MemoryStore"):
        SQLiteStore(path)


def test_an_unknown_durability_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="'full' or 'normal', not 'off'"):
        SQLiteStore(path, synchronous="off")  # type: ignore[arg-type]  # that is the mistake


async def test_a_file_of_a_later_release_is_refused_and_not_touched(path: Path) -> None:
    sql(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(UnusableFile, match="version 2, which is newer"):
            async with SQLiteStore(path):
                pass
    assert path.read_bytes() == before
    assert not store_threads()


async def test_a_file_with_other_tables_is_refused_and_not_touched(path: Path) -> None:
    sql(path, "CREATE TABLE customers (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(UnusableFile, match="has other tables"):
        await SQLiteStore(path).__aenter__()
    assert path.read_bytes() == before
    assert not store_threads()


async def test_what_is_no_database_or_has_no_folder_is_a_store_that_is_away(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    for wrong, why in ((path, "not a database"), (path / "x" / "y.db", "unable to open")):
        with pytest.raises(StoreAway) as caught:
            await SQLiteStore(wrong).__aenter__()
        assert why in caught.value.why
    assert not store_threads()


async def test_another_process_may_make_the_tables_at_the_same_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patiently = file.patiently

    def be_late(connection: Connection, statement: str, deadline: float) -> None:
        if statement == "BEGIN IMMEDIATE":
            monkeypatch.undo()
            for made in file.SCHEMA.split(";\n"):
                sql(path, made)
        patiently(connection, statement, deadline)

    monkeypatch.setattr(file, "patiently", be_late)
    async with SQLiteStore(path) as store:
        assert await store.claim(claim_of(), "nothing") is not None


@pytest.mark.parametrize(("synchronous", "number"), [("full", 2), ("normal", 1)])
async def test_every_connection_is_as_durable_as_was_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: Any, number: int
) -> None:
    found: dict[str, tuple[object, ...]] = {}
    opened = Link.open

    def spy(link: Link) -> object:
        connection = opened(link)
        found[threading.current_thread().name] = tuple(
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "journal_mode", "fullfsync")
        )
        return connection

    monkeypatch.setattr(Link, "open", spy)
    async with SQLiteStore(path, synchronous=synchronous) as store, store.bells():
        await store.read("a", 0, 1)
    names = {f"streamkit-sqlite-{name}" for name in ("writer", "reader", "bells")}
    assert found == dict.fromkeys(names, (number, "wal", 1))


# How it is opened and closed.


async def test_closing_leaves_no_thread_and_nothing_open(path: Path) -> None:
    async with SQLiteStore(path) as store, store.bells():
        await store.claim(claim_of(), "nothing")
        await store.read("a", 0, 1)
        assert len(store_threads()) == 3
        assert not sys.platform.startswith("linux") or open_files(path)
    assert not store_threads()
    assert not open_files(path)
    assert os.listdir(path.parent) == [path.name]  # its log was moved into the file


def open_files(path: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(link)
        except OSError:  # the one that lists them
            continue
        if target.startswith(str(path)):
            found.append(target)
    return found


async def test_without_being_entered_it_opens_with_the_first_call(path: Path) -> None:
    store = SQLiteStore(path)
    assert not path.exists()
    assert await store.names() == []
    assert path.exists()
    await store.aclose()
    assert not store_threads()


async def test_it_is_closed_by_the_last_who_leaves_and_may_be_opened_again(path: Path) -> None:
    store = SQLiteStore(path)
    async with store:
        async with store:
            await store.claim(claim_of(), "nothing")
        assert await store.read("a", 0, 0) is not None
    for call in (store.names(), store.delete("a"), store.bells().__aenter__()):
        with pytest.raises(StoreAway) as caught:
            await call
        assert caught.value.why == "it was closed"
    assert not store_threads()
    async with store:
        assert await store.read("a", 0, 0) is not None
