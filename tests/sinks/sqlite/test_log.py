"""How `SQLiteStore` groups what is asked for, and how it keeps, gives and removes events."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio import create_task_group, move_on_after, wait_all_tasks_blocked

from streamkit import Head
from streamkit.sinks.sqlite import SQLiteStore
from streamkit.sinks.sqlite import _log as sqlite_log
from streamkit.sinks.sqlite._log import TOP, Changes

from ..makers import claim_of
from .files import held_writer, sql

LINES = [b'{"data":%d}' % number for number in range(1, 11)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


async def statements(store: SQLiteStore) -> list[str]:
    """Return what the writer executes from here on."""
    log: list[str] = []
    await store._writer.call(lambda changes: changes._sql.set_trace_callback(log.append))
    return log


async def test_calls_that_gather_share_one_commit(path: Path) -> None:
    async with SQLiteStore(path) as store:
        claims = [claim_of(f"n{number}") for number in range(50)]
        log = await statements(store)
        async with held_writer(store), create_task_group() as tasks:
            for claim in claims:
                tasks.start_soon(store.claim, claim, "nothing")
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()  # who asked has left; it is done all the same
        await store.sweep()
        log.clear()
        heads: list[Head | None] = []

        async def append(number: int) -> None:
            heads.append(await store.append(claims[number], 0, LINES[: number % 10]))

        async with create_task_group() as tasks, held_writer(store):
            for number in range(50):
                tasks.start_soon(append, number)
            await wait_all_tasks_blocked()
        assert sorted(head.tail for head in heads if head) == sorted(n % 10 for n in range(50))
        assert log.count("COMMIT") == 2  # one is of the call that held the writer
        assert log.count("BEGIN IMMEDIATE") == 2


async def test_a_call_that_fails_does_not_take_its_group_along(path: Path) -> None:
    results: dict[int, Head | Exception | None] = {}
    async with SQLiteStore(path) as store:

        async def claim(number: int, epoch: int) -> None:
            try:
                results[number] = await store.claim(claim_of(f"n{number}", epoch=epoch), "nothing")
            except OverflowError as error:
                results[number] = error

        async with create_task_group() as tasks, held_writer(store):
            for number in range(20):
                tasks.start_soon(claim, number, 1 << 70 if number % 7 == 3 else 1)
            await wait_all_tasks_blocked()
        failed = {number for number, result in results.items() if isinstance(result, Exception)}
        assert failed == {3, 10, 17}
        assert len(await store.names()) == 17


async def test_a_cancelled_call_is_applied_as_a_whole(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        async with held_writer(store):
            with move_on_after(0.001) as scope:
                await store.append(claim_of(), 0, LINES, close="done", forget=3)
        assert scope.cancelled_caught
        page = await store.read("a", 0, 100)
        while page is not None and page.head.tail == 0:
            page = await store.read("a", 0, 100)
        assert page is not None
        assert (page.head.state, page.head.first, page.events) == ("done", 3, LINES[2:])


async def test_a_page_begins_and_ends_anywhere_in_a_batch(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        for first, last in ((0, 4), (4, 5), (5, 10)):
            await store.append(claim_of(), first, LINES[first:last])
        for after in range(12):
            for limit in range(12):
                page = await store.read("a", after, limit)
                assert page is not None
                assert page.events == LINES[after : after + limit]


async def test_a_page_does_not_read_what_it_does_not_hold(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        for tail in (0, 5):
            await store.append(claim_of(), tail, LINES[tail : tail + 5])
        sql(path, "UPDATE batch SET events = 17 WHERE last = 10")  # whoever reads it, fails
        page = await store.read("a", 0, 5)
        assert page is not None
        assert page.events == LINES[:5]
        with pytest.raises(AttributeError):
            await store.read("a", 0, 6)


async def test_a_page_of_large_batches_is_short(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "PAGE_BYTES", 100)
    lines = [b"x" * 60 for _ in range(9)]
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        for tail in range(9):
            await store.append(claim_of(), tail, lines[tail : tail + 1])
        after, sizes = 0, []
        while (page := await store.read("a", after, 100)) and page.events:
            sizes.append(len(page.events))
            after += len(page.events)
        assert sizes == [2, 2, 2, 2, 1]


async def test_forgetting_removes_the_batches_that_are_wholly_below(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        await store.claim(claim_of("b"), "nothing")
        await store.append(claim_of("b"), 0, LINES[:2])
        for tail in (0, 5):
            await store.append(claim_of(), tail, LINES[tail : tail + 5])
        for forget, first, batches in ((3, 3, 3), (5, 5, 3), (6, 6, 2), (2, 6, 2), (99, 11, 1)):
            head = await store.append(claim_of(), 10, [], forget=forget)
            assert head is not None
            assert head.first == first
            page = await store.read("a", 0, 100)
            assert page is not None
            assert page.events == LINES[first - 1 :]
            assert sql(path, "SELECT count(*) FROM batch") == [(batches,)]


async def test_what_was_removed_is_gone_at_once_and_its_bytes_with_the_sweep(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changes, "slice", 3)
    monkeypatch.setattr(Changes, "give_back", 2)
    async with SQLiteStore(path) as store:
        for name in "abcdefgh":
            claim = claim_of(name, keep=0 if name < "f" else None)
            await store.claim(claim, "nothing")
            for tail in range(4):
                await store.append(claim, tail, [b"x" * 5000], close="done" if tail == 3 else None)
        await store.delete("g")
        await store.claim(claim_of("h", life="life2"), "anything")
        page = await store.read("h", 0, 10)
        assert page is not None
        assert page.events == []
        pages = sql(path, "PRAGMA page_count")[0][0]
        log = await statements(store)
        assert await store.sweep() == []
        assert log.count("COMMIT") > 10  # others may come in between
        assert [name for name, _ in await store.names()] == ["f", "h"]
        assert sql(path, "SELECT DISTINCT name FROM batch JOIN stream ON stream = id") == [("f",)]
        assert sql(path, "SELECT count(*) FROM batch") == [(4,)]
        assert sql(path, "SELECT DISTINCT id FROM gone") == [(None,)]
        assert sql(path, "PRAGMA page_count")[0][0] < pages / 2


async def test_the_number_of_a_change_is_never_given_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changes, "gone_seconds", -1)
    tops = []
    async with SQLiteStore(path) as store:
        for _ in range(3):
            await store.claim(claim_of(), "nothing")
            tops += sql(path, TOP)
            await store.delete("a")
            await store.sweep()
            tops += sql(path, TOP)
    assert tops == sorted(set(tops))
    assert len(sql(path, "SELECT * FROM gone")) == 1


async def test_nothing_is_written_when_nothing_changes(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim(claim_of(), "nothing")
        log = Path(f"{path}-wal")
        before = log.read_bytes()
        await store.sweep()
        await store.claim(claim_of(), "nothing")
        await store.append(claim_of(epoch=2), 0, [b"1"])
        await store.delete("b")
        assert log.read_bytes() == before


async def test_names_are_found_by_their_index(path: Path) -> None:
    async with SQLiteStore(path) as store:
        names = [*"aAbB", "a_b", "a%b", "axb", "a~"]
        for name in names:
            await store.claim(claim_of(name), "nothing")
        for prefix in ("", "a", "a_", "a%", "a~", "c"):
            found = [name for name, _ in await store.names(prefix)]
            assert found == sorted(name for name in names if name.startswith(prefix))
        assert await store.names(limit=0) == [] == await store.names("a", limit=-1)
        where = "name > '' AND name >= 'a' AND name < 'b' ORDER BY name LIMIT 9"
        plan = sql(path, f"EXPLAIN QUERY PLAN SELECT * FROM stream WHERE {where}")
        assert [row[-1] for row in plan] == [
            "SEARCH stream USING INDEX sqlite_autoindex_stream_1 (name>? AND name<?)"
        ]
