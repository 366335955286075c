"""However a command ends, there is one exit, it is the last item, and nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import create_task_group, current_time, move_on_after

from streamkit import Line, StreamkitError, as_text, open_source, step
from streamkit._feeding.handover import Handover
from streamkit.sources.process import (
    CommandFailed,
    CommandTimeout,
    Exit,
    OutputTooLarge,
    stream_process,
)
from streamkit.sources.process import _spawn as spawn_module

from ...fakes import feed_until
from ._commands import ends, first, is_running, leave, outcome, python, run, sh

LIMITS = [
    pytest.param("timeout", {"timeout": 0.1}, CommandTimeout, "ran for more than 0.1 s"),
    pytest.param("idle_timeout", {"idle_timeout": 0.1}, CommandTimeout, "silent for more than 0.1"),
    pytest.param("output_limit", {"max_bytes": 2}, OutputTooLarge, "wrote more than 2 bytes"),
]


@pytest.mark.slow  # the limit has to pass
@pytest.mark.parametrize("check", [False, True], ids=["unchecked", "checked"])
@pytest.mark.parametrize(("reason", "limit", "kind", "sentence"), LIMITS)
async def test_a_limit_is_told_by_the_exit_and_then_by_an_error(
    reason: str,
    limit: dict[str, Any],
    kind: type[StreamkitError],
    sentence: str,
    check: bool,
) -> None:
    process = sh("echo one; exec sleep 60", check=check, **limit)
    lines, [exit], error = await outcome(process)
    assert lines == ["on" if reason == "output_limit" else "one"]
    assert (exit.code, exit.signal, exit.reason) == (None, "SIGTERM", reason)
    assert isinstance(error, kind)
    assert sentence in str(error)
    with pytest.raises(StopAsyncIteration):
        await anext(process)


async def test_as_much_as_it_may_write_is_not_too_much() -> None:
    lines, exit = await run(sh("echo one", max_bytes=4))
    assert (lines, exit.reason) == (["one"], "exit")


async def test_whoever_writes_all_the_time_is_not_silent() -> None:
    script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.05; done"
    _, exit = await run(sh(script, idle_timeout=0.25))
    assert exit.reason == "exit"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param("exit 3", "the command ended with exit code 3", id="code"),
        pytest.param("kill -TERM $$", "the command ended with SIGTERM", id="signal"),
    ],
)
async def test_a_failure_is_an_error_after_the_exit_when_it_is_checked(
    script: str, sentence: str
) -> None:
    _, exits, error = await outcome(sh(script, check=True))
    assert len(exits) == 1
    assert isinstance(error, CommandFailed)
    assert str(error) == sentence
    await run(sh(script))
    await run(sh("exit 0", check=True))


@pytest.fixture
def _hangup_is_not_ignored() -> Iterator[None]:
    """Let a command have the default of SIGHUP, also when we were started with `nohup`."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)  # a command does not inherit a handler
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangup_is_not_ignored")
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGHUP"])
async def test_an_exit_names_the_signal(name: str) -> None:
    _, exit = await run(sh(f"ulimit -c 0; kill -{name.removeprefix('SIG')} $$"))
    assert (exit.code, exit.signal, exit.reason) == (None, name, "exit")


async def test_a_signal_without_a_name_is_told_too() -> None:
    _, exit = await run(python("import os; os.kill(os.getpid(), 40)"))
    assert exit.code is None
    assert exit.signal


WRITES_AND_HAS_A_CHILD = "sleep 60 & echo one; sleep 0.003; echo two; sleep 0.003; kill $!"


@pytest.mark.slow  # two hundred commands
async def test_it_may_be_left_at_any_moment() -> None:
    chance = random.Random(4711)
    left = 0
    for _ in range(200):
        items: list[Line | Exit] = []
        process = sh(WRITES_AND_HAS_A_CHILD)
        with move_on_after(chance.uniform(0, 0.015)) as scope:
            async with open_source(process) as opened:
                async for item in opened:
                    items.append(item)  # noqa: PERF401 - to keep those before the cancellation
        left += scope.cancelled_caught
        assert process.closed
        assert not any(isinstance(item, Exit) for item in items[:-1])
        if not scope.cancelled_caught:
            assert isinstance(items[-1], Exit)
    assert 20 <= left <= 200


