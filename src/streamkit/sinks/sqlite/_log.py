"""The log of each stream in the tables of `SQLiteStore`: how to change it, and how to read it.

Rule: no function here begins or ends a transaction, or waits. So any number of calls can share one.
"""

from __future__ import annotations

__all__ = ("TOP", "Changes", "Row", "head_of", "list_streams", "read_page")

import json
import sqlite3
from time import time
from typing import Any, TypeAlias

from ..._store.contract import CLAIMS_KEPT, PAGE_BYTES, Claim, Head, Over
from ..._store.lifecycle import Ended
from ._file import scalar

Row: TypeAlias = tuple[Any, ...]

_HEAD = "life, epoch, claims, first, tail, state, cancel, started, ended, expires"

# The number of the newest change. If its stream is removed, `gone` has a newer number, and the
# newest row of `gone` is kept. So no number is used twice.
TOP = (
    "SELECT max(ifnull((SELECT max(rung) FROM stream), 0), ifnull((SELECT max(rung) FROM gone), 0))"
)

# The oldest removed streams whose batches still exist.
_REMOVED = "(SELECT id FROM gone WHERE id IS NOT NULL ORDER BY id LIMIT :slice)"
_BATCHES = f"(SELECT rowid FROM batch WHERE stream IN {_REMOVED} LIMIT :slice)"  # noqa: S608
_REMOVE_BATCHES = f"DELETE FROM batch WHERE rowid IN {_BATCHES}"  # noqa: S608
_NONE_LEFT = f"UPDATE gone SET id = NULL WHERE id IN {_REMOVED}"  # noqa: S608


