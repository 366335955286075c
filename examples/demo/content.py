"""What the demo streams. Nothing here knows a web framework."""

from __future__ import annotations

__all__ = (
    "ENDPOINTS",
    "FRAMEWORKS",
    "NO_KEY",
    "PAGE",
    "RUNS_PAGE",
    "Crawl",
    "api_key",
    "chat",
    "chat_with_metadata",
    "crawl_output",
    "endpoint_list",
    "is_key",
    "is_link",
    "parse_crawl",
    "quotes",
    "slow_items",
    "slow_items_at_once",
)

import json
import os
import random
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from anyio import current_time, sleep

from streamkit import Event, Line, Source
from streamkit.sources.echo import stream_echo
from streamkit.sources.process import Exit, option, stream_process
from streamkit.sources.tick import stream_every

FRAMEWORKS = ("fastapi", "starlette", "aiohttp")

RUN = "/runs/{upload_id}/{service}"

ENDPOINTS = {
    "/": "a page that shows all of it",
    "/health": "JSON: the server is up",
    "/stream/stock-ticker": "event stream without an end: a price each second",
    "/ai/chat-stream": "plain text, word by word; add ?prompt=",
    "/ai/chat-stream-sse": "event stream with an end: the same as tokens; add ?prompt=",
    "/demo/comparison/buffered": "JSON: ten slow items, sent when all are there",
    "/demo/comparison/streamed": "JSON lines: ten slow items, each sent when it is there",
    "/process": "POST, plain text: what a crawler in a process of its own prints, line by line",
    "/process/long-task": "event stream of a task's progress; who comes back finds the same task",
    "/stream/live-logs": "event stream without an end: one log, the same for all who follow",
    "/runs": "a page for the log of a run: leave it, and come back",
    RUN + "/generate": "POST, JSON: start a run that nobody has to wait for",
    RUN + "/status": "JSON: whether the run is active",
    RUN + "/logs": "event stream: its log, from the beginning or from where you left",
    RUN + "/logs/final": "JSON: its log when it has ended",
    "/models": "a page: choose a provider, ask, and see the answer arrive",
    "/api/stream/chat": "POST, event stream: the answer of a model in chunks",
    "/api/stream/chat-get": "the same for EventSource; ?user_input=&provider= echo, gemini, openai",
    "/api/stream/sse": "event stream in chunks that needs no question",
    "/api/flows/ask": "POST, JSON: the answer of a model when all of it is there",
    "/api/chat/stream": "POST, event stream: what another service answers; form or ?message=",
    "/api/chat/messages": "JSON: what was kept of the chat",
    "/upstream/answers": "POST, event stream: the service that the chat asks",
    "/docs": "the endpoints; FastAPI's page loads its script from the internet",
}

POSTS = {"/process", "/api/stream/chat", "/api/flows/ask", "/api/chat/stream", "/upstream/answers"}

PAGE = Path(__file__).with_name("page.html")
RUNS_PAGE = Path(__file__).with_name("runs.html")
CRAWLER = Path(__file__).with_name("crawler_script.py")

TICK = 1.0
WORD_PAUSE = 0.05
ITEM_PAUSE = 0.1
ITEM_COUNT = 10

MAX_KEYWORDS = 200  # characters
MAX_DOMAINS = 1000

DEFAULT_KEY = "tim6-secret-key-2025"
NO_KEY = "X-API-Key is missing or wrong"

PRICES = {"ACME": 120.0, "GLOBEX": 64.5, "INITECH": 18.75, "UMBRELLA": 240.25}


@dataclass(frozen=True)
class Quote:
    """An item may be a dataclass: formats write it as JSON."""

    stock: str
    price: float
    change: float


def quotes() -> Source[Quote]:
    """A source without an end: what a function returns, once a second."""
    prices = dict(PRICES)
    stocks = cycle(prices)

    def next_quote() -> Quote:
        stock = next(stocks)
        old = prices[stock]
        prices[stock] = round(old * random.uniform(0.97, 1.03), 2)
        return Quote(stock, prices[stock], round(prices[stock] - old, 2))

    return stream_every(TICK, next_quote)


