"""The table `runs_logs`: what is left of a run when its stream is no longer kept.

A page reads it with one plain query. Rule: synchronous; whoever calls it does so in a thread.
"""

from __future__ import annotations

__all__ = ("LogTable",)

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from streamkit import HistoryEvent

COLUMNS = ("upload_id", "service_name", "timestamp", "log_level", "message")

# The id of an event is never used again, so a row that is written twice is one row.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS runs_logs (
    {", ".join(f"{column} TEXT NOT NULL" for column in COLUMNS)},
    event_id TEXT NOT NULL,
    PRIMARY KEY (upload_id, service_name, event_id)
)
"""
INSERT = """
INSERT INTO runs_logs
VALUES (:upload_id, :service_name, :timestamp, :log_level, :message, :event_id)
ON CONFLICT DO NOTHING
"""
SELECT = f"""
SELECT {", ".join(COLUMNS)} FROM runs_logs
WHERE upload_id = ? AND service_name = ? ORDER BY timestamp, rowid
"""  # noqa: S608 - our own columns


class LogTable:
    """The log of each run, by upload and service."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def add(self, upload_id: str, service: str, events: Iterable[HistoryEvent]) -> None:
        """Add the log records among these events of a stream, all or none."""
        names = {"upload_id": upload_id, "service_name": service}
        rows = [
            names | cast("dict[str, str]", event["data"]) | {"event_id": event["id"]}
            for event in events
            if event["type"] == "message"  # not its progress, nor its end
        ]
        with self._open() as connection:
            connection.executemany(INSERT, rows)

    def read(self, upload_id: str, service: str) -> list[dict[str, str]]:
        """Return the rows of all runs of that name, the oldest first."""
        with self._open() as connection:
            rows = connection.execute(SELECT, (upload_id, service)).fetchall()
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute(SCHEMA)
            yield connection
