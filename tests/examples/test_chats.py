"""The chat of the demo, without a web framework: complete or not at all."""

from __future__ import annotations

__all__ = ()

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from examples.demo.asking import POLICY, form_field, parse_question
from examples.demo.chat_table import ChatTable
from examples.demo.chats import Chats
from examples.demo.settings import load_settings
from examples.demo.stream_test_flow import run_stream_test_workflow
from streamkit import open_source
from streamkit.sinks.relay import as_relay
from streamkit.sources.any_model import stream_llm
from streamkit.sources.gemini import stream_gemini
from streamkit.sources.openai import stream_gpt

from ..sinks.old_shapes import requested, without_ids
from ..sources._upstream_server import Exchange, says, serving, waits

ANSWER = (
    b'event: message\ndata: {"type": "content", "content": "Based on"}\n\n'
    b"event: message\ndata: {broken\n\n"
    b'event: message\ndata: {"type": "content", "content": " your"}\n\n'
    b'event: sources\ndata: {"type": "sources", "sources": '
    b'[{"id": "doc-123", "title": "HR Policy", "content": "Text"}]}\n\n'
)
END = b'event: end\ndata: {"type": "end"}\n\n'
ERROR = b'event: error\ndata: {"error": "Failed to process message"}\n\n'
START = b'data: {"event": "start", "data": {"message": "Starting AI response..."}}\n\n'


@pytest.fixture
async def chats(tmp_path: Path) -> AsyncIterator[Chats]:
    chats = Chats(tmp_path / "demo.db")
    async with chats.running():
        yield chats


async def kept(chats: Chats, room: str = "room") -> list[tuple[str, str, object]]:
    messages: Any = (await chats.messages(room))["messages"]
    return [(each["sender"], each["message"], each["knowledge"]) for each in messages]


