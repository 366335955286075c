"""`--check`: call every endpoint on each framework over HTTP; look at what comes, and when."""

from __future__ import annotations

__all__ = ("run",)

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, suppress
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from examples.demo import check_models, check_runs, crawler_script
from examples.demo.content import (
    ENDPOINTS,
    FRAMEWORKS,
    ITEM_COUNT,
    ITEM_PAUSE,
    TICK,
    WORD_PAUSE,
    api_key,
)
from examples.demo.expecting import (
    EVENTS,
    expect,
    expect_in,
    expect_items,
    expect_paths,
    expect_refusal,
    expect_spread,
    expect_stream,
    expect_type,
    record,
    unnamed,
)
from examples.demo.probe import Answer, Mismatch, Running

STREAMS = {
    "/stream/stock-ticker": EVENTS,
    "/ai/chat-stream": "text/plain; charset=utf-8",
    "/ai/chat-stream-sse": EVENTS,
    "/demo/comparison/streamed": "application/jsonl",
    "/stream/live-logs": EVENTS,
}
JSON = {"Content-Type": "application/json"}
KEY = {"X-API-Key": api_key()}
WIDTH = max(map(len, ENDPOINTS))
PROMPT = 'Grüße & "100 %" <b>+</b>'

# From the client's leaving until its crawler is gone; it needs milliseconds on an idle machine.
LEAVE_TIMEOUT = 3.0


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
        sys.stdout.write(f"{server.framework:9}  {what:{WIDTH}}  {seen}\n")
        sys.stdout.flush()


def _look_at_start(server: Running) -> str:
    server.wait_until_ready()
    return "it printed its URL and its endpoints"


def _look_at_page(server: Running) -> str:
    with server.answer("/") as answer:
        expect_type(answer, "text/html")
        text = answer.text()
    expect_paths(text, 'href="{}"')
    expect_in('"/process"', text)
    return "a page, it links all endpoints"


def _look_at_health(server: Running) -> str:
    with server.answer("/health") as answer:
        expect_type(answer, "application/json")
        health = json.loads(answer.text())
    expect("the answer", health, {"status": "ok", "framework": server.framework})
    return "ok"


def _look_at_ticker(server: Running) -> str:
    with server.answer("/stream/stock-ticker") as answer:
        expect_stream(answer, EVENTS)
        frames = list(islice(answer.frames(), 3))
    quotes = [
        unnamed(frame, stock=str, price=(int, float), change=(int, float)) for frame in frames
    ]
    expect("the number of different stocks", len({quote["stock"] for quote in quotes}), 3)
    seen = expect_spread([frame.at for frame in frames], 2 * TICK)
    _look_at_health(server)
    return f"3 prices, {seen}; the server is well after the connection was dropped"


def _look_at_chat(server: Running) -> str:
    for query in ("", "?prompt="):
        with server.answer(f"/ai/chat-stream{query}") as answer:
            start = b"".join(chunk for _, chunk in islice(answer.chunks(), 3)).decode()
            expect_in('"Hello"', start)
    with server.answer(f"/ai/chat-stream?prompt={quote(PROMPT)}") as answer:
        expect_stream(answer, STREAMS["/ai/chat-stream"])
        chunks = list(answer.chunks())
    text = b"".join(chunk for _, chunk in chunks).decode()
    expect_in(PROMPT, text)
    words = len(text.split())
    seen = expect_spread([at for at, _ in chunks], words * WORD_PAUSE)
    return f"{words} words, {seen}"


def _look_at_chat_events(server: Running) -> str:
    path = "/ai/chat-stream-sse"
    with server.answer(f"{path}?prompt={quote(PROMPT)}") as answer:
        expect_stream(answer, EVENTS)
        *frames, finish, end = answer.frames()
    kinds: dict[str, Any] = {"token": str, "index": int, "model": str, "elapsed_ms": int}
    tokens = [unnamed(frame, **kinds) for frame in frames]
    text = "".join(token["token"] for token in tokens)
    expect_in(PROMPT, text)
    expect("the indexes", [token["index"] for token in tokens], list(range(len(tokens))))
    times = [token["elapsed_ms"] for token in tokens]
    expect("the order of elapsed_ms", times, sorted(times))
    expect("the event before the last", finish.event, "finish")
    summary = record(finish.data, tokens=int, duration_ms=int, finish_reason=str)
    expect("the tokens of the finish", summary["tokens"], len(tokens))
    expect("the last event", (end.event, end.id), ("end", "end"))
    expect("its data", json.loads(end.data), {"state": "done", "count": len(tokens) + 1})
    seen = expect_spread([frame.at for frame in frames], len(tokens) * WORD_PAUSE)
    with server.answer(path, headers={"Last-Event-ID": "end"}) as answer:
        expect("the status for a client that has seen the end", answer.status, 204)
    return f"{len(tokens)} tokens, {seen}; then finish and end"


def _look_at_buffered(server: Running) -> str:
    with server.answer("/demo/comparison/buffered") as answer:
        expect_type(answer, "application/json")
        result = record(answer.text(), items=list, elapsed_ms=int)
    expect_items([json.dumps(item) for item in result["items"]])
    if answer.at < 0.9 * ITEM_COUNT * ITEM_PAUSE:
        raise Mismatch(f"it came after {answer.at:.1f} s, before the items can be there")
    return f"{ITEM_COUNT} items, nothing before {answer.at:.1f} s"