class Changes:
    """The changes of one transaction, all at one time, and the names of the streams to ring for."""

    # How many streams, and how many batches, one transaction removes: 5 ms for large batches.
    slice = 32

    # For how many seconds removed streams are remembered; a later bell is of no use.
    gone_seconds = 10.0

    # If more than a quarter of the file is free, how many pages of 4 KiB are given back in one
    # transaction: 5 ms for this many.
    give_back = 500

    def __init__(self, sql: sqlite3.Connection, ringer: str) -> None:
        """`ringer` identifies the store that makes the changes, so that its poller ignores them."""
        self._sql, self._ringer = sql, ringer
        self._now, self._top = time(), scalar(sql, TOP)
        self.names: list[str | None] = []

    def claim(self, claim: Claim, over: Over) -> Row | None:
        """Begin a life, take one over, or do nothing."""
        row = self._row(claim.name)
        if over == "lapsed":
            if row is not None:
                self._take_over(claim, row)
        elif row is None or (over == "anything" and row[0] != claim.life):
            self.remove(claim.name)
            self._begin(claim)
        return self._row(claim.name)

    def append(
        self,
        claim: Claim,
        expected: int,
        tail: int,
        events: bytes,
        *,
        close: Ended | None,
        forget: int,
    ) -> Row | None:
        """Add the events up to `tail`, if `expected` is the tail and the claim is the newest."""
        name, rings = claim.name, tail > expected or close is not None
        rung, ringer = (self._top + 1, self._ringer) if rings else (None, None)
        lease = self._now + claim.lease
        done = self._sql.execute(
            "UPDATE stream SET tail = ?, first = max(first, ?), lease = ?,"
            " rung = ifnull(?, rung), ringer = ifnull(?, ringer)"
            " WHERE name = ? AND life = ? AND epoch = ? AND tail = ? AND state = 'open'",
            (tail, forget, lease, rung, ringer, name, claim.life, claim.epoch, expected),
        )
        if done.rowcount:
            if rings:
                self._ring(name)
            if tail > expected:
                self._sql.execute(
                    "INSERT INTO batch (stream, last, events)"
                    " SELECT id, tail, ? FROM stream WHERE name = ?",
                    (events, name),
                )
            if forget > 1:
                self._sql.execute(
                    "DELETE FROM batch WHERE last < ?"
                    " AND stream = (SELECT id FROM stream WHERE name = ?)",
                    (forget, name),
                )
            if close is not None:
                self._sql.execute(
                    "UPDATE stream SET state = ?, ended = ?, expires = ? + keep WHERE name = ?",
                    (close, self._now, self._now, name),
                )
        return self._row(name)

    def cancel(self, name: str, reason: str) -> Row | None:
        """Note a request to cancel, unless there is one."""
        done = self._sql.execute(
            "UPDATE stream SET cancel = ?, rung = ?, ringer = ?"
            " WHERE name = ? AND state = 'open' AND cancel IS NULL",
            (reason, self._top + 1, self._ringer, name),
        )
        if done.rowcount:
            self._ring(name)
        return self._row(name)

    def remove(self, name: str) -> None:
        """Remove a stream, if there is one; `tidy` removes its batches."""
        done = self._sql.execute(
            "INSERT INTO gone (rung, id, name, ringer, since)"
            " SELECT ?, id, name, ?, ? FROM stream WHERE name = ?",
            (self._top + 1, self._ringer, self._now, name),
        )
        if done.rowcount:
            self._sql.execute("DELETE FROM stream WHERE name = ?", (name,))
            self._ring(name)

    def tidy(self) -> bool:
        """Remove a slice of what is no longer kept; return whether there was anything to remove."""
        query = "SELECT name FROM stream WHERE expires <= ? LIMIT ?"
        expired = self._sql.execute(query, (self._now, self.slice)).fetchall()
        for (name,) in expired:
            self.remove(name)
        if expired or self._remove_batches():
            return True
        self._sql.execute(
            "DELETE FROM gone WHERE since < ? AND rung < (SELECT max(rung) FROM gone)",
            (self._now - self.gone_seconds,),
        )
        return self._give_back()

    def _begin(self, claim: Claim) -> None:
        who = (claim.name, claim.life, claim.epoch, json.dumps([(claim.token, 1)]))
        new = self._top + 1
        self._sql.execute(
            "INSERT INTO stream (name, life, epoch, claims, first, tail, state, started, lease,"
            " keep, id, rung, ringer)"
            " VALUES (?, ?, ?, ?, 1, 0, 'open', ?, ?, ?, ?, ?, ?)",
            (*who, self._now, self._now + claim.lease, claim.keep, new, new, self._ringer),
        )
        self._ring(claim.name)

    def _take_over(self, claim: Claim, row: Row) -> None:
        claims = json.loads(row[2])
        if claims[-1][0] != claim.token:  # the same token claims again after the file lost its tail
            claims = [*claims, (claim.token, row[4] + 1)][-CLAIMS_KEPT:]
        lease = self._now + claim.lease
        done = self._sql.execute(
            "UPDATE stream SET epoch = ?, claims = ?, lease = ?, rung = ?, ringer = ?"
            " WHERE name = ? AND life = ? AND epoch < ? AND lease <= ? AND state = 'open'",
            (
                *(claim.epoch, json.dumps(claims), lease, self._top + 1, self._ringer),
                *(claim.name, claim.life, claim.epoch, self._now),
            ),
        )
        if done.rowcount:
            self._ring(claim.name)

    def _remove_batches(self) -> bool:
        values = {"slice": self.slice}
        if self._sql.execute(_REMOVE_BATCHES, values).rowcount == self.slice:
            return True
        # These streams have no batches left, so do not look for them again.
        return self._sql.execute(_NONE_LEFT, values).rowcount > 0

    def _give_back(self) -> bool:
        free = scalar(self._sql, "PRAGMA freelist_count")
        if free < self.give_back or free * 4 < scalar(self._sql, "PRAGMA page_count"):
            return False
        for _ in range(self.give_back):  # the driver frees one page, however many are requested
            self._sql.execute("PRAGMA incremental_vacuum(1)")
        return True

    def _row(self, name: str) -> Row | None:
        query = f"SELECT {_HEAD} FROM stream WHERE name = ?"  # noqa: S608 - the columns above
        row: Row | None = self._sql.execute(query, (name,)).fetchone()
        return row

    def _ring(self, name: str) -> None:
        self._top += 1
        self.names.append(name)


def read_page(
    sql: sqlite3.Connection, name: str, after: int, limit: int
) -> tuple[Row | None, list[bytes]]:
    """Return the row of a stream and up to `limit` of its events, or fewer if they are large."""
    query = f"SELECT {_HEAD}, id FROM stream WHERE name = ?"  # noqa: S608 - the columns above
    row: Row | None = sql.execute(query, (name,)).fetchone()
    events: list[bytes] = []
    if row is None or limit <= 0:
        return row, events
    seen, size = max(after, row[3] - 1), 0
    batches = sql.execute(
        "SELECT last, events FROM batch WHERE stream = ? AND last > ? ORDER BY last",
        (row[-1], seen),
    )
    for last, batch in batches:  # rows are read one by one, so unneeded batches are not read
        found = batch.split(b"\n")
        skip = seen - (last - len(found))  # above 0 when the first batch was seen in part
        events += found[max(0, skip) :]
        size += len(batch)
        if len(events) >= limit or size >= PAGE_BYTES:
            break
    batches.close()
    return row, events[:limit]


def list_streams(sql: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    """Return the rows of streams, each with its name at the end."""
    query = f"SELECT {_HEAD}, name FROM stream WHERE {where}"  # noqa: S608 - both from here
    return sql.execute(query, values).fetchall()


def head_of(row: Row | None) -> Head | None:
    """Make a head from a row. This runs in the event loop, to keep transactions short."""
    if row is None:
        return None
    claims = tuple((token, first) for token, first in json.loads(row[2]))
    return Head(row[0], row[1], claims, *row[3:10])