async def test_an_answer_is_passed_on_byte_for_byte_and_kept_with_its_sources(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(says(ANSWER, END)) as server:
        monkeypatch.setenv("STREAMKIT_DEMO_UPSTREAM", server.url)
        sent = await requested(chats.answer("room", "Why?", ("", 0)), as_relay)
        assert without_ids(sent) == START + ANSWER + END
        assert server.exchanges[0].body == b'{"question":"Why?"}'
    assert await kept(chats) == [("USER", "Why?", []), ("AI", "Based on your", ["doc-123"])]
    assert await kept(chats, "another room") == []


BROKEN = [
    pytest.param(says(ANSWER, cut=True), id="cut"),
    pytest.param(says(ANSWER), id="ended without an end"),
    pytest.param(says(ANSWER, b"event: error\ndata: {}\n\n"), id="failed"),
]


@pytest.mark.parametrize("script", BROKEN)
async def test_of_an_answer_that_fails_nothing_is_kept(
    script: Any, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(script) as server:
        monkeypatch.setenv("STREAMKIT_DEMO_UPSTREAM", server.url)
        sent = await requested(chats.answer("room", "Why?", ("", 0)), as_relay)
        assert without_ids(sent) == START + ANSWER + ERROR
    assert await kept(chats) == []


async def test_of_an_answer_that_nobody_waits_for_nothing_is_kept_and_the_upstream_is_left(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(waits(ANSWER)) as server:
        monkeypatch.setenv("STREAMKIT_DEMO_UPSTREAM", server.url)
        async with open_source(chats.answer("room", "Why?", ("", 0))) as items:
            await anext(items)
        await server.exchanges[0].client_left.wait()
    assert await kept(chats) == []


async def test_what_cannot_be_kept_whole_is_not_kept_and_the_client_is_told(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless = ANSWER.replace(b"doc-123", b"")
    async with serving(says(nameless, END)) as server:
        monkeypatch.setenv("STREAMKIT_DEMO_UPSTREAM", server.url)
        sent = await requested(chats.answer("room", "Why?", ("", 0)), as_relay)
        assert without_ids(sent) == START + nameless + ERROR
    assert await kept(chats) == []


def test_messages_take_what_they_knew_with_them(tmp_path: Path) -> None:
    file = tmp_path / "demo.db"
    table = ChatTable(file)
    table.add("a", "Why?", "So.", ["1", "2"])
    table.add("b", "Who?", "You.", ["3"])
    table.delete("a")
    assert table.read("a") == []
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT knowledgeId FROM AiChatRoomMessageKnowledge").fetchall()
        assert rows == [("3",)]
        names = {row[1] for row in connection.execute("PRAGMA table_info(AiChatRoomMessage)")}
    connection.close()
    assert names == {
        "id",
        "aiChatRoomId",
        "sender",
        "message",
        "htmlFormattedMessage",
        "knowledgeId",
        "createdAt",
        "updatedAt",
    }


MULTIPART = (
    '--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n'
    '--x\r\nContent-Disposition: form-data; name="message"\r\n\r\nGrüße\n& more\r\n--x--\r\n'
).encode()
FORMS = [
    pytest.param(MULTIPART, "multipart/form-data; boundary=x", "Grüße\n& more", id="multipart"),
    pytest.param(MULTIPART[:60], "multipart/form-data; boundary=x", "", id="half of one"),
    pytest.param(b"", "multipart/form-data", "", id="no boundary"),
    pytest.param(
        urlencode({"a": "1", "message": "Grüße & more"}).encode(),
        "application/x-www-form-urlencoded",
        "Grüße & more",
        id="urlencoded",
    ),
    pytest.param(b"message=", "application/x-www-form-urlencoded", "", id="an empty field"),
    pytest.param(b"\xff", "", "", id="no form"),
]


@pytest.mark.parametrize(("body", "content_type", "message"), FORMS)
def test_a_field_of_a_form_is_read_however_it_was_sent(
    body: bytes, content_type: str, message: str
) -> None:
    assert form_field(body, content_type, "message") == message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"user_input": ""}', b'{"user_input": 1}'])
def test_what_is_no_question_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_question(body)


def test_settings_are_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# keys\n\nFIRST=one\n  export SECOND = 'two # 2'  # said twice\nTHIRD=three # 3\n"
        'FOURTH="f=4"\nFIFTH=\nno line\nSIXTH=from the file\n'
    )
    monkeypatch.setattr(os, "environ", {"SIXTH": "from outside"})
    load_settings(tmp_path / "missing")
    load_settings(file)
    assert os.environ == {
        "FIRST": "one",
        "SECOND": "two # 2",
        "THIRD": "three",
        "FOURTH": "f=4",
        "FIFTH": "",
        "SIXTH": "from outside",
    }


def test_the_policy_of_the_bundled_service_is_one_that_can_be_kept() -> None:
    assert POLICY.id


# What users of such streams write, as they write it.

SNIPPETS = [
    """\
async for chunk in stream_gpt("Your prompt here"):
    print(chunk, end='', flush=True)
""",
    """\
async for chunk in stream_gemini("Your prompt here"):
    print(chunk, end='', flush=True)
""",
    """\
async for chunk in stream_llm("gemini", "Your prompt"):
    print(chunk, end='', flush=True)
""",
    """\
async for chunk in stream_llm("openai", "Your prompt"):
    print(chunk, end='', flush=True)
""",
    """\
async for chunk in run_stream_test_workflow("Hello!", provider="gemini"):
    print(chunk, end='', flush=True)
""",
]
GPT = """\
data: {"choices":[{"index":0,"delta":{"content":"It "}}]}

data: {"choices":[{"index":0,"delta":{"content":"works."},"finish_reason":"stop"}]}

data: [DONE]

"""
GEMINI = """\
data: {"candidates":[{"content":{"parts":[{"text":"It "}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":"works."}]},"finishReason":"STOP"}]}

"""


async def either(exchange: Exchange) -> None:
    await says((GEMINI if "streamGenerateContent" in exchange.target else GPT).encode())(exchange)


@pytest.mark.slow  # the SDK of OpenAI is imported
@pytest.mark.parametrize("snippet", SNIPPETS)
async def test_the_snippets_run_as_they_are_written(
    snippet: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {
        "stream_gpt": stream_gpt,
        "stream_gemini": stream_gemini,
        "stream_llm": stream_llm,
        "run_stream_test_workflow": run_stream_test_workflow,
    }
    body = "\n".join("    " + line for line in snippet.splitlines())
    exec(f"async def run():\n{body}\n", names)
    async with serving(either) as server:
        base = server.url.removesuffix("/stream")
        for name, value in {
            "OPENAI_API_KEY": "key",
            "GEMINI_API_KEY": "key",
            "OPENAI_BASE_URL": base + "/v1",
            "GOOGLE_GEMINI_BASE_URL": base,
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        await names["run"]()
    assert capsys.readouterr().out == "It works."
