"""What a command writes arrives: in order, in time, and whole where it can be."""

from __future__ import annotations

from contextlib import aclosing
from time import monotonic
from typing import Any

import pytest

from streamkit import Line
from streamkit.sources.process import Exit, stream_process

from ._commands import (
    busy_for,
    first,
    outcome,
    python,
    resident_bytes,
    run,
    sh,
    until_asleep,
)

MEGABYTE = 1 << 20

ALTERNATING = """
    import sys
    for number in range(50):
        print("out", number)
        print("err", number, file=sys.stderr)
"""


async def test_lines_come_in_order_and_the_exit_comes_last() -> None:
    lines, exit = await run(sh("echo one; echo two; exit 3"))
    assert lines == ["one", "two"]
    assert (exit.code, exit.signal, exit.reason, exit.orphans) == (3, None, "exit", False)
    assert 0 <= exit.duration < 10


@pytest.mark.slow  # twenty interpreters start
async def test_merged_errors_keep_the_true_order() -> None:
    expected = [f"{name} {number}" for number in range(50) for name in ("out", "err")]
    for _ in range(20):
        lines, _exit = await run(python(ALTERNATING))
        assert lines == expected
        assert {line.stream for line in lines} == {""}


async def test_tagged_errors_tell_whose_each_line_is_and_each_stream_keeps_its_order() -> None:
    lines, _ = await run(python(ALTERNATING, stderr="tag"))
    for stream, name in (("stdout", "out"), ("stderr", "err")):
        own = [line for line in lines if line.stream == stream]
        assert own == [f"{name} {number}" for number in range(50)]
    assert len(lines) == 100


async def test_dropped_errors_do_not_come() -> None:
    lines, _ = await run(python(ALTERNATING, stderr="drop"))
    assert lines == [f"out {number}" for number in range(50)]


@pytest.mark.parametrize("stderr", ["merge", "tag", "drop"])
async def test_much_on_stderr_does_not_block_the_command(stderr: Any) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo done"
    lines, exit = await run(sh(script, stderr=stderr))
    assert "done" in lines
    assert sum(map(len, lines)) == (4 if stderr == "drop" else 300_004)
    assert exit.code == 0


async def test_ten_megabytes_of_input_go_in_while_output_comes_out() -> None:
    line = "x" * 99
    # On a busy machine a pause in the middle of a line would be told as a partial one.
    cat = stream_process("cat", stdin=f"{line}\n" * 100_000, partial_after=60)
    lines, exit = await run(cat)
    assert len(lines) == 100_000
    assert set(lines) == {line}
    assert exit.code == 0


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("echo hi", id="ends"),
        pytest.param("exec <&-; echo hi; sleep 0.05", id="closes it"),
        pytest.param("echo hi; sleep 0.05", id="lets it wait"),
        pytest.param("head -c 9 >/dev/null; echo hi", id="reads some"),
    ],
)
async def test_a_command_need_not_read_its_input(script: str) -> None:
    lines, exit = await run(sh(script, stdin=b"x" * 10 * MEGABYTE))
    assert lines == ["hi"]
    assert (exit.code, exit.reason) == (0, "exit")


@pytest.mark.parametrize("stdin", [None, "", b""], ids=repr)
async def test_without_input_there_is_its_end(stdin: Any) -> None:
    lines, _ = await run(stream_process("wc", "-c", stdin=stdin))
    assert lines == ["0"]


async def test_text_is_written_as_utf8() -> None:
    lines, _ = await run(stream_process("wc", "-c", stdin="é€"))
    assert lines == ["5"]


@pytest.mark.slow  # the silence after which a prompt is told
async def test_a_prompt_is_told_once_and_comes_again_when_it_is_whole() -> None:
    lines, _ = await run(sh("printf 'Password: '; sleep 0.6; echo thanks"))
    assert lines == ["Password: ", "Password: thanks"]
    assert [line.partial for line in lines] == [True, False]


