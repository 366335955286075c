"""What the provider sends: chunks as OpenAI's chat completions and Gemini have them."""

from __future__ import annotations

__all__ = ("chat", "gemini", "text")

import json
from typing import Any

PER_WRITE = 50


def text(n: int) -> str:
    """Return the words of a chunk, each time others."""
    return f" and {n} more of them"


def chat(count: int) -> list[bytes]:
    """Return what goes out in one write, each time."""
    last = [_chat({}, finish_reason="stop"), _usage()]
    frames = [_chat({"content": text(n)}) for n in range(count)]
    return [*_writes([_frame(chunk) for chunk in (*frames, *last)]), b"data: [DONE]\n\n"]


def gemini(count: int) -> list[bytes]:
    """Return what goes out in one write, each time."""
    chunks = [_gemini(n) for n in range(count)]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    return _writes([_frame(chunk) for chunk in chunks])


def _chat(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_CHAT, "choices": [choice], "usage": None}


def _usage() -> dict[str, Any]:
    used = {"prompt_tokens": 9, "completion_tokens": 900, "total_tokens": 909}
    return {**_CHAT, "choices": [], "usage": used}


_CHAT = {
    "id": "chatcmpl-C9yFm2bRkQqX1",
    "object": "chat.completion.chunk",
    "created": 1763650000,
    "model": "gpt-of-the-benchmark",
    "service_tier": "default",
    "system_fingerprint": "fp_44709d6fcb",
}


def _gemini(n: int) -> dict[str, Any]:
    content = {"parts": [{"text": text(n)}], "role": "model"}
    return {
        "candidates": [{"content": content, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": n,
            "totalTokenCount": n + 9,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        },
        "modelVersion": "gemini-of-the-benchmark",
        "responseId": "mzkfaZ3kDtaqz7IP",
    }


def _frame(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk, separators=(",", ":")).encode()


def _writes(frames: list[bytes]) -> list[bytes]:
    return [
        b"".join(frames[start : start + PER_WRITE]) for start in range(0, len(frames), PER_WRITE)
    ]
