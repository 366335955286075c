"""Ask the provider in one way, read all of its answer, and check it. Prints one object.

    python -m benchmarks.models.client VARIANT PORT COUNT

A process of its own: its CPU is what the way costs. A short answer comes first, because SDKs load
half of themselves when they are first used.
"""

from __future__ import annotations

__all__ = ()

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from google import genai
from openai import AsyncOpenAI

from benchmarks.models.variants import GEMINI, GENAI, GPT, GPT_BY_SDK, OPENAI
from benchmarks.models.wires import text
from streamkit.sources.gemini import stream_gemini
from streamkit.sources.openai import stream_gpt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEY = "none"
MODEL = "of-the-benchmark"
PROMPT = "Go on."
WARM_UP = 500  # chunks


async def openai(url: str) -> AsyncIterator[str]:
    """Use the SDK as its documentation does."""
    async with (
        AsyncOpenAI(api_key=KEY, base_url=url) as client,
        await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": PROMPT}],
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks,
    ):
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


async def gpt(url: str) -> AsyncIterator[str]:
    """Use the bare wire."""
    async with httpx2.AsyncClient() as client:
        answer = stream_gpt(PROMPT, model=MODEL, client=client, api_key=KEY, base_url=url)
        async for event in answer:
            yield str(event)


async def gpt_by_sdk(url: str) -> AsyncIterator[str]:
    """Have the SDK ask, and read its raw response."""
    async with AsyncOpenAI(api_key=KEY, base_url=url) as client:
        async for event in stream_gpt(PROMPT, model=MODEL, client=client):
            yield str(event)


async def google_genai(url: str) -> AsyncIterator[str]:
    """Use the SDK as its documentation does; with aiohttp installed, it uses that."""
    async with genai.Client(api_key=KEY, http_options={"base_url": url}).aio as client:
        asked = client.models.generate_content_stream(model=MODEL, contents=PROMPT)
        async for chunk in await asked:
            yield chunk.text or ""


async def gemini(url: str) -> AsyncIterator[str]:
    """Use the bare wire."""
    async with httpx2.AsyncClient() as client:
        answer = stream_gemini(PROMPT, model=MODEL, client=client, api_key=KEY, base_url=url)
        async for event in answer:
            yield str(event)


WAYS: dict[str, Callable[[str], AsyncIterator[str]]] = {
    OPENAI: openai,
    GPT: gpt,
    GPT_BY_SDK: gpt_by_sdk,
    GENAI: google_genai,
    GEMINI: gemini,
}


async def measure(name: str, port: int, count: int) -> dict[str, Any]:
    """Measure from the request to the end of the answer."""
    way = WAYS[name]
    await _read(way, port, WARM_UP)
    cpu, start = time.process_time(), time.perf_counter()
    came = await _read(way, port, count)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
    if came != "".join(map(text, range(count))):
        raise SystemExit(f"{name}: not the answer that was sent")
    return {"chunks": count, "seconds": seconds, "client_cpu": cpu}


async def _read(way: Callable[[str], AsyncIterator[str]], port: int, count: int) -> str:
    return "".join([text async for text in way(f"http://127.0.0.1:{port}/{count}")])


def main() -> None:
    name, port, count = sys.argv[1:]
    json.dump(anyio.run(measure, name, int(port), int(count)), sys.stdout)


if __name__ == "__main__":
    main()
