"""The file of `SQLiteStore`: its tables, how it is opened, and what can be wrong with it."""

from __future__ import annotations

__all__ = ("PATIENCE", "Link", "SQLiteFile", "as_store_error", "patiently", "scalar")

import os
import sqlite3
from time import monotonic, sleep
from typing import Any, Literal

from ...errors import StoreAway, UnusableFile, UsageError

VERSION = 1

# `id` is the number of the change that began the life of a stream, `rung` that of its last one.
# These numbers only ever grow, over all streams. `gone` remembers what was removed: for the bells,
# and because the batches go in slices; 60 MB at once kept every writer waiting for 0.2 s.
#
# The batches of all streams are one table in the order in which they came. As a table WITHOUT
# ROWID, ordered by stream, a commit of two events for each of 50 streams took 2.8 times as long:
# each stream has its own page to write.
SCHEMA = f"""
CREATE TABLE stream (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, life TEXT NOT NULL, epoch INTEGER NOT NULL,
  claims TEXT NOT NULL, first INTEGER NOT NULL, tail INTEGER NOT NULL, state TEXT NOT NULL,
  cancel TEXT, started REAL NOT NULL, ended REAL, expires REAL, keep REAL, lease REAL NOT NULL,
  rung INTEGER NOT NULL, ringer TEXT NOT NULL
);
CREATE TABLE batch (stream INTEGER NOT NULL, last INTEGER NOT NULL, events BLOB NOT NULL);
CREATE TABLE gone (
  rung INTEGER PRIMARY KEY, id INTEGER, name TEXT NOT NULL, ringer TEXT NOT NULL,
  since REAL NOT NULL
);
CREATE UNIQUE INDEX batch_last ON batch (stream, last);
CREATE INDEX stream_rung ON stream (rung);
CREATE INDEX stream_lease ON stream (lease) WHERE state = 'open';
CREATE INDEX gone_id ON gone (id) WHERE id IS NOT NULL;
CREATE INDEX stream_expires ON stream (expires) WHERE expires IS NOT NULL;
PRAGMA user_version = {VERSION};
"""

_TABLES = "SELECT count(*) FROM sqlite_master"

# How long a call waits for the file while another process writes, and how often it asks. SQLite's
# own way to wait sleeps for longer each time, up to 0.1 s: with four processes that wrote all the
# time, one waited for 1.3 s for its turn, and so for 0.03 s.
PATIENCE = 5.0
PAUSE = 0.0005

# What the log of SQLite may keep of the disk after a burst.
LOG_BYTES = 64 << 20

# What the driver raises when it was called wrongly: to try again would not help.
MISTAKES = (
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
    sqlite3.ProgrammingError,
)


class SQLiteFile:
    """Where the file is, how each connection to it is set up, and which file it was."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        synchronous: Literal["full", "normal"],
        max_page_count: int | None,
    ) -> None:
        text = os.fspath(path)
        if text in ("", ":memory:") or text.startswith("file:"):
            raise UnusableFile(text, "is not the path of a file; without a file, use MemoryStore")
        if synchronous not in ("full", "normal"):
            raise UsageError(f"synchronous is 'full' or 'normal', not {synchronous!r}")
        self.path = os.path.abspath(text)
        self._place: tuple[int, int] | None = None
        self._settings = [
            f"PRAGMA synchronous = {synchronous}",
            "PRAGMA fullfsync = 1",  # on macOS a plain fsync does not reach the disk
            f"PRAGMA journal_size_limit = {LOG_BYTES}",
        ]
        if max_page_count is not None:
            self._settings.append(f"PRAGMA max_page_count = {max_page_count}")

    def connect(self) -> sqlite3.Connection:
        """Open a connection for this thread; make the tables if there are none."""
        self.check()
        sql = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            self._prepare(sql)
        except BaseException:
            sql.close()
            raise
        if self._place is None:
            self._place = _place(self.path)
        return sql

    def check(self) -> None:
        """Raise when the path leads to another file than before, or to none.

        SQLite does not notice, and would go on with a file that nobody sees any more. Nor is the
        new one opened: this process may still hold the log and the locks that belong to the old.
        """
        if self._place is not None and self._place != _place(self.path):
            raise sqlite3.OperationalError("the file was moved, removed or replaced while open")

    def forget(self) -> None:
        """Take whatever file is there next time. Only when no connection is open."""
        self._place = None

    def _prepare(self, sql: sqlite3.Connection) -> None:
        sql.execute("BEGIN")  # another process may make the tables between the two
        version, tables = scalar(sql, "PRAGMA user_version"), scalar(sql, _TABLES)
        sql.execute("COMMIT")
        if version > VERSION:
            raise UnusableFile(
                self.path,
                f"has tables of version {version}, which is newer than this release of streamkit;"
                f" it knows {VERSION}",
            )
        if version == 0:
            if tables:
                raise UnusableFile(self.path, "has other tables; give streams a file of their own")
            # Removed streams leave free pages, which later ones use. Only with this can the disk be
            # given back after a burst; it cost no speed that could be measured. It has to be first.
            sql.execute("PRAGMA auto_vacuum = INCREMENTAL")
        deadline = monotonic() + PATIENCE
        patiently(sql, "PRAGMA journal_mode = WAL", deadline)
        for setting in self._settings:
            sql.execute(setting)
        if version == 0:
            patiently(sql, "BEGIN IMMEDIATE", deadline)
            if scalar(sql, "PRAGMA user_version") == 0:
                for statement in SCHEMA.split(";\n"):
                    sql.execute(statement)
            sql.execute("COMMIT")


class Link:
    """The connection of one thread, opened when it is first needed."""

    def __init__(self, file: SQLiteFile, setting: str = "PRAGMA query_only = 1") -> None:
        """Nothing is opened yet; `setting` is what this connection has of its own."""
        self._file, self._setting = file, setting
        self._sql: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """Return it, if it still is one to the right file."""
        if self._sql is None:
            self._sql = self._file.connect()
            self._sql.execute(self._setting)
        self._file.check()
        return self._sql

    def close(self) -> None:
        """Close it. The last one that is closed moves SQLite's log into the file."""
        sql, self._sql = self._sql, None
        if sql is not None:
            sql.close()


def patiently(sql: sqlite3.Connection, statement: str, deadline: float) -> None:
    """Execute a statement, again and again while another process is in the way."""
    while True:
        try:
            sql.execute(statement)
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or monotonic() > deadline:
                raise
        else:
            return
        sleep(PAUSE)


def scalar(sql: sqlite3.Connection, query: str) -> Any:
    """Return the one value that a query gives."""
    return sql.execute(query).fetchone()[0]


def as_store_error(error: Exception) -> Exception:
    """Return what to raise for an error of the driver: mostly, that the store is away."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, MISTAKES):
        return error
    told = StoreAway(f"{type(error).__name__}: {error}")
    told.__cause__ = error
    return told


def _place(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
