"""A flow that streams: what a program does that asks a model and shows the answer as it comes.

Run it: python -m examples.demo.stream_test_flow [TEXT [PROVIDER]]
"""

from __future__ import annotations

__all__ = ("run_stream_test_workflow",)

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio

from examples.demo.settings import load_settings
from streamkit import step
from streamkit.models import ModelEvent
from streamkit.sources.any_model import stream_llm


@step
async def run_stream_test_workflow(
    user_input: str, provider: str = "gemini"
) -> AsyncGenerator[ModelEvent, None]:
    """Ask a provider and pass on its events; `str()` of each is its text.

    Example:
        async for chunk in run_stream_test_workflow("Hello!", provider="gemini"):
            print(chunk, end="", flush=True)
    """
    async for chunk in stream_llm(provider, user_input):
        yield chunk


async def main(user_input: str = "Hello!", provider: str = "echo") -> None:
    async for chunk in run_stream_test_workflow(user_input, provider=provider):
        print(chunk, end="", flush=True)
    print()


if __name__ == "__main__":
    load_settings(Path(".env"))
    anyio.run(lambda: main(*sys.argv[1:]))
