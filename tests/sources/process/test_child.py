"""A child process where the system does not play along."""

from __future__ import annotations

import os
from typing import Any

import pytest

from streamkit.sources.process import CommandTimeout, Exit, StartFailed, stream_process
from streamkit.sources.process import _child as child_module


def refused(*_: Any) -> int:
    raise PermissionError(1, "not here")


async def test_a_refused_descriptor_for_its_end_is_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "pidfd_open", refused)
    items = [item async for item in stream_process("sh", "-c", "echo a; exit 4")]
    assert items[0] == "a"
    assert isinstance(items[1], Exit)
    assert items[1].code == 4


async def test_a_child_that_cannot_be_watched_is_not_left_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids: list[int] = []

    def fail(pid: int) -> int:
        pids.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(child_module, "own_group", fail)
    with pytest.raises(StartFailed, match="the system refused"):
        await anext(stream_process("sleep", "60"))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.slow  # the pauses after TERM and KILL, neither of which arrives
async def test_a_command_that_cannot_be_ended_is_not_told_as_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "killpg", refused)
    process = stream_process("sleep", "1", timeout=0.05, grace=0.05)
    await process.open()
    assert process._child is not None
    process._child.after_kill = 0.05
    items: list[Any] = []
    with pytest.raises(CommandTimeout):
        async for item in process:
            items.append(item)  # noqa: PERF401 - the error comes after it
    [exit] = items
    assert (exit.code, exit.signal, exit.reason, exit.orphans) == (None, None, "timeout", False)
    process._child._popen.wait()