def _look_at_streamed(server: Running) -> str:
    with server.answer("/demo/comparison/streamed") as answer:
        expect_stream(answer, STREAMS["/demo/comparison/streamed"])
        lines = list(answer.lines())
    expect_items([line for _, line in lines])
    seen = expect_spread([at for at, _ in lines], (ITEM_COUNT - 1) * ITEM_PAUSE)
    return f"{ITEM_COUNT} items, {seen}"


def _look_at_process(server: Running) -> str:
    _look_at_refusals(server)
    with _crawl(server, PROMPT, 3) as answer:
        expect_stream(answer, "text/plain; charset=utf-8")
        lines = list(answer.lines())
    texts = [text for _, text in lines]
    expect("the first line", texts[0], f"Searching for {PROMPT!r} in 3 domains")
    expect("the last line", texts[-1], "Done: 42 links in 3 domains")
    slow = "[2/3] domain-2.example: slow, still waiting"
    expect("the place of the line from stderr", texts.index(slow), 4)
    expect("the number of lines", len(lines), 9)
    seen = expect_spread([at for at, _ in lines], 6 * crawler_script.PAUSE)
    left = _look_at_leaving(server)
    return f"{len(lines)} lines, {seen}; 401 without the key; {left}"


def _look_at_refusals(server: Running) -> None:
    body = json.dumps({"data": "slot online", "num_domains": 3})
    for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}):
        with server.answer("/process", method="POST", headers=JSON | headers, body=body) as answer:
            expect_refusal(answer, 401)
    wrong = 422 if server.framework == "fastapi" else 400
    for body in ("", "{", "[]", '{"data": 1}', _crawl_body("x", 0), _crawl_body("\0", 1)):
        with server.answer("/process", method="POST", headers=JSON | KEY, body=body) as answer:
            expect_refusal(answer, wrong)
    with _crawl(server, "--help", 3) as answer:  # would be an option of the crawler
        refusal = expect_refusal(answer, 400)
    expect("the error", refusal["error"], "unsafe-argument")


def _look_at_leaving(server: Running) -> str:
    keywords = f"leaving {server.framework} {uuid4().hex}"
    with _crawl(server, keywords, 1000) as answer:
        next(answer.lines())
        there = _crawlers(keywords)
    if not Path("/proc/self/cmdline").exists():
        return "no /proc here to look for its crawler"
    expect("the number of crawlers before the client leaves", there, 1)
    left = monotonic()
    while _crawlers(keywords):
        if monotonic() > left + LEAVE_TIMEOUT:
            raise Mismatch(f"its crawler still runs {LEAVE_TIMEOUT:g} s after the client left")
        sleep(0.01)
    return f"a crawler is gone {monotonic() - left:.2f} s after its client"


def _crawlers(keywords: str) -> int:
    """Count the processes with these keywords; the command line of one that has ended is empty."""
    count = 0
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # gone meanwhile
            count += keywords.encode() in file.read_bytes()
    return count


def _crawl(server: Running, keywords: str, number: int) -> AbstractContextManager[Answer]:
    body = _crawl_body(keywords, number)
    return server.answer("/process", method="POST", headers=JSON | KEY, body=body)


def _crawl_body(keywords: str, number: int) -> str:
    return json.dumps({"data": keywords, "num_domains": number})


def _look_at_docs(server: Running) -> str:
    with server.answer("/docs") as answer:
        expect_type(answer, "text/html")
        text = answer.text()
    if server.framework != "fastapi":
        expect_paths(text, 'href="{}"')
        expect_in("<li>/process: ", text)
        return "a page, it links all endpoints"
    expect_in("/openapi.json", text)
    with server.answer("/openapi.json") as answer:
        expect_type(answer, "application/json")
        text = answer.text()
    expect_paths(text, '"{}"')
    expect_in('"/process"', text)
    return "a page, and its openapi.json has all endpoints"


def _look_at_head(server: Running) -> str:
    for path, media_type in STREAMS.items():
        with server.answer(path, method="HEAD") as answer:
            expect_stream(answer, media_type)
    return f"the same headers for {len(STREAMS)} streams"


def _look_at_stop(server: Running) -> str:
    logs = f"{check_runs.start(server)}/logs"
    with server.answer("/stream/stock-ticker") as ticker, server.answer(logs) as log:
        next(ticker.frames()), next(log.frames())
        seconds = server.stop()
    expect("what it printed after its endpoints", server.more_said(), "")
    expect("the temporary files that it left", server.files, [])
    return f"exit code 0, {seconds:.1f} s after SIGINT, with an open ticker and an active run"


LOOKS: dict[str, Callable[[Running], str]] = {
    "/": _look_at_page,
    "/health": _look_at_health,
    "/stream/stock-ticker": _look_at_ticker,
    "/ai/chat-stream": _look_at_chat,
    "/ai/chat-stream-sse": _look_at_chat_events,
    "/demo/comparison/buffered": _look_at_buffered,
    "/demo/comparison/streamed": _look_at_streamed,
    "/process": _look_at_process,
    "/docs": _look_at_docs,
    **check_runs.LOOKS,
    **check_models.LOOKS,
}
