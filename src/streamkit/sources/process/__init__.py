"""`stream_process` and `stream_shell`: a running command, line by line, and nothing left behind.

The command starts when the first item is asked for, so that a failure to start is a status. It
leads a session of its own, and is stopped with its whole group.
"""

from __future__ import annotations

__all__ = (
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "Exit",
    "OutputTooLarge",
    "StartFailed",
    "UnsafeArgument",
    "only",
    "option",
    "stream_process",
    "stream_shell",
)

import os
from collections.abc import Mapping
from typing import TypeAlias, TypedDict

from typing_extensions import Unpack

from ..._items.lines import MAX_LINE
from ._errors import (
    CommandFailed,
    CommandNotFound,
    CommandTimeout,
    OutputTooLarge,
    StartFailed,
    UnsafeArgument,
)
from ._process import Exit, Process
from ._spawn import Settings, Stderr

Argument: TypeAlias = str | os.PathLike[str]


class Options(TypedDict, total=False):
    """What `stream_shell` hands on to `stream_process`, which documents it."""

    stderr: Stderr
    stdin: str | bytes | None
    cwd: Argument | None
    unbuffered: bool
    check: bool
    timeout: float | None
    idle_timeout: float | None
    max_bytes: int | None
    max_line: int
    partial_after: float
    grace: float
    drain: float


def stream_process(
    *argv: Argument,
    stderr: Stderr = "merge",
    stdin: str | bytes | None = None,
    cwd: Argument | None = None,
    env: Mapping[str, str] | None = None,
    unbuffered: bool = True,
    check: bool = False,
    timeout: float | None = None,
    idle_timeout: float | None = None,
    max_bytes: int | None = None,
    max_line: int = MAX_LINE,
    partial_after: float = 0.2,
    grace: float = 3.0,
    drain: float = 1.0,
) -> Process:
    """Run a command and yield its output as `Line`s, and how it ended as the last item, `Exit`.

    The command starts when the first item is asked for; that it cannot start is an error there, so
    that a response still has its status. There is no shell: each argument arrives as it is.

    - `stderr`: "merge" keeps the true order of both, "tag" tells which line is whose (and then the
      order between the two is not known), "drop" throws it away.
    - `stdin` is written to the command and closed; without it, its input is empty.
    - `env` is added to the environment; `only(...)` is all of it. `unbuffered` keeps a Python child
      from holding back its output.
    - `check`: an exit code other than 0 is the stream's error. Too long (`timeout`), too quiet
      (`idle_timeout`) or too much (`max_bytes`) is one in any case. `Exit` comes before the error.
    - A line without its end is told as `partial` after `partial_after` seconds of silence; one
      longer than `max_line` characters is `cut`.
    - When the reader leaves, or a limit is reached, the command and its group get TERM, and KILL
      after `grace` seconds; a response waits 5 s in all for its source to close. When it ends by
      itself, what it left running has `drain` seconds to let go of the output, then it is stopped.

    Example:
        StreamResponse(stream_process("ls", "-l"), as_text)
    """
    if not argv:
        raise TypeError("stream_process takes the command and its arguments")
    wrong: list[object] = [each for each in argv if not isinstance(each, str | os.PathLike)]
    if wrong:
        kind = type(wrong[0]).__name__
        raise TypeError(f"each argument is a str or a path, not a {kind}; write *arguments")
    settings = Settings(
        argv=tuple(os.fspath(argument) for argument in argv),
        stderr=stderr,
        stdin=stdin.encode() if isinstance(stdin, str) else stdin,
        cwd=None if cwd is None else os.fspath(cwd),
        env=_environment(env, unbuffered=unbuffered),
        check=check,
        timeout=timeout,
        idle_timeout=idle_timeout,
        max_bytes=max_bytes,
        max_line=max_line,
        partial_after=partial_after,
        grace=grace,
        drain=drain,
    )
    return Process(settings)


def stream_shell(
    script: str,
    *,
    params: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    **options: Unpack[Options],
) -> Process:
    """Run a script by `/bin/sh`, like `stream_process` with the same options.

    What comes from outside belongs into `params`: the script sees each as an environment variable,
    never as a part of itself. Quote it: `"$name"`.

    Example:
        script = 'grep -F -- "$word" *.txt | head'
        StreamResponse(stream_shell(script, params={"word": "needle"}), as_text)
    """
    added = {**(env or {}), **(params or {})}
    return stream_process(
        "/bin/sh", "-c", script, env=_Only(added) if isinstance(env, _Only) else added, **options
    )


def option(flag: str, value: str) -> tuple[str, ...]:
    """Return an option and its value, so that the value cannot become an option itself.

    A long one is joined, `--name=value`. A short one has its value beside it; one that starts with
    a dash is refused.

    Example:
        stream_process("grep", *option("--regexp", "-v"), "notes.txt")
    """
    if flag.startswith("--"):
        return (f"{flag}={value}",)
    if value.startswith("-"):
        raise UnsafeArgument(flag)
    return (flag, value)


def only(*names: str, **values: str) -> Mapping[str, str]:
    """Return an environment of nothing but these: variables of ours by name, others with a value.

    Example:
        stream_process("env", env=only("PATH", "HOME", MODE="careful"))
    """
    return _Only({name: os.environ[name] for name in names if name in os.environ} | values)


class _Only(dict[str, str]):
    """An environment that ours is not added to."""


def _environment(env: Mapping[str, str] | None, *, unbuffered: bool) -> Mapping[str, str]:
    base = {} if isinstance(env, _Only) else dict(os.environ)
    python = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    return {**python, **base, **(env or {})}


for _name in (*__all__, "Process"):
    globals()[_name].__module__ = __name__  # a traceback says where users import it from
