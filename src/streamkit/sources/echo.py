"""`stream_echo`: words with pauses, the stand-in for a model."""

from __future__ import annotations

__all__ = ("stream_echo",)

import re
from collections.abc import AsyncGenerator

from anyio import sleep

from .._feeding.step import step


@step
async def stream_echo(text: str, *, pause: float = 0.05) -> AsyncGenerator[str, None]:
    """Say `text` word by word, `pause` seconds apart; the words joined are the text.

    Needs no key and no network, so it serves to try and to test what a model will do later.

    Example:
        StreamResponse(stream_echo("Hello, how are you?"), as_text)
    """
    for number, word in enumerate(re.findall(r"\s*\S+\s*", text) or [text]):
        if number:
            await sleep(pause)
        yield word
