"""The file is set back, is full, or is locked; and then all is well again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from ._follower import Follower
from ._history import check_all, check_one
from ._workers import PAGES, Pair, eventually, file_of, pause

# For streams whose producer is to be missed soon.
LEASE = 0.6

TABLES = ("stream", "batch", "gone")


@contextmanager
def copy_of(path: Path) -> Iterator[sqlite3.Connection]:
    """Copy the file as it is now, as a backup does."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        with file_of(path) as sql:
            sql.backup(copy)
        yield copy


def restore(path: Path, copy: sqlite3.Connection) -> int:
    """Set the file back, all at once; return how many events it has forgotten."""
    with file_of(path) as sql:
        sql.execute("BEGIN IMMEDIATE")
        (tail,) = sql.execute("SELECT tail FROM stream").fetchone()
        for table in TABLES:
            sql.execute(f"DELETE FROM {table}")
            rows = copy.execute(f"SELECT * FROM {table}").fetchall()
            columns = len(copy.execute(f"SELECT * FROM {table} LIMIT 0").description)
            marks = ", ".join("?" * columns)
            sql.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        (back,) = sql.execute("SELECT tail FROM stream").fetchone()
        sql.execute("COMMIT")
    forgotten: int = tail - back
    return forgotten


def test_a_living_producer_writes_again_what_a_restored_file_has_lost(
    pair: Pair, draw: Random
) -> None:
    total, rate = 200, draw.choice([150, 300])
    pair.one.begin("a", total=total, rate=rate, size=draw.randint(0, 500))
    followers = [Follower("a", [worker]) for worker in (*pair.both, pair.other)]
    pair.one.wait_for("a", draw.randint(1, total // 2))
    with copy_of(pair.path) as copy:
        tail = followers[1].sight.seq
        assert eventually(lambda: followers[1].sight.seq >= tail + 10)

        assert restore(pair.path, copy) > 0

    sights = [follower.done() for follower in followers]
    late = Follower("a", [pair.other]).done()
    check_all([*sights, late], last="end")
    assert late.seq == total + 1
    assert "that it had acknowledged" in pair.one.log()


def test_after_a_restore_without_the_producer_who_saw_lost_events_is_told(
    pair: Pair, draw: Random
) -> None:
    pair.one.begin("a", rate=draw.choice([100, 300]), lease=LEASE)
    behind = Follower("a", [pair.other], until=draw.randint(1, 5))
    behind.done()
    ahead, at_work = Follower("a", [pair.other]), Follower("a", [pair.one, pair.other])
    pair.one.wait_for("a", draw.randint(10, 30))
    with copy_of(pair.path) as copy:
        (tail,) = copy.execute("SELECT tail FROM stream").fetchone()
        assert eventually(lambda: min(ahead.sight.seq, at_work.sight.seq) >= tail + 10)

        pair.one.kill()
        assert restore(pair.path, copy) > 0

    # Until then the other worker goes by what it has seen itself.
    assert eventually(lambda: pair.other.status("a")["state"] == "orphaned")
    back = Follower("a", [pair.other], back=behind)
    check_one(back.done(), last="orphaned", resets=0)
    sights = [ahead.done(), at_work.done(), Follower("a", [pair.other]).done()]
    # Who comes back before the orphan is noticed is told so at once, gets what the other worker
    # has at hand, and is told again.
    check_all([*sights, back.sight], last="orphaned", resets=2)
    assert len(ahead.sight.of("reset")) == 1
    assert at_work.sight.of("reset")
    assert not sights[-1].of("reset")
    assert {sight.seq for sight in sights} == {tail + 1}


@contextmanager
def nearly_full(path: Path, room: int) -> Iterator[None]:
    """Leave so many bytes of the file to the workers while the block lasts."""
    with file_of(path) as sql:
        sql.execute(f"PRAGMA max_page_count = {PAGES}")
        # What the streams of other tests had goes with the next sweep, and would make room.
        assert eventually(lambda: sql.execute("SELECT count(*) FROM batch").fetchone() == (0,))
        sql.execute("CREATE TABLE ballast (bytes BLOB)")
        try:
            sql.execute("INSERT INTO ballast VALUES (zeroblob(?))", (room,))
            for size in (1 << 20, 1 << 15, 3000):
                with pytest.raises(sqlite3.OperationalError, match="full"):
                    while True:
                        sql.execute("INSERT INTO ballast VALUES (zeroblob(?))", (size,))
            sql.execute("DELETE FROM ballast WHERE rowid = 1")
            yield
        finally:
            sql.execute("DROP TABLE ballast")


@pytest.mark.parametrize(
    ("lease", "hold"),
    [
        pytest.param(10.0, 0.4, id="for less than the lease"),
        pytest.param(LEASE, 3 * LEASE, id="for longer than the lease"),
    ],
)
def test_a_stream_waits_while_the_disk_is_full_and_loses_nothing(
    pair: Pair, draw: Random, lease: float, hold: float
) -> None:
    total, size = 200, draw.randint(2000, 5000)  # 400 KB at least
    logged = len(pair.one.log())
    with nearly_full(pair.path, draw.randint(50_000, 200_000)):
        pair.one.begin("a", total=total, rate=300, size=size, lease=lease)
        followers = [Follower("a", [worker]) for worker in pair.both]
        assert eventually(lambda: "waits for its store" in pair.one.log()[logged:])
        pause(hold)

    sights = [follower.done() for follower in followers]
    check_all(sights, last="end")
    assert sights[0].seq == total + 1
    assert "has its store back" in pair.one.log()[logged:]


def test_a_file_that_was_locked_for_longer_than_the_lease_costs_no_stream(
    pair: Pair, draw: Random
) -> None:
    total = 100
    pair.one.begin("a", total=total, rate=100, lease=LEASE)
    followers = [Follower("a", [worker]) for worker in pair.both]
    pair.one.wait_for("a", draw.randint(1, total // 2))

    with file_of(pair.path) as sql:
        sql.execute("BEGIN IMMEDIATE")
        pause(2 * LEASE)
        sql.execute("ROLLBACK")

    check_all([follower.done() for follower in followers], last="end")
    assert followers[0].sight.seq == total + 1