def chat(prompt: str) -> AsyncIterable[str]:
    """A source of words. A model would take the place of `stream_echo`."""
    answer = (
        f'You asked: "{prompt or "Hello"}". No model is behind this answer. '
        "It comes word by word, so that you can read the start before the end is there."
    )
    return stream_echo(answer, pause=WORD_PAUSE)


async def chat_with_metadata(
    words: AsyncIterable[str],
) -> AsyncGenerator[dict[str, object] | Event, None]:
    """A step: any generator over a source. It may change items, and add or drop some."""
    start = current_time()
    index = 0
    async for word in words:
        yield {"token": word, "index": index, "model": "echo", "elapsed_ms": _ms_since(start)}
        index += 1
    finish = {"tokens": index, "duration_ms": _ms_since(start), "finish_reason": "stop"}
    yield Event("finish", finish)


async def slow_items() -> AsyncGenerator[dict[str, object], None]:
    """A source of items that take their time."""
    start = current_time()
    for number in range(1, ITEM_COUNT + 1):
        await sleep(ITEM_PAUSE)
        yield {"item": number, "elapsed_ms": _ms_since(start)}


async def slow_items_at_once() -> dict[str, object]:
    """The same without streaming: nothing is sent before all of it is there."""
    start = current_time()
    items = [item async for item in slow_items()]
    return {"items": items, "elapsed_ms": _ms_since(start)}


@dataclass(frozen=True)
class Crawl:
    """The body of `POST /process`. What is refused here never reaches a command line."""

    data: str
    num_domains: int

    def __post_init__(self) -> None:
        # Printable: neither a NUL, which no argument can hold, nor half of a surrogate pair.
        if not (0 < len(self.data) <= MAX_KEYWORDS and self.data.isprintable()):
            raise ValueError(f"data: 1 to {MAX_KEYWORDS} printable characters")
        if not 0 < self.num_domains <= MAX_DOMAINS:
            raise ValueError(f"num_domains: 1 to {MAX_DOMAINS}")


def parse_crawl(body: bytes) -> Crawl:
    """Read the body, for the frameworks that do not; a ValueError says what is wrong with it."""
    match json.loads(body):
        case {"data": str(keywords), "num_domains": int(number)}:
            return Crawl(keywords, number)
    raise ValueError('expected {"data": "slot online", "num_domains": 3}')


def crawl_output(crawl: Crawl) -> Source[Line | Exit]:
    """A source of lines: what a command prints, stderr included. Closing it ends the command."""
    return stream_process(
        sys.executable,
        "-u",
        CRAWLER,
        *option("-k", crawl.data),
        *option("-n", str(crawl.num_domains)),
    )


def api_key() -> str:
    """The key that a crawl needs. An empty variable is none, or a request without a key had it."""
    return os.environ.get("PROCESS_API_KEY") or DEFAULT_KEY


def is_key(key: str) -> bool:
    """Tell whether a request may run a crawler, in a time that does not tell how near it was."""
    return secrets.compare_digest(key.encode(errors="surrogateescape"), api_key().encode())


def endpoint_list() -> str:
    """A page for the frameworks that bring none of their own."""
    rows = (f"<li>{_link(path)}: {words}</li>" for path, words in ENDPOINTS.items())
    title = "Endpoints of the demo"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{title}</title><h1>{title}</h1><ul>{''.join(rows)}</ul></html>"
    )


def is_link(path: str) -> bool:
    """Tell whether a list can link it: what answers to GET, and is complete."""
    return path not in POSTS and "{" not in path


def _link(path: str) -> str:
    return f'<a href="{path}">{path}</a>' if is_link(path) else path


def _ms_since(start: float) -> int:
    return round((current_time() - start) * 1000)
