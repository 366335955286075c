"""Starting a child process, and its process group.

Two traps with `killpg`: a group of zombies still counts as there, and a child without a group of
its own is in ours.
"""

from __future__ import annotations

__all__ = ("Settings", "Stderr", "has_living_members", "own_group", "spawn")

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Literal, TypeAlias

from ._errors import CommandNotFound, StartFailed

Stderr: TypeAlias = Literal["merge", "tag", "drop"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run, and its limits; `stream_process` documents them."""

    argv: tuple[str, ...]
    stderr: Stderr
    stdin: bytes | None
    cwd: str | None
    env: Mapping[str, str]
    check: bool
    timeout: float | None
    idle_timeout: float | None
    max_bytes: int | None
    max_line: int
    partial_after: float
    grace: float
    drain: float


def spawn(settings: Settings) -> Popen[bytes]:
    errors = {"merge": STDOUT, "tag": PIPE, "drop": DEVNULL}
    try:
        return Popen(  # noqa: S603 - to run what the caller names is what this is for
            settings.argv,
            bufsize=0,
            stdin=DEVNULL if settings.stdin is None else PIPE,
            stdout=PIPE,
            stderr=errors[settings.stderr],
            cwd=settings.cwd,
            env=settings.env,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _start_error(error, settings.cwd) from error


def _start_error(error: OSError | ValueError, cwd: str | None) -> StartFailed:
    if isinstance(error, UnicodeError):
        return StartFailed("an argument cannot be written as UTF-8")
    if isinstance(error, ValueError):
        wrong_name = "environment" in str(error)
        return StartFailed(
            "a name in its environment holds a =" if wrong_name else "an argument holds a NUL"
        )
    if cwd is not None and not Path(cwd).is_dir():
        return StartFailed("its working directory is none")
    if isinstance(error, FileNotFoundError):
        return CommandNotFound()
    reasons = {
        errno.EACCES: "it may not be executed",
        errno.ENOEXEC: "it is not a program",
        errno.E2BIG: "its arguments are too long",
        errno.ENAMETOOLONG: "its name is too long",
    }
    return StartFailed(reasons.get(error.errno or 0, "the system refused"))


def own_group(pid: int) -> int | None:
    """Return the child's process group, unless it is ours: nobody may signal that."""
    group = os.getpgid(pid)
    return None if group == os.getpgrp() else group


def has_living_members(group: int, known: set[str]) -> bool:
    """Look whether a group has processes that are not zombies waiting for somebody to reap them.

    `known` keeps those that were found, for the next time: to look through all processes of a
    machine takes milliseconds, and a group is asked for again and again while it is being stopped.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if not Path("/proc/self/stat").exists():
        return True  # a system that does not tell; KILL and a short wait are the bound
    known.intersection_update([pid for pid in known if _is_living_member(group, pid)])
    if not known:
        everybody = filter(str.isdigit, os.listdir("/proc"))
        known.update(pid for pid in everybody if _is_living_member(group, pid))
    return bool(known)


def _is_living_member(group: int, pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            stat = file.read(512)
    except OSError:
        return False  # gone meanwhile
    # "pid (name) state parent group …"; the name may hold anything, also a parenthesis.
    state, _, member_of = stat.rpartition(b")")[2].split()[:3]
    return int(member_of) == group and state not in b"ZX"
