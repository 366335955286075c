"""The file of `SQLiteStore`: its tables, how to open it, and what can be wrong with it."""

from __future__ import annotations

__all__ = ("PATIENCE", "Link", "SQLiteFile", "as_store_error", "patiently", "scalar")

import os
import sqlite3
from time import monotonic, sleep
from typing import Any, Literal

from ...errors import StoreAway, UnusableFile, UsageError

VERSION = 1

# `id` is the number of the change that began the life of a stream, `rung` that of its last change.
# These numbers only ever grow, over all streams. `gone` remembers removed streams: for the bells,
# and because batches are deleted in slices; 60 MB at once made every writer wait for 0.2 s.
#
# The batches of all streams are in one table, in the order in which they arrived. With a table
# WITHOUT ROWID, ordered by stream, a commit of two events for each of 50 streams took 2.8 times as
# long: each stream has its own page to write.
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

# How long a call waits for the file while another process writes, and how often it retries.
# SQLite's own wait sleeps longer each time, up to 0.1 s: with four processes that wrote all the
# time, one waited 1.3 s for its turn; with this pause it waited 0.03 s.
PATIENCE = 5.0
PAUSE = 0.0005

# How much disk space SQLite's log may keep after a burst.
LOG_BYTES = 64 << 20

# What the driver raises when it is called wrongly: trying again would not help.
MISTAKES = (
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
    sqlite3.ProgrammingError,
)


class SQLiteFile:
    """The path of the file, the settings for each connection, and which file it was first."""

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
        """Open a connection for this thread; create the tables if there are none."""
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
        """Raise if the path leads to a different file than before, or to none.

        SQLite does not notice this, and would go on with a file that no other process sees. The new
        file is not opened either: this process may still hold the log and locks of the old one.
        """
        if self._place is not None and self._place != _place(self.path):
            raise sqlite3.OperationalError("the file was moved, removed or replaced while open")

    def forget(self) -> None:
        """Accept any file next time. Call this only when no connection is open."""
        self._place = None

    def _prepare(self, sql: sqlite3.Connection) -> None:
        sql.execute("BEGIN")  # another process may create the tables between the two reads
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
            # Removed streams leave free pages, which later streams use. Only with this setting can
            # disk space be given back after a burst. It had no measurable cost. It has to come
            # first.
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
        """Open nothing yet. `setting` is an extra setting for this connection."""
        self._file, self._setting = file, setting
        self._sql: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """Return the connection, or raise if it no longer leads to the right file."""
        if self._sql is None:
            self._sql = self._file.connect()
            self._sql.execute(self._setting)
        self._file.check()
        return self._sql

    def close(self) -> None:
        """Close the connection. Closing the last one moves SQLite's log into the file."""
        sql, self._sql = self._sql, None
        if sql is not None:
            sql.close()


def patiently(sql: sqlite3.Connection, statement: str, deadline: float) -> None:
    """Execute a statement, and retry while another process holds a lock."""
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
    """Return the single value of a query."""
    return sql.execute(query).fetchone()[0]


def as_store_error(error: Exception) -> Exception:
    """Return the exception to raise for an error of the driver, usually a `StoreAway`."""
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
