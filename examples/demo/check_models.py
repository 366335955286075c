"""`--check`, of models and of the chat: they answer piece by piece, and refuse in their own way."""

from __future__ import annotations

__all__ = ("LOOKS",)

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import quote, urlencode
from uuid import uuid4

from examples.demo.asking import POLICY, WORD_PAUSE
from examples.demo.chats import MESSAGE_REQUIRED, UPSTREAM
from examples.demo.expecting import (
    EVENTS,
    expect,
    expect_in,
    expect_refusal,
    expect_spread,
    expect_stream,
    expect_type,
)
from examples.demo.probe import Answer, Frame, Running

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
QUESTION = 'Xin chào, bạn có "khỏe" không?'

START = '{"event": "start", "data": {"message": "Starting AI response..."}}'
END = '{"type": "end"}'
DONE = '{"chunk": "", "done": true}'
SOURCES = json.dumps(
    {
        "type": "sources",
        "sources": [{"id": POLICY.id, "title": POLICY.title, "content": POLICY.content}],
    }
)


def _look_at_page(server: Running) -> str:
    with server.answer("/models") as answer:
        expect_type(answer, "text/html")
        text = answer.text()
    for provider in ("echo", "gemini", "openai"):
        expect_in(f'value="{provider}"', text)
    return "a page; a browser tries it in the tests"


def _look_at_post(server: Running) -> str:
    path, wrong = "/api/stream/chat", 422 if server.framework == "fastapi" else 400
    for body in ("", "[]", '{"user_input": 1}', '{"user_input": ""}'):
        with _post(server, path, body) as answer:
            expect_refusal(answer, wrong)
    with _post(server, path, json.dumps({"user_input": "x", "provider": "nobody"})) as answer:
        refusal = expect_refusal(answer, 400)
    expect("the error", refusal["error"], "unknown-provider")
    _look_at_cors(server, path)
    with _post(server, path, json.dumps({"user_input": QUESTION, "provider": "echo"})) as answer:
        return _expect_chunks(answer, QUESTION)


def _look_at_get(server: Running) -> str:
    path = "/api/stream/chat-get"
    with server.answer(
        f"{path}?{urlencode({'user_input': QUESTION, 'provider': 'echo'})}"
    ) as answer:
        seen = _expect_chunks(answer, QUESTION)
    with server.answer(path, headers={"Last-Event-ID": "end"}) as answer:
        expect("the status for a client that has seen the end", answer.status, 204)
    return seen


def _look_at_sse(server: Running) -> str:
    with server.answer("/api/stream/sse") as answer:
        return _expect_chunks(answer, "Each of these words is an event of its own.")


def _look_at_ask(server: Running) -> str:
    with _post(server, "/api/flows/ask", json.dumps({"user_input": QUESTION})) as answer:
        expect_type(answer, "application/json")
        expect("the answer", json.loads(answer.text()), {"response": QUESTION})
    return "the same in one piece"


def _look_at_chat(server: Running) -> str:
    room = uuid4().hex
    for body in ("", "message=", "other=1"):
        with _post(server, f"/api/chat/stream?room={room}", body, FORM) as answer:
            expect("the refusal", expect_refusal(answer, 400), MESSAGE_REQUIRED)
    with server.answer("/api/chat/stream") as answer:
        expect("the refusal", expect_refusal(answer, 400), MESSAGE_REQUIRED)
    first, *frames, sources, end = _chat(server, room, QUESTION)
    expect("the first event", (first.event, first.data), ("", START))
    expect("the sources", (sources.event, sources.data), ("sources", SOURCES))
    expect("the last event", (end.event, end.data, end.id), ("end", END, "end"))
    answered = _content(frames)
    expect_in(QUESTION, answered)
    kept = [(m["sender"], m["message"], m["knowledge"]) for m in _messages(server, room)]
    expect("what was kept", kept, [("USER", QUESTION, []), ("AI", answered, [POLICY.id])])
    seen = expect_spread([frame.at for frame in frames], len(frames) * WORD_PAUSE)
    return f"{len(frames)} messages, {seen}; and it was kept"


def _look_at_messages(server: Running) -> str:
    expect("the messages of an unknown room", _messages(server, uuid4().hex), [])
    return "none of an unknown room; the others were seen with the chat"


def _look_at_upstream(server: Running) -> str:
    with _post(server, UPSTREAM, json.dumps({"question": QUESTION})) as answer:
        expect_stream(answer, EVENTS)
        _, *frames, sources, end = answer.frames()
    expect("the last events", (sources.data, end.data), (SOURCES, END))
    return f"{len(frames)} messages, sources and an end"


def _look_at_cors(server: Running, path: str) -> None:
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "content-type"
    with server.answer(path, method="OPTIONS", headers=asked) as answer:
        expect("the status of a preflight", answer.status, 200)
        expect("its origin", answer.headers["Access-Control-Allow-Origin"], "*")
    with server.answer("/api/stream/sse", headers={"Origin": "https://example.com"}) as answer:
        expect("the origin of a stream", answer.headers["Access-Control-Allow-Origin"], "*")


def _post(
    server: Running, path: str, body: str, headers: dict[str, str] = JSON
) -> AbstractContextManager[Answer]:
    return server.answer(path, method="POST", headers=headers, body=body)


def _expect_chunks(answer: Answer, text: str) -> str:
    expect_stream(answer, EVENTS)
    *frames, end = answer.frames()
    expect("the last event", (end.event, end.data, end.id), ("", DONE, "end"))
    chunks = [json.loads(frame.data)["chunk"] for frame in frames]
    expect("the answer", "".join(chunks), text)
    for frame, chunk in zip(frames, chunks, strict=True):
        said = json.dumps(chunk, ensure_ascii=False)
        expect("a chunk", (frame.event, frame.data), ("", f'{{"chunk": {said}, "done": false}}'))
    return (
        f"{len(chunks)} chunks, {expect_spread([f.at for f in frames], len(chunks) * WORD_PAUSE)}"
    )


def _chat(server: Running, room: str, message: str) -> list[Frame]:
    body = urlencode({"message": message})
    with _post(server, f"/api/chat/stream?room={quote(room)}", body, FORM) as answer:
        expect_stream(answer, EVENTS)
        return list(answer.frames())


def _content(frames: list[Frame]) -> str:
    expect("the events", {frame.event for frame in frames}, {"message"})
    said = [json.loads(frame.data) for frame in frames]
    expect("their type", {each["type"] for each in said}, {"content"})
    return "".join(each["content"] for each in said)


def _messages(server: Running, room: str) -> list[dict[str, object]]:
    with server.answer(f"/api/chat/messages?room={room}") as answer:
        expect_type(answer, "application/json")
        found: list[dict[str, object]] = json.loads(answer.text())["messages"]
    return found


LOOKS: dict[str, Callable[[Running], str]] = {
    "/models": _look_at_page,
    "/api/stream/chat": _look_at_post,
    "/api/stream/chat-get": _look_at_get,
    "/api/stream/sse": _look_at_sse,
    "/api/flows/ask": _look_at_ask,
    "/api/chat/stream": _look_at_chat,
    "/api/chat/messages": _look_at_messages,
    UPSTREAM: _look_at_upstream,
}
