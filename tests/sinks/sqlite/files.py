"""What the tests of `SQLiteStore` need: a file, a look into it, and a writer that is held."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from anyio import create_task_group, to_thread

from streamkit.sinks.sqlite import SQLiteStore

CHILD = Path(__file__).with_name("child.py")


def sql(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Execute a statement as somebody else would, and return its rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def store_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "sqlite" in thread.name]


@asynccontextmanager
async def held_writer(store: SQLiteStore) -> AsyncIterator[None]:
    """Keep the writer busy, so that what is asked for in the block gathers."""
    started, go = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        started.set()
        go.wait(5)

    async with create_task_group() as tasks:
        tasks.start_soon(store._writer.call, wait)
        await to_thread.run_sync(started.wait, 5)
        try:
            yield
        finally:
            go.set()


def start_child(*arguments: object) -> Popen[str]:
    """Start a process that uses a store; `child.py` says what it can do."""
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    return Popen(command, stdin=PIPE, stdout=PIPE, text=True)


def run_child(*arguments: object) -> list[str]:
    """Run such a process, and return the lines that it wrote."""
    with start_child(*arguments) as child:
        output, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    return output.splitlines()
