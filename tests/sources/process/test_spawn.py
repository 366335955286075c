"""Whose group is whose, and when nobody is left in it, where the system does not simply tell."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from streamkit.sources.process import _spawn
from streamkit.sources.process._spawn import has_living_members, own_group


def test_a_group_of_ours_is_nobodys_to_signal() -> None:
    with Popen([sys.executable, "-c", "input()"], stdin=PIPE) as ours:
        assert own_group(ours.pid) is None
    with Popen([sys.executable, "-c", "input()"], stdin=PIPE, start_new_session=True) as its_own:
        assert own_group(its_own.pid) == its_own.pid
        assert has_living_members(its_own.pid, set())
        assert its_own.stdin is not None
        its_own.stdin.close()
        os.waitid(os.P_PID, its_own.pid, os.WEXITED | os.WNOWAIT)
        assert not has_living_members(its_own.pid, set())  # a zombie
    assert not has_living_members(its_own.pid, set())  # nobody


def test_a_group_of_somebody_elses_processes_counts_as_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    assert has_living_members(4711, set())


def test_without_proc_a_group_that_takes_a_signal_counts_as_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_spawn, "Path", lambda *parts: tmp_path.joinpath("nothing"))
    assert has_living_members(os.getpgrp(), set())
