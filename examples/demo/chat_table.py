"""The tables of the chat: messages, and what each answer knew.

Rule: synchronous; whoever calls it does so in a thread.
"""

from __future__ import annotations

__all__ = ("ChatTable",)

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

SCHEMA = """
CREATE TABLE IF NOT EXISTS AiChatRoomMessage (
    id TEXT PRIMARY KEY NOT NULL,
    aiChatRoomId TEXT NOT NULL,
    sender TEXT NOT NULL CHECK (sender IN ('USER', 'AI')),
    message TEXT NOT NULL,
    htmlFormattedMessage TEXT,
    knowledgeId TEXT,
    createdAt TEXT NOT NULL,
    updatedAt TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS AiChatRoomMessageKnowledge (
    id TEXT PRIMARY KEY NOT NULL,
    aiChatRoomMessageId TEXT NOT NULL REFERENCES AiChatRoomMessage (id) ON DELETE CASCADE,
    knowledgeId TEXT NOT NULL CHECK (knowledgeId != '')
);
CREATE INDEX IF NOT EXISTS AiChatRoomMessage_room ON AiChatRoomMessage (aiChatRoomId);
CREATE INDEX IF NOT EXISTS AiChatRoomMessageKnowledge_message
    ON AiChatRoomMessageKnowledge (aiChatRoomMessageId);
"""
ADD_MESSAGE = """
INSERT INTO AiChatRoomMessage (id, aiChatRoomId, sender, message, createdAt, updatedAt)
VALUES (?, ?, ?, ?, ?, ?)
"""
ADD_KNOWLEDGE = "INSERT INTO AiChatRoomMessageKnowledge VALUES (?, ?, ?)"
MESSAGES = """
SELECT id, sender, message, createdAt FROM AiChatRoomMessage WHERE aiChatRoomId = ? ORDER BY rowid
"""
KNOWLEDGE = """
SELECT knowledgeId FROM AiChatRoomMessageKnowledge WHERE aiChatRoomMessageId = ? ORDER BY rowid
"""
DELETE = "DELETE FROM AiChatRoomMessage WHERE aiChatRoomId = ?"


class ChatTable:
    """The messages of each room."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def add(self, room: str, question: str, answer: str, knowledge: Iterable[str]) -> None:
        """Add a question, its answer and what that knew: all of it, or, when it fails, nothing."""
        answer_id, now = str(uuid4()), datetime.now(UTC).isoformat()
        with self._open() as connection:
            for id, sender, text in ((str(uuid4()), "USER", question), (answer_id, "AI", answer)):
                connection.execute(ADD_MESSAGE, (id, room, sender, text, now, now))
            connection.executemany(
                ADD_KNOWLEDGE, ((str(uuid4()), answer_id, known) for known in knowledge)
            )

    def read(self, room: str) -> list[dict[str, object]]:
        """Return the messages of a room, the oldest first, each with what it knew."""
        with self._open() as connection:
            return [
                {
                    "sender": sender,
                    "message": message,
                    "knowledge": [known for (known,) in connection.execute(KNOWLEDGE, (id,))],
                    "createdAt": created_at,
                }
                for id, sender, message, created_at in connection.execute(MESSAGES, (room,))
            ]

    def delete(self, room: str) -> None:
        """Delete the messages of a room, and with them what they knew."""
        with self._open() as connection:
            connection.execute(DELETE, (room,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(SCHEMA)
            with connection:  # a transaction, rolled back as a whole
                yield connection
