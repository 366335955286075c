"""The threads of `SQLiteStore`: one writes, one reads, one polls for changes of other processes.

Each thread has its own connection, which it opens when it first needs it, and closes at its end.
"""

from __future__ import annotations

__all__ = ("Poller", "Reader", "Writer")

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from ..._store.bells import Listeners
from ..._store.worker import Asked
from ._file import PATIENCE, Link, SQLiteFile, as_store_error, patiently, scalar
from ._log import TOP, Changes

# Everything that changed since a number.
_CHANGED = (
    "SELECT rung, name, ringer FROM stream WHERE rung > :seen"
    " UNION ALL SELECT rung, name, ringer FROM gone WHERE rung > :seen ORDER BY rung"
)


class _Thread:
    def __init__(self, link: Link) -> None:
        self._link = link

    def idle(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


class Writer(_Thread):
    """Run each group in one transaction."""

    def __init__(self, file: SQLiteFile, ringer: str, listeners: Listeners) -> None:
        super().__init__(Link(file, "PRAGMA busy_timeout = 0"))  # `patiently` does the waiting
        self._ringer, self._listeners = ringer, listeners

    def serve(self, calls: Sequence[Asked[Changes]]) -> None:
        self._commit(calls, monotonic() + PATIENCE)

    def _commit(self, calls: Sequence[Asked[Changes]], deadline: float) -> None:
        try:
            sql = self._link.open()
            patiently(sql, "BEGIN IMMEDIATE", deadline)
        except Exception as error:  # noqa: BLE001 - it is raised where the calls were made
            _fail(calls, error)
            return
        try:
            changes = Changes(sql, self._ringer)
            for asked in calls:
                asked.run(changes)
            sql.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - as above
            self._undo(sql)
            if len(calls) == 1:
                _fail(calls, error)
                return
            half = len(calls) // 2  # a failed call must not fail the others: find out which it is
            self._commit(calls[:half], deadline)
            self._commit(calls[half:], deadline)
        else:
            if changes.names:
                self._listeners.ring(changes.names)

    def _undo(self, sql: sqlite3.Connection) -> None:
        try:
            if sql.in_transaction:  # after some errors SQLite has already rolled back
                sql.execute("ROLLBACK")
        except sqlite3.Error:
            self._link.close()  # the next group opens it again


class Reader(_Thread):
    """Run each group in one snapshot."""

    def __init__(self, file: SQLiteFile) -> None:
        super().__init__(Link(file))

    def serve(self, calls: Sequence[Asked[sqlite3.Connection]]) -> None:
        try:
            sql = self._link.open()
            sql.execute("BEGIN")
        except Exception as error:  # noqa: BLE001 - it is raised where the calls were made
            _fail(calls, error)
            return
        for asked in calls:
            try:
                asked.run(sql)
            except Exception as error:  # noqa: BLE001 - as above
                _fail([asked], error)
        if sql.in_transaction:
            with suppress(sqlite3.Error):  # it only has reads, so there is nothing to lose
                sql.execute("COMMIT")


class Poller(_Thread):
    """Poll for changes of other processes, and ring for them."""

    def __init__(self, file: SQLiteFile, ringer: str, listeners: Listeners) -> None:
        super().__init__(Link(file))
        self._ringer, self._listeners = ringer, listeners
        self._version, self._seen = -1, -1
        self._missed = False

    def serve(self, calls: Sequence[Asked[None]]) -> None:
        self.idle()
        for asked in calls:
            asked.run(None)

    def idle(self) -> None:
        try:
            names = self._changed()
        except Exception:  # noqa: BLE001 - reads raise it too; the missed bells are rung later
            self._missed = True
            return
        if names:
            self._listeners.ring(names)

    def _changed(self) -> list[str | None]:
        sql = self._link.open()
        version = scalar(sql, "PRAGMA data_version")
        if version == self._version and not self._missed:
            return []
        names: list[str | None] = []
        top = scalar(sql, TOP)
        if self._missed or top < self._seen:  # `top` goes back if an older state was restored
            names, self._seen = [None], top
        elif self._seen < 0:  # the first poll: earlier changes do not matter
            self._seen = top
        else:
            names = self._rung_by_others(sql)
        self._version, self._missed = version, False
        return names

    def _rung_by_others(self, sql: sqlite3.Connection) -> list[str | None]:
        rows = sql.execute(_CHANGED, {"seen": self._seen}).fetchall()
        if rows:
            self._seen = rows[-1][0]
        # The writer of this process rings for its own changes, at once.
        return [name for _, name, ringer in rows if ringer != self._ringer]


def _fail(calls: Sequence[Asked[Any]], error: Exception) -> None:
    for asked in calls:
        asked.fail(as_store_error(error))