@pytest.mark.slow  # a progress bar takes its time
async def test_each_step_of_a_progress_bar_comes_before_the_next() -> None:
    bar = python(
        """
        import time
        for _ in range(5):
            print(time.monotonic(), end="\\r")
            time.sleep(0.2)
        """,
        partial_after=0.1,
    )
    late = []
    async for item in bar:
        if isinstance(item, Line):
            assert item.overwritten
            late.append(monotonic() - float(item))
    assert len(late) == 5
    assert max(late) < 0.3


PRINTS_AND_STAYS = """
    import time
    print(time.monotonic())
    time.sleep(0.5)
"""


@pytest.mark.slow  # the command stays for a while, with its line told or not
@pytest.mark.parametrize("unbuffered", [True, False])
async def test_a_python_command_tells_its_lines_at_once_unless_it_may_hold_them_back(
    unbuffered: bool,
) -> None:
    process = python(PRINTS_AND_STAYS, unbuffered=unbuffered)
    printed = float(await first(process))
    late = monotonic() - printed
    assert late < 0.3 if unbuffered else late >= 0.5
    await outcome(process)


async def test_bad_utf8_is_replaced_and_the_stream_goes_on() -> None:
    lines, _ = await run(sh(r"printf 'bad \377\351\nnext\n'"))
    assert lines == ["bad \ufffd\ufffd", "next"]


async def test_characters_may_be_cut_anywhere() -> None:
    program = """
        import os, time
        for byte in "h\u00e9llo \u20ac\U0001f680\\r\\nnext".encode():
            os.write(1, bytes([byte]))
            time.sleep(0.002)
    """
    lines, _ = await run(python(program, partial_after=5.0))
    assert lines == ["héllo €🚀", "next"]
    assert not any(line.overwritten or line.partial for line in lines)


async def test_a_line_of_ten_megabytes_comes_in_pieces_and_the_next_is_whole() -> None:
    before, pieces = resident_bytes(), 0
    script = "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo next"
    async for item in sh(script, partial_after=5.0):
        if isinstance(item, Line) and item != "next":
            pieces += 1
            assert len(item) == 1 << 16
            assert item.cut == (pieces < 160)
            last = item
    assert pieces == 160
    assert not last.cut
    assert resident_bytes() - before < 8 * MEGABYTE


@pytest.mark.slow  # 100 MB, more than memory may grow
async def test_a_slow_reader_blocks_the_command_and_costs_no_memory() -> None:
    async with aclosing(sh("echo $$; exec yes")) as process:
        pid = int(await first(process))
        before, read = resident_bytes(), 0
        async with aclosing(process.batches()) as batches:
            async for batch in batches:  # nobody looks at the lines, so none is made
                read += len(batch) * 2
                if read < 3 * MEGABYTE:
                    await until_asleep(pid)
                if read > 100 * MEGABYTE:
                    break
        await until_asleep(pid)
        assert resident_bytes() - before < 40 * MEGABYTE


ONE_MEGABYTE = "i=0; while [ $i -lt 16 ]; do head -c 65535 /dev/zero; echo; i=$((i+1)); done"


@pytest.mark.slow  # the reader's pause
async def test_a_slow_reader_gets_all_that_a_command_wrote_before_it_ended() -> None:
    process = sh(ONE_MEGABYTE, drain=0.1)
    size, exits = 0, []
    async for batch in process.batches():
        for item in batch:
            if isinstance(item, Exit):
                exits.append(item)
            else:
                size += len(item.to_text())
        await busy_for(0.2)
    assert size == MEGABYTE
    assert [exit.orphans for exit in exits] == [False]


@pytest.mark.slow  # the reader's pause
async def test_a_slow_reader_does_not_make_a_command_too_slow() -> None:
    process = sh("echo one", timeout=0.3)
    assert await first(process) == "one"
    await busy_for(0.5)
    _, [exit], error = await outcome(process)
    assert error is None
    assert exit.reason == "exit"


@pytest.mark.slow  # the reader's pause
async def test_a_slow_reader_does_not_make_a_command_silent() -> None:
    # More than a pipe holds: the command waits for its reader, not the other way round.
    process = sh("echo one; head -c 3000000 /dev/zero; echo", idle_timeout=0.3)
    assert await first(process) == "one"
    await busy_for(0.5)
    _, [exit], error = await outcome(process)
    assert error is None
    assert (exit.code, exit.reason) == (0, "exit")
