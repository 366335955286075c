"""`stream_every`: the result of a call, on an interval that does not drift."""

from __future__ import annotations

__all__ = ("stream_every",)

from collections.abc import AsyncGenerator, Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, overload

from anyio import current_time, sleep_until

from .._feeding.step import Step

T = TypeVar("T")


@overload
def stream_every(interval: float, call: Callable[[], Awaitable[T]]) -> Step[T]: ...
@overload
def stream_every(interval: float, call: Callable[[], T]) -> Step[T]: ...
def stream_every(interval: float, call: Callable[[], T | Awaitable[T]]) -> Step[T]:
    """Call a function at once and then every `interval` seconds, and yield what it returns.

    The beats are counted from the start, so the time that `call` takes does not add up. A beat
    that passed while `call` or the reader was busy is left out, not made up for.

    Example:
        StreamResponse(stream_every(1.0, read_temperature), as_sse)
    """
    if not interval > 0:
        raise ValueError(f"interval is a time above 0 s, not {interval}")
    return Step(_beats(interval, call))


async def _beats(interval: float, call: Callable[[], T | Awaitable[T]]) -> AsyncGenerator[T, None]:
    start, beat = current_time(), 0
    while True:
        result = call()
        yield await result if isawaitable(result) else result
        passed = int((current_time() - start) / interval)
        # Never the same beat twice: uvloop counts in ms and wakes up to half of one too early.
        beat = max(beat, passed) + 1
        await sleep_until(start + beat * interval)