@pytest.mark.slow  # two hundred cancellations
async def test_a_cancelled_call_loses_nothing() -> None:
    chance = random.Random(42)
    process = sh("for i in $(seq 100); do echo $i; sleep 0.001; done", partial_after=5.0)
    items: list[Line | Exit] = []
    cancelled = 0
    while not (items and isinstance(items[-1], Exit)):
        with move_on_after(chance.uniform(0, 0.001)) as scope:
            items.append(await anext(process))
        cancelled += scope.cancelled_caught
    assert items[:-1] == [str(number) for number in range(1, 101)]
    assert cancelled > 20
    with pytest.raises(StopAsyncIteration):
        await anext(process)


async def test_a_reader_that_never_waits_can_be_cancelled() -> None:
    async with aclosing(stream_process("yes")) as process:
        read = 0
        with move_on_after(0.05) as scope:
            async for _ in process:
                read += 1
                if read == 2_000_000:
                    break
    assert scope.cancelled_caught


async def test_a_command_that_cleans_up_when_it_is_asked_to_end_may_do_so(tmp_path: Path) -> None:
    file = tmp_path / "bye"
    script = "trap 'echo bye > \"$0\"; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    process = stream_process("/bin/sh", "-c", script, file)
    assert await first(process) == "ready"
    await leave(process)
    assert file.read_text() == "bye\n"


async def test_the_cleanup_of_a_command_may_write_much() -> None:
    script = "trap 'head -c 3000000 /dev/zero; exit 0' TERM; echo $$; while :; do sleep 0.02; done"
    process = sh(script)
    pid = int(await first(process))
    assert await leave(process) < 3
    assert not is_running(pid)


@pytest.mark.slow  # the grace has to pass
async def test_a_command_that_does_not_end_when_asked_is_killed_after_the_grace() -> None:
    process = sh("trap '' TERM; echo $$; exec sleep 60", grace=0.3)
    pid = int(await first(process))
    assert 0.29 < await leave(process) < 1.3  # a timer may be early by a breath
    assert not is_running(pid)


async def test_what_a_command_started_is_stopped_with_it() -> None:
    process = sh("sleep 60 & echo $!; sleep 60")
    pid = int(await first(process))
    assert is_running(pid)
    assert await leave(process) < 1
    assert not is_running(pid)


async def test_closing_twice_or_before_the_start_does_nothing() -> None:
    process = sh("echo one; exec sleep 60")
    await first(process)
    await leave(process)
    await leave(process)
    unstarted = sh("echo one")
    await leave(unstarted)
    with pytest.raises(StopAsyncIteration):
        await anext(unstarted)


@pytest.mark.slow  # the drain has to pass
async def test_what_a_command_left_behind_with_its_output_is_stopped_after_the_drain() -> None:
    start = current_time()
    lines, exit = await run(sh("sleep 60 & echo $!; exit 3", drain=0.3))
    assert 0.3 <= current_time() - start < 0.8
    assert (exit.code, exit.reason, exit.orphans) == (3, "exit", True)
    assert not is_running(int(lines[0]))


async def test_what_a_command_left_behind_without_its_output_is_stopped_at_once() -> None:
    start = current_time()
    lines, exit = await run(sh("sleep 60 >/dev/null 2>&1 & echo $!; exit 3", drain=5.0))
    assert current_time() - start < 1
    assert (exit.code, exit.orphans) == (3, True)
    assert not is_running(int(lines[0]))


async def test_what_a_command_left_behind_may_finish_its_output_within_the_drain() -> None:
    lines, exit = await run(sh("(sleep 0.05; echo two) & echo one", drain=5.0))
    assert lines == ["one", "two"]
    assert (exit.code, exit.reason) == (0, "exit")


@pytest.fixture
def without_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start commands in our own process group, as a system without sessions would."""
    real: Any = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{**options, "start_new_session": False})

    monkeypatch.setattr(spawn_module, "Popen", popen)


@pytest.mark.usefixtures("without_a_session")
async def test_our_own_group_is_never_signalled() -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        process = sh("echo $$; exec sleep 60")
        pid = int(await first(process))
        assert os.getpgid(pid) == os.getpgid(bystander.pid) == os.getpgrp()
        await leave(process)
        assert not is_running(pid)
        assert is_running(bystander.pid)
        bystander.kill()


@pytest.mark.slow  # the grace has to pass
@pytest.mark.usefixtures("without_a_session")
async def test_in_our_own_group_a_command_alone_is_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        _, [exit], error = await outcome(sh("trap '' TERM; exec sleep 60", timeout=0.05, grace=0.1))
        assert (exit.signal, exit.reason) == ("SIGKILL", "timeout")
        assert isinstance(error, CommandTimeout)
        assert is_running(bystander.pid)
        bystander.kill()


LEAVES_A_ZOMBIE = """
    import os, time
    read, write = os.pipe()
    if os.fork() == 0:  # leaves the group, and never looks after its own child
        zombie = os.fork()
        if zombie == 0:
            os._exit(0)
        os.setsid()
        os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
        print(os.getpid(), zombie)
        os.write(write, b"x")
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        time.sleep(60)
    os.read(read, 1)
