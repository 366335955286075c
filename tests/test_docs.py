"""The documentation is run as it is written: every code block but those marked `text`.

- `python`: the blocks of a page are run in one namespace; one that begins with `# name.py` is also
  written to that file.
- `console`: a line that begins with `$ ` is a command, what follows is what it must print. One that
  serves keeps running until the page ends; port 8000 stands for a free one.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import anyio
import pytest

from .errors.test_errors import CLASSES
from .test_layering import ROOMS, SOURCE

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
TESTS = {
    name
    for file in ROOT.glob("tests/**/test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
}


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match[1], match[2], text[: match.start()].count("\n") + 2)
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def runnable() -> Iterator[Any]:
    for page in PAGES:
        consoles = [block.text for block in blocks(page) if block.language == "console"]
        needs = [pytest.mark.needs("curl")] if "curl " in "".join(consoles) else []
        yield pytest.param(page, id=str(page.relative_to(ROOT)), marks=needs)


@contextmanager
def serving(command: str, port: int, folder: Path) -> Iterator[None]:
    """Run a command that serves, until it answers and then until the block is left."""
    server = subprocess.Popen(
        [sys.executable, "-m", *command.split(), "--port", str(port), "--log-level", "critical"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, f"{command} did not start"
                assert time.monotonic() < deadline, f"{command} does not answer"
        yield
    finally:
        server.terminate()
        server.wait(10)


def run_console(block: Block, folder: Path, servers: ExitStack, port: list[int]) -> None:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        if command.startswith("uvicorn "):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port[:] = [free.getsockname()[1]]
            servers.close()
            servers.enter_context(serving(command, port[0], folder))
        else:
            command = command.replace(":8000", f":{port[0]}")
            done = subprocess.run(
                ["sh", "-c", command],
                env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert done.stdout.rstrip("\n") == expected.rstrip("\n"), command


@pytest.mark.slow  # it starts the servers that the page starts
@pytest.mark.parametrize("page", list(runnable()))
def test_every_code_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "docs"}
    port: list[int] = []
    with ExitStack() as servers:
        for block in blocks(page):
            if block.language == "python":
                if named := re.match(r"# (\w+\.py)\n", block.text):
                    (tmp_path / named[1]).write_text(block.text)
                source = "\n" * (block.line - 1) + block.text
                exec(compile(source, str(page), "exec"), namespace)
            elif block.language == "console":
                run_console(block, tmp_path, servers, port)
            else:
                assert block.language == "text", f"{page}:{block.line} is neither run nor text"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not link.startswith("https://"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_installs_somebody_elses_package(page: Path) -> None:
    assert not re.search(r"pip install ['\"]?streamkit(?!-py)", page.read_text())


def promises() -> list[list[str]]:
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)
    return [[number, *map(str.strip, rest.split("|"))] for number, rest in rows]


def test_every_promise_names_tests_that_exist_or_says_not_yet() -> None:
    assert [row[0] for row in promises()] == [str(number) for number in range(1, 16)]
    for number, _, kept in promises():
        named = re.findall(r"`(test_\w+)`", kept)
        assert named or "not yet" in kept.lower(), f"promise {number}"
        assert set(named) <= TESTS, f"promise {number}: {set(named) - TESTS}"


def test_every_guarantee_names_tests_that_exist() -> None:
    page = (ROOT / "docs/guarantees.md").read_text()
    rows = re.findall(r"^\| (?!---)(.*) \|$", page, re.MULTILINE)
    assert rows
    for row in rows:
        *facts, kept = row.split(" | ")
        assert kept == "Test" or re.search(r"`test_\w+`", kept), facts[0]
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named <= TESTS, named - TESTS


def test_the_error_page_lists_each_code_with_its_status() -> None:
    listed = re.findall(
        r"^\| `([a-z-]+)` \| (\d+) \| `(\w+)` \|",
        (ROOT / "docs/errors.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(listed) == sorted(
        {(kind.code, str(kind.status), kind.__name__) for kind in CLASSES}
    )


def test_the_design_page_draws_the_house_as_it_is() -> None:
    page = (ROOT / "docs/design.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert [room for room, _, _ in rows] == [room for room in ROOMS if room != "streamkit"]
    for room, charter, below in rows:
        file = SOURCE / f"{room}.py" if room == "_loop" else SOURCE / room / "__init__.py"
        first = str(ast.get_docstring(ast.parse(file.read_text()))).splitlines()[0]
        assert first == charter, room
        assert set(below.split(", ")) - {"\N{EN DASH}"} == ROOMS[room], room


def examples() -> Iterator[Any]:
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if "Example:" in text else ():
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                if found := re.search(r"^Example:\n((?:    .*\n?|\n)+)", docstring, re.MULTILINE):
                    name = f"{file.relative_to(SOURCE)}:{node.name}"
                    yield pytest.param(re.sub("^    ", "", found[1], flags=re.MULTILINE), id=name)


PRELUDE = """
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
import httpx2
from aiohttp import web
from fastapi import FastAPI
from streamkit import *
from streamkit.adapters.aiohttp import respond
from streamkit.adapters.fastapi import StreamResponse, error_response
from streamkit._items.lines import LineDecoder
from streamkit.logs import *
from streamkit.models import *
from streamkit.sinks.sqlite import SQLiteStore
from streamkit.testing import *
from streamkit.sources.any_model import stream_model
from streamkit.sources.echo import stream_echo
from streamkit.sources.gemini import stream_gemini
from streamkit.sources.openai import stream_gpt
from streamkit.sources.process import *
from streamkit.sources.relay import relayed
from streamkit.sources.tick import stream_every
from streamkit.sources.upstream import *
def answered(request):
    said = '"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]'
    if "streamGenerateContent" in str(request.url):
        said = '"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]'
    headers = {"Content-Type": "text/event-stream"}
    return httpx2.Response(200, headers=headers, content="data: {%s}\\n\\n" % said)
client = httpx2.AsyncClient(transport=httpx2.MockTransport(answered))
stream_gpt = partial(stream_gpt, client=client, api_key="")
stream_gemini = partial(stream_gemini, client=client, api_key="")
url = "https://example.com/answers/42"
app = FastAPI()
streams = Streams(MemoryStore())
async def words(): yield "x"
def read_temperature(): return 20.5
class Shout(Encoder[str]): ...
from streamkit._items.sse import encode_comment, encode_text
"""


@pytest.mark.parametrize("example", list(examples()))
def test_every_example_in_a_docstring_runs(example: str) -> None:
    namespace: dict[str, Any] = {}
    exec(PRELUDE, namespace)
    if "middlewares=" in example:
        from streamkit.adapters import aiohttp as adapter  # noqa: PLC0415 - its names differ

        namespace["error_response"] = adapter.error_response
    code = compile(example, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        anyio.run(FunctionType(code, namespace))
    else:
        exec(code, namespace)
