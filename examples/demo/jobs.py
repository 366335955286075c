"""The jobs of the demo. Each writes to the stream it is given, and knows nobody who follows it."""

from __future__ import annotations

__all__ = ("FILES", "LAST_LINE", "PAUSE", "STEPS", "generate", "live_logs", "long_task")

import os
import random
from itertools import count

from anyio import sleep

from streamkit import Stream
from streamkit.logs import Level

# A run takes ten seconds: one can close its page, and come back while it still runs.
PAUSE = float(os.environ.get("STREAMKIT_DEMO_PAUSE") or 0.7)

FILES = ("models.py", "schemas.py", "routes.py", "storage.py", "tests.py", "README.md")
STEPS = 20
LAST_LINE = "Log stream ended."

LIVE_LOGS: tuple[tuple[Level, str], ...] = (
    ("info", "GET /orders 200"),
    ("info", "POST /orders 201"),
    ("info", "the cache is warm"),
    ("info", "42 rows were written"),
    ("error", "the payment service did not answer in time"),
)


async def generate(stream: Stream, upload_id: str, service: str) -> None:
    """Stand in for what generates code, and say each step. The service "broken" fails."""
    try:
        stream.log(f"Parsing the metadata of {upload_id}")
        await sleep(PAUSE)
        stream.log(f"Found {len(FILES)} files to generate for {service}")
        async for file in stream.progress.track(FILES):
            await sleep(PAUSE)
            stream.log(f"Generating {file}")
            await sleep(PAUSE)
            if file == "storage.py":
                stream.log("storage.py does not compile: it is generated again", "error")
                await sleep(PAUSE)
                if service == "broken":
                    raise RuntimeError("storage.py does not compile")
            stream.log(f"Checked {file}")
        stream.log(f"Saved the code of {service}")
    finally:
        stream.log(LAST_LINE)


async def live_logs(stream: Stream) -> None:
    """Stand in for a server that logs what it does, without an end."""
    for number in count(1):
        level, message = random.choice(LIVE_LOGS)
        stream.log(f"{message} (request {number})", level)
        await sleep(PAUSE)


async def long_task(stream: Stream) -> None:
    """Stand in for a task of which only the progress is of interest."""
    for done in range(STEPS):
        stream.progress.update(done, total=STEPS, message=f"step {done + 1}")
        await sleep(PAUSE / 2)
    stream.progress.update(STEPS, total=STEPS, message="done")
