"""What outlives its request: the runs, their logs, and two more streams.

Nothing here knows a web framework: in each of them, a route is one line.
"""

from __future__ import annotations

__all__ = ("NOT_AVAILABLE", "Runs", "database")

import atexit
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from anyio import Lock, create_task_group, to_thread
from anyio.abc import TaskGroup

from examples.demo import jobs
from examples.demo.log_table import LogTable
from streamkit import Following, Source, StreamError, Streams, stream_name
from streamkit.errors import ExpiredStream, UnknownStream
from streamkit.sinks.sqlite import SQLiteStore

NOT_AVAILABLE = "Log not available"

LIVE_LOGS = "live-logs"
LONG_TASK = "long-task"

# Who comes late to a log without an end wants to see a page of it, not all of its life.
MAX_LIVE_LOGS = 100

# Who starts the demo again after a crash shall not wait for long until its runs are given up.
LEASE = 3.0

# Nor shall who presses Ctrl-C wait for long; what then still runs is cancelled, and says so.
DRAIN = 0.5

logger = logging.getLogger(__name__)


def database() -> Path:
    """Return the file for all of it: a temporary one, or what STREAMKIT_DEMO_DB names."""
    if kept := os.environ.get("STREAMKIT_DEMO_DB"):
        return Path(kept)
    folder = TemporaryDirectory(prefix="streamkit-demo-")
    atexit.register(folder.cleanup)
    return Path(folder.name, "demo.db")


class Runs:
    """The streams of the demo, and the table in which the log of each run ends up."""

    def __init__(self, database: Path) -> None:
        self.streams = Streams(SQLiteStore(database), lease=LEASE, drain=DRAIN)
        self._table = LogTable(database)
        self._starting = Lock()
        self._tasks: TaskGroup

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Run the streams as long as the application does: for its lifespan."""
        async with self.streams, create_task_group() as self._tasks:
            await self.streams.launch(
                LIVE_LOGS, jobs.live_logs, if_exists="restart", max_events=MAX_LIVE_LOGS
            )
            yield
            await self.streams.cancel(LIVE_LOGS)  # the others get a moment to end by themselves
            self._tasks.cancel_scope.cancel()

    async def generate(self, upload_id: str, service: str) -> dict[str, str]:
        """Start a run. One that has ended starts again; one that is active is left alone: 409."""
        await self._save(upload_id, service)  # starting again replaces the stream
        name = _name(upload_id, service)
        following = await self._launch("raise", name, jobs.generate, upload_id, service)
        self._tasks.start_soon(self._save_at_end, upload_id, service, following)
        return {"status": "Generation started"}

    async def status(self, upload_id: str, service: str) -> dict[str, object]:
        """Tell whether a run is active; also of one that nobody knows."""
        try:
            return {**await self.streams.status(_name(upload_id, service))}
        except UnknownStream:
            return {"state": "unknown", "active": False}

    async def logs(self, upload_id: str, service: str) -> Source[object]:
        """Follow a run, from its beginning or from where the client has left."""
        if (await self.status(upload_id, service))["state"] == "unknown":
            return [NOT_AVAILABLE]
        return self.streams.follow(_name(upload_id, service))

    async def final_logs(self, upload_id: str, service: str) -> list[dict[str, str]]:
        """Return the rows of a run that has ended."""
        # Usually they are there. If the process died before it wrote them, now is the time.
        await self._save(upload_id, service)
        return await to_thread.run_sync(self._table.read, upload_id, service)

    def live_logs(self) -> Following:
        """Follow the log that all followers share."""
        return self.streams.follow(LIVE_LOGS)

    async def long_task(self, last_event_id: str | None) -> Following:
        """Start the task and follow it, or the one that runs; who comes back starts none."""
        if last_event_id:
            return self.streams.follow(LONG_TASK)
        return await self._launch("follow", LONG_TASK, jobs.long_task)

    async def _launch(
        self,
        if_active: Literal["raise", "follow"],
        name: str,
        job: Callable[..., Awaitable[None]],
        *arguments: str,
    ) -> Following:
        """Start a job, again if it has ended. A double click must not end the one that runs."""
        async with self._starting:
            if_exists = if_active if await self._is_active(name) else "restart"
            return await self.streams.launch(name, job, *arguments, if_exists=if_exists)

    async def _is_active(self, name: str) -> bool:
        with suppress(UnknownStream):
            return bool((await self.streams.status(name))["active"])
        return False

    async def _save_at_end(self, upload_id: str, service: str, following: Following) -> None:
        try:
            with suppress(StreamError):  # it failed, or was cancelled: there is a log all the same
                async for _ in following:
                    pass
            await self._save(upload_id, service)
        except Exception:  # a log that cannot be written shall not end the application
            logger.exception("the log of a run was not saved")

    async def _save(self, upload_id: str, service: str) -> None:
        """Write the log of a run that has ended into the table; once more changes nothing."""
        name, after = _name(upload_id, service), ""
        with suppress(UnknownStream, ExpiredStream):
            if (await self.streams.status(name))["active"]:
                return
            while (page := await self.streams.history(name, after=after))["events"]:
                await to_thread.run_sync(self._table.add, upload_id, service, page["events"])
                after = page["next"]


def _name(upload_id: str, service: str) -> str:
    # Quoted part by part: ("a:b", "c") and ("a", "b:c") are two runs.
    return stream_name("runs", upload_id, service)
