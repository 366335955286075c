"""`--check`: call every endpoint on each framework over HTTP; look at what comes, and when."""

from __future__ import annotations

__all__ = ("run",)

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import islice
from textwrap import shorten
from typing import Any
from urllib.parse import quote

from examples.demo.content import ENDPOINTS, FRAMEWORKS, ITEM_COUNT, ITEM_PAUSE, TICK, WORD_PAUSE
from examples.demo.probe import Answer, Frame, Mismatch, Running

EVENTS = "text/event-stream; charset=utf-8"
STREAMS = {
    "/stream/stock-ticker": EVENTS,
    "/ai/chat-stream": "text/plain; charset=utf-8",
    "/ai/chat-stream-sse": EVENTS,
    "/demo/comparison/streamed": "application/jsonl",
}
PROMPT = 'Grüße & "100 %" <b>+</b>'

# Of the time between the first part and the last one as planned: a busy machine delays the first.
LEAST_SPREAD = 1 / 3


def run() -> int:
    """Check the frameworks side by side; return the exit code."""
    try:
        # The servers are ended before the pool waits for those who talk to them.
        with ThreadPoolExecutor() as pool, ExitStack() as running:
            servers = [running.enter_context(Running(framework)) for framework in FRAMEWORKS]
            for checked in as_completed([pool.submit(_check, server) for server in servers]):
                checked.result()
    except Mismatch as mismatch:
        print(f"check: FAILED: {mismatch}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    count = len(FRAMEWORKS) * len(ENDPOINTS)
    print(f"check: {len(FRAMEWORKS)} frameworks, {count} endpoints, all fine")
    return 0


def _check(server: Running) -> None:
    looks = {"starting": _look_at_start} | {path: LOOKS[path] for path in ENDPOINTS}
    if server.framework != "fastapi":  # its path operations for GET refuse HEAD
        looks["HEAD"] = _look_at_head
    looks["stopping"] = _look_at_stop
    for what, look in looks.items():
        try:
            seen = look(server)
        except Exception as error:
            # Whatever goes wrong is a finding. An error of the client needs its name as well.
            said = error if isinstance(error, Mismatch) else repr(error)
            output = server.more_said()
            message = f"{server.framework}, {what}: {said}"
            raise Mismatch(f"{message}\n{output}" if output else message) from error
        # One write, because three threads print.
        sys.stdout.write(f"{server.framework:9}  {what:25}  {seen}\n")
        sys.stdout.flush()


def _look_at_start(server: Running) -> str:
    server.wait_until_ready()
    return "it printed its URL and its endpoints"


def _look_at_page(server: Running) -> str:
    with server.answer("/") as answer:
        _expect_type(answer, "text/html")
        _expect_paths(answer.text(), 'href="{}"')
    return "a page, it links all endpoints"


def _look_at_health(server: Running) -> str:
    with server.answer("/health") as answer:
        _expect_type(answer, "application/json")
        health = json.loads(answer.text())
    _expect("the answer", health, {"status": "ok", "framework": server.framework})
    return "ok"


def _look_at_ticker(server: Running) -> str:
    with server.answer("/stream/stock-ticker") as answer:
        _expect_stream(answer, EVENTS)
        frames = list(islice(answer.frames(), 3))
    quotes = [
        _unnamed(frame, stock=str, price=(int, float), change=(int, float)) for frame in frames
    ]
    _expect("the number of different stocks", len({quote["stock"] for quote in quotes}), 3)
    seen = _expect_spread([frame.at for frame in frames], 2 * TICK)
    _look_at_health(server)
    return f"3 prices, {seen}; the server is well after the connection was dropped"


def _look_at_chat(server: Running) -> str:
    for query in ("", "?prompt="):
        with server.answer(f"/ai/chat-stream{query}") as answer:
            start = b"".join(chunk for _, chunk in islice(answer.chunks(), 3)).decode()
            _expect_in('"Hello"', start)
    with server.answer(f"/ai/chat-stream?prompt={quote(PROMPT)}") as answer:
        _expect_stream(answer, STREAMS["/ai/chat-stream"])
        chunks = list(answer.chunks())
    text = b"".join(chunk for _, chunk in chunks).decode()
    _expect_in(PROMPT, text)
    words = len(text.split())
    seen = _expect_spread([at for at, _ in chunks], words * WORD_PAUSE)
    return f"{words} words, {seen}"


def _look_at_chat_events(server: Running) -> str:
    path = "/ai/chat-stream-sse"
    with server.answer(f"{path}?prompt={quote(PROMPT)}") as answer:
        _expect_stream(answer, EVENTS)
        *frames, finish, end = answer.frames()
    kinds: dict[str, Any] = {"token": str, "index": int, "model": str, "elapsed_ms": int}
    tokens = [_unnamed(frame, **kinds) for frame in frames]
    text = "".join(token["token"] for token in tokens)
    _expect_in(PROMPT, text)
    _expect("the indexes", [token["index"] for token in tokens], list(range(len(tokens))))
    times = [token["elapsed_ms"] for token in tokens]
    _expect("the order of elapsed_ms", times, sorted(times))
    _expect("the event before the last", finish.event, "finish")
    summary = _record(finish.data, tokens=int, duration_ms=int, finish_reason=str)
    _expect("the tokens of the finish", summary["tokens"], len(tokens))
    _expect("the last event", (end.event, end.id), ("end", "end"))
    _expect("its data", json.loads(end.data), {"state": "done", "count": len(tokens) + 1})
    seen = _expect_spread([frame.at for frame in frames], len(tokens) * WORD_PAUSE)
    with server.answer(path, headers={"Last-Event-ID": "end"}) as answer:
        _expect("the status for a client that has seen the end", answer.status, 204)
    return f"{len(tokens)} tokens, {seen}; then finish and end"


def _look_at_buffered(server: Running) -> str:
    with server.answer("/demo/comparison/buffered") as answer:
        _expect_type(answer, "application/json")
        result = _record(answer.text(), items=list, elapsed_ms=int)
    _expect_items([json.dumps(item) for item in result["items"]])
    if answer.at < 0.9 * ITEM_COUNT * ITEM_PAUSE:
        raise Mismatch(f"it came after {answer.at:.1f} s, before the items can be there")
    return f"{ITEM_COUNT} items, nothing before {answer.at:.1f} s"


def _look_at_streamed(server: Running) -> str:
    with server.answer("/demo/comparison/streamed") as answer:
        _expect_stream(answer, STREAMS["/demo/comparison/streamed"])
        lines = list(answer.lines())
    _expect_items([line for _, line in lines])
    seen = _expect_spread([at for at, _ in lines], (ITEM_COUNT - 1) * ITEM_PAUSE)
    return f"{ITEM_COUNT} items, {seen}"


def _look_at_docs(server: Running) -> str:
    with server.answer("/docs") as answer:
        _expect_type(answer, "text/html")
        text = answer.text()
    if server.framework != "fastapi":
        _expect_paths(text, 'href="{}"')
        return "a page, it links all endpoints"
    _expect_in("/openapi.json", text)
    with server.answer("/openapi.json") as answer:
        _expect_type(answer, "application/json")
        _expect_paths(answer.text(), '"{}"')
    return "a page, and its openapi.json has all endpoints"


def _look_at_head(server: Running) -> str:
    for path, media_type in STREAMS.items():
        with server.answer(path, method="HEAD") as answer:
            _expect_stream(answer, media_type)
    return f"the same headers for {len(STREAMS)} streams"


def _look_at_stop(server: Running) -> str:
    with server.answer("/stream/stock-ticker") as answer:
        next(answer.frames())
        seconds = server.stop()
    _expect("what it printed after its endpoints", server.more_said(), "")
    return f"exit code 0, {seconds:.1f} s after SIGINT, with an open ticker"


LOOKS: dict[str, Callable[[Running], str]] = {
    "/": _look_at_page,
    "/health": _look_at_health,
    "/stream/stock-ticker": _look_at_ticker,
    "/ai/chat-stream": _look_at_chat,
    "/ai/chat-stream-sse": _look_at_chat_events,
    "/demo/comparison/buffered": _look_at_buffered,
    "/demo/comparison/streamed": _look_at_streamed,
    "/docs": _look_at_docs,
}


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Mismatch(f"{what}: {got!r}, not {wanted!r}")


def _expect_in(part: str, text: str) -> None:
    if part not in text:
        raise Mismatch(f"{part!r} is not in {shorten(text, 200)!r}")


def _expect_type(answer: Answer, media_type: str) -> None:
    _expect("the status", answer.status, 200)
    _expect("the media type", answer.headers.get_content_type(), media_type)


def _expect_stream(answer: Answer, content_type: str) -> None:
    _expect("the status", answer.status, 200)
    _expect("Content-Type", answer.headers["Content-Type"], content_type)
    _expect("Cache-Control", answer.headers["Cache-Control"], "no-cache, no-transform")
    _expect("X-Accel-Buffering", answer.headers["X-Accel-Buffering"], "no")


def _expect_spread(times: Sequence[float], planned: float) -> str:
    seen = f"the first after {times[0]:.1f} s, the last after {times[-1]:.1f} s"
    if times[-1] - times[0] < planned * LEAST_SPREAD:
        raise Mismatch(f"it came at once, not over {planned:.1f} s: {seen}")
    return seen


def _expect_paths(text: str, written: str) -> None:
    for path in set(ENDPOINTS) - {"/", "/docs"}:
        _expect_in(written.format(path), text)


def _expect_items(lines: Sequence[str]) -> None:
    items = [_record(line, item=int, elapsed_ms=int)["item"] for line in lines]
    _expect("the items", items, list(range(1, ITEM_COUNT + 1)))


def _unnamed(frame: Frame, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    _expect("the event type", frame.event, "")
    return _record(frame.data, **kinds)


def _record(text: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(text)
    _expect("the keys", list(record), list(kinds))
    for key, kind in kinds.items():
        if not isinstance(record[key], kind):
            raise Mismatch(f"{key} is {record[key]!r}, which is no {kind}")
    return record
