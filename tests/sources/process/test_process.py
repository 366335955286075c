"""How a command is started, what it is given, and what its items look like in each format."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group

from streamkit import Event, Format, Line, as_jsonl, as_sse, as_text
from streamkit._feeding.handover import Handover
from streamkit.sources.process import (
    CommandNotFound,
    Exit,
    StartFailed,
    UnsafeArgument,
    only,
    option,
    stream_process,
    stream_shell,
)

from ...fakes import drain
from ._commands import first, outcome, run, sh

SECRET = "hunter2"


async def test_each_argument_arrives_as_it_is() -> None:
    arguments = ["two words", "$HOME", "*", "; id", "", "'", "é"]
    lines, _ = await run(stream_process("printf", "%s\n", *arguments))
    assert lines == arguments


async def test_a_path_is_an_argument_and_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("inside\n")
    lines, _ = await run(stream_process("cat", tmp_path / "file"))
    assert lines == ["inside"]
    lines, _ = await run(stream_process("cat", "file", cwd=tmp_path))
    assert lines == ["inside"]


def test_a_list_of_arguments_is_refused_with_the_mend() -> None:
    command: Any = ["ls", "-l"]
    with pytest.raises(TypeError, match=r"a str or a path, not a list; write \*arguments"):
        stream_process(command)
    with pytest.raises(TypeError, match="takes the command and its arguments"):
        stream_process()


async def test_nothing_starts_before_the_first_item_is_asked_for(tmp_path: Path) -> None:
    process = stream_process("touch", tmp_path / "file")
    assert not (tmp_path / "file").exists()
    await run(process)
    assert (tmp_path / "file").exists()


async def test_a_line_for_a_shell_is_no_command_and_the_error_says_the_mends() -> None:
    _, exits, error = await outcome(stream_process("echo one; echo two"))
    assert exits == []
    assert isinstance(error, CommandNotFound)
    assert "pass arguments one by one" in str(error)
    assert "stream_shell" in str(error)


@pytest.fixture
def unfit(tmp_path: Path) -> Path:
    """Return a directory with a file that may not be executed, and one that cannot be."""
    (tmp_path / "forbidden").write_text("#!/bin/sh\n")
    (tmp_path / "garbage").write_bytes(b"\0\1\2")
    (tmp_path / "garbage").chmod(stat.S_IRWXU)
    return tmp_path


START_FAILURES = [
    pytest.param(["./missing"], {}, CommandNotFound, "not found", id="not found"),
    pytest.param(["./forbidden"], {}, StartFailed, "may not be executed", id="not executable"),
    pytest.param(["./garbage"], {}, StartFailed, "not a program", id="no program"),
    pytest.param(["ls"], {"cwd": f"/{SECRET}"}, StartFailed, "directory", id="no directory"),
    pytest.param(["ls"], {"cwd": "/dev/null"}, StartFailed, "directory", id="cwd is a file"),
    pytest.param(["ls", "a\0b"], {}, StartFailed, "NUL", id="nul in an argument"),
    pytest.param(["ls", "x" * 200_000], {}, StartFailed, "too long", id="long argument"),
    pytest.param(["x" * 5000], {}, StartFailed, "too long", id="long name"),
    pytest.param(["ls"], {"env": {"A=B": "x"}}, StartFailed, "environment", id="bad variable"),
    pytest.param(["ls", "\ud800"], {}, StartFailed, "UTF-8", id="half a character"),
]


@pytest.mark.parametrize(("argv", "options", "kind", "sentence"), START_FAILURES)
async def test_a_command_that_cannot_start_says_why_and_nothing_of_itself(
    unfit: Path, argv: list[str], options: dict[str, Any], kind: type[StartFailed], sentence: str
) -> None:
    options = {"cwd": unfit, **options, "env": {"TOKEN": SECRET, **options.get("env", {})}}
    lines, exits, error = await outcome(stream_process(*argv, SECRET, **options))
    assert (lines, exits) == ([], [])
    assert type(error) is kind
    for secret in (SECRET, "TOKEN", str(unfit), *(word for word in argv if word != "ls")):
        assert secret not in str(error)
    assert sentence in str(error)


async def test_a_command_that_could_not_start_has_nothing_to_close() -> None:
    process = stream_process("./missing")
    await outcome(process)
    assert process.closed
    await process.aclose()


async def environment(**options: Any) -> dict[str, str]:
    lines, _ = await run(stream_process("/usr/bin/env", **options))
    return dict(line.split("=", 1) for line in lines)


async def test_a_command_has_our_environment_and_what_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OURS", "1")
    ours = dict(os.environ)
    assert await environment(env={"MODE": "careful"}, unbuffered=False) == ours | {
        "MODE": "careful"
    }
    assert await environment(env={"OURS": "2"}, unbuffered=False) == ours | {"OURS": "2"}
    assert (await environment())["PYTHONUNBUFFERED"] == "1"
    assert (await environment(env={"PYTHONUNBUFFERED": ""}))["PYTHONUNBUFFERED"] == ""


async def test_an_environment_of_only_these_has_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEY", SECRET)
    monkeypatch.delenv("NOWHERE", raising=False)
    chosen = only("PATH", "NOWHERE", MODE="careful")
    expected = {"PATH": os.environ["PATH"], "MODE": "careful"}
    assert chosen == expected
    assert await environment(env=chosen, unbuffered=False) == expected
    assert await environment(env=chosen) == expected | {"PYTHONUNBUFFERED": "1"}
    assert await environment(env=only(), unbuffered=False) == {}


async def test_a_script_sees_its_parameters_as_variables_and_never_as_script(
    tmp_path: Path,
) -> None:
    evil = "\"; touch stolen; $(touch stolen) `touch stolen` '\n*"
    process = stream_shell('printf %s "$word" | cat', params={"word": evil}, cwd=tmp_path)
    lines, exit = await run(process)
    assert "\n".join(lines) == evil
    assert exit.code == 0
    assert not (tmp_path / "stolen").exists()


async def test_a_script_has_the_options_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", SECRET)
    script = 'read -r line; echo "$line $word $mode ${API_KEY-none}"; echo bad >&2'
    process = stream_shell(
        script,
        params={"word": "needle"},
        env=only("PATH", mode="careful"),
        stdin="given\n",
        stderr="drop",
    )
    lines, _ = await run(process)
    assert lines == ["given needle careful none"]


def test_a_value_cannot_become_an_option() -> None:
    assert option("--regexp", "-v") == ("--regexp=-v",)
    assert option("--regexp", "") == ("--regexp=",)
    assert option("-e", "word") == ("-e", "word")
    with pytest.raises(UnsafeArgument, match="the value of -e starts with a dash") as raised:
        option("-e", "--output=/etc/passwd")
    assert "passwd" not in str(raised.value)


EXIT = Exit(code=None, signal="SIGTERM", reason="timeout", duration=0.5, orphans=True)
FORMS = [
    pytest.param(Line("a"), b"a\n", b"data: a\n\n", b'"a"\n', id="line"),
    pytest.param(Line(""), b"\n", b"data: \n\n", b'""\n', id="empty line"),
    pytest.param(Line("a", partial=True), b"", b"", b"", id="partial"),
    pytest.param(Line("a", overwritten=True), b"a\r", b"data: a\n\n", b'"a"\n', id="overwritten"),
    pytest.param(Line("a", cut=True), b"a", b"data: a\n\n", b'"a"\n', id="cut"),
    pytest.param(
        Line("a", stream="stderr"),
        b"a\n",
        b'data: {"text":"a","stream":"stderr"}\n\n',
        b'{"text":"a","stream":"stderr"}\n',
        id="tagged",
    ),
    pytest.param(
        EXIT,
        b"",
        b'event: exit\ndata: {"code":null,"signal":"SIGTERM","reason":"timeout","duration":0.5,'
        b'"orphans":true}\n\n',
        b"",
        id="exit",
    ),
]


@pytest.mark.parametrize(("item", "text", "sse", "jsonl"), FORMS)
def test_each_format_has_its_form_of_each_item(
    item: Line | Exit, text: bytes, sse: bytes, jsonl: bytes
) -> None:
    for format, expected in ((as_text, text), (as_sse, sse), (as_jsonl, jsonl)):
        assert format.encoder().one(item) == expected
        assert b"".join(format.encoder().batch([item])) == expected


async def sent(source: Any, format: Format[Any]) -> bytes:
    """Return the whole body of a response."""
    hand, encoder = Handover(), format.encoder()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, encoder)
        body = await drain(hand)
    return encoder.begin() + body + encoder.end(hand.count)


async def test_an_event_stream_of_a_command_ends_with_its_exit_and_the_count() -> None:
    *frames, exit, end, rest = (await sent(sh("echo one; echo; echo two"), as_sse)).split(b"\n\n")
    assert frames == [b"data: one", b"data: ", b"data: two"]
    assert exit.startswith(b'event: exit\ndata: {"code":0,')
    assert end.startswith(b'event: end\ndata: {"state":"done","count":4}')
    assert rest == b""


@pytest.mark.slow  # the silence after which a prompt is told
async def test_what_is_not_sent_is_not_counted() -> None:
    body = await sent(sh("printf 'one: '; sleep 0.3; echo two"), as_sse)
    assert body.startswith(b"data: one: two\n\nevent: exit\n")
    assert b'"count":2' in body


@pytest.mark.parametrize("stderr", ["merge", "tag"])
async def test_text_and_json_lines_of_a_command_are_its_lines_alone(stderr: Any) -> None:
    script = r"printf 'one\ntwo\r\nthree\rfour'"
    assert await sent(sh(script, stderr=stderr), as_text) == b"one\ntwo\nthree\rfour\n"
    records = [
        json.loads(line) for line in (await sent(sh(script, stderr=stderr), as_jsonl)).splitlines()
    ]
    texts = ["one", "two", "three", "four"]
    tagged = [{"text": text, "stream": "stdout"} for text in texts]
    assert records == (texts if stderr == "merge" else tagged)


async def test_a_line_cannot_forge_an_event() -> None:
    body = await sent(sh(r"printf 'one\nevent: end\nid: 9\n'"), as_sse)
    assert body.startswith(b"data: one\n\ndata: event: end\n\ndata: id: 9\n\nevent: exit\n")


def test_the_event_of_an_exit_has_all_of_it() -> None:
    assert EXIT.to_event() == Event(
        "exit",
        {
            "code": None,
            "signal": "SIGTERM",
            "reason": "timeout",
            "duration": 0.5,
            "orphans": True,
        },
    )


async def test_a_process_is_read_in_batches_or_line_by_line() -> None:
    process = sh("echo one; echo two")
    assert await first(process) == "one"
    lines, _ = await run(process)
    assert lines == ["two"]