"""


async def test_a_zombie_in_the_group_counts_as_gone() -> None:
    start = current_time()
    [line], exit = await run(python(LEAVES_A_ZOMBIE))
    keeper, zombie = map(int, line.split())
    try:
        assert current_time() - start < 1
        assert Path(f"/proc/{zombie}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert (exit.code, exit.orphans) == (0, False)
    finally:
        os.kill(keeper, 9)
        assert ends(keeper)


class TestWithoutADescriptorForAProcess:
    @pytest.fixture(autouse=True)
    def _no_descriptor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "pidfd_open")

    async def test_the_end_is_noticed(self) -> None:
        lines, exit = await run(sh("echo one; exec >/dev/null 2>&1; sleep 0.05; exit 3"))
        assert lines == ["one"]
        assert (exit.code, exit.reason) == (3, "exit")
        assert 0.05 <= exit.duration < 1

    async def test_the_limits_hold(self) -> None:
        _, [exit], error = await outcome(sh("sleep 60", timeout=0.05))
        assert (exit.signal, exit.reason) == ("SIGTERM", "timeout")
        assert isinstance(error, CommandTimeout)

    async def test_what_was_left_behind_is_stopped(self) -> None:
        lines, exit = await run(sh("sleep 60 & echo $!", drain=0.1))
        assert exit.orphans
        assert not is_running(int(lines[0]))

    async def test_it_may_be_left(self) -> None:
        process = sh("echo $$; exec sleep 60")
        pid = int(await first(process))
        assert await leave(process) < 1
        assert not is_running(pid)


@pytest.mark.slow  # two hundred commands
async def test_many_commands_at_once_need_no_thread_and_leave_nothing() -> None:
    processes = [sh("echo $$; exec sleep 60") for _ in range(200)]
    threads = set(os.listdir("/proc/self/task"))
    pids = [int(await first(process)) for process in processes]
    assert all(map(is_running, pids))
    async with create_task_group() as tasks:
        for process in processes:
            tasks.start_soon(process.aclose)
        assert set(os.listdir("/proc/self/task")) <= threads
    assert not any(map(is_running, pids))


@step
async def passed_on(items: AsyncIterable[Line | Exit]) -> AsyncGenerator[Line | Exit, None]:
    async for item in items:
        yield item


async def plainly_passed_on(items: AsyncIterable[Line | Exit]) -> AsyncGenerator[Line | Exit, None]:
    async for item in items:
        yield item


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda process: process, id="no step"),
        pytest.param(plainly_passed_on, id="a plain generator"),
        pytest.param(lambda process: passed_on(passed_on(process)), id="two steps"),
        pytest.param(lambda process: plainly_passed_on(passed_on(process)), id="both"),
    ],
)
@pytest.mark.parametrize("script", ["echo $$; exec sleep 60", "echo $$; exec yes"])
async def test_a_response_that_is_left_stops_the_command(wrap: Any, script: str) -> None:
    process = sh(script)
    pid = 0

    async def after_the_first(hand: Handover) -> None:
        nonlocal pid
        pid = int((await hand.take()).split()[0])

    await feed_until(wrap(process), after_the_first)
    assert process.closed
    assert not is_running(pid)


async def test_a_command_left_by_its_steps_before_it_said_anything_is_stopped() -> None:
    process = stream_process("sleep", "60")

    async def as_it_runs(hand: Handover) -> None:
        await anyio.wait_all_tasks_blocked()

    await feed_until(passed_on(passed_on(process)), as_it_runs)
    assert process.closed


async def test_a_response_of_a_command_ends_after_it() -> None:
    process = sh("echo one; sleep 60 >/dev/null 2>&1 &")
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, passed_on(process), as_text.encoder())
        received = b""
        while batch := await hand.take():
            received += batch
        assert process.closed
    assert received == b"one\n"
