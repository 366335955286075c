"""Commands for the tests, and what the kernel says of their processes."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from streamkit import Line, StreamkitError
from streamkit.sources.process import Exit, stream_process
from streamkit.sources.process._process import Process

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]

# Within which all that must happen has happened, on a busy machine too.
SOON = 10.0

# A test may take it away from `os`.
_pidfd_open = os.pidfd_open


def sh(script: str, **options: Any) -> Process:
    """Run a script of ours; what is under test is everything around it."""
    return stream_process("/bin/sh", "-c", script, **options)


def python(program: str, *arguments: str, **options: Any) -> Process:
    """Run a Python program."""
    return stream_process(sys.executable, "-S", "-c", dedent(program), *arguments, **options)


async def outcome(process: Process) -> tuple[list[Line], list[Exit], StreamkitError | None]:
    """Read to the end: the lines, the exits after them, and the error after those."""
    lines: list[Line] = []
    exits: list[Exit] = []
    with fail_after(SOON):
        try:
            async for item in process:
                if isinstance(item, Exit):
                    exits.append(item)
                else:
                    assert not exits, "a line after the exit"
                    lines.append(item)
        except StreamkitError as error:
            return lines, exits, error
    return lines, exits, None


async def run(process: Process) -> tuple[list[Line], Exit]:
    """Read to an end without an error: the lines, and the one exit."""
    lines, [exit], error = await outcome(process)
    assert error is None
    return lines, exit


async def first(process: Process) -> str:
    """Return the first line; leaves the rest."""
    with fail_after(SOON):
        line = await anext(process)
    assert isinstance(line, Line)
    return line


async def busy_for(seconds: float) -> None:
    """Be busy with something else, for as long as another command takes."""
    await run(stream_process("sleep", str(seconds)))


async def leave(process: Process) -> float:
    """Close it, and return how long that took."""
    start = anyio.current_time()
    with fail_after(SOON):
        await process.aclose()
    return anyio.current_time() - start


async def until_asleep(pid: int) -> None:
    """Wait until a process waits, such as for room in a pipe."""
    with fail_after(SOON):
        while state(pid) != "S":
            await checkpoint()


def state(pid: int) -> str:
    """Return the letter of the kernel; "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Look whether there is such a process; a zombie is none."""
    return state(pid) not in {"", "Z", "X"}


def ends(pid: int, within: float = SOON) -> bool:
    """Wait until a process that need not be our child has ended."""
    try:
        descriptor = _pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(within * 1000))
    finally:
        os.close(descriptor)


def resident_bytes() -> int:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
