"""What every server streams: the same dicts, always ready or ten a second.

Rule: no streamkit and no framework in here, so that the source costs everybody the same.
"""

from __future__ import annotations

__all__ = ("PER_SECOND", "Item", "expected", "items", "source", "trickle")

import json
import zlib
from functools import cache
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Item: TypeAlias = dict[str, str | int | float]

PER_SECOND = 10

_STOCKS = ("ACME", "GLOB", "INIT", "UMBR", "HOOL", "STRK", "WAYN", "WONK")

# 64 contents, about 100 bytes as compact JSON together with the index. No text holds a blank: the
# client takes blanks out before it compares, because peers differ in the spaces of their JSON.
_CONTENTS: tuple[Item, ...] = tuple(
    {
        "stock": _STOCKS[i % 8],
        "price": round(100 + i * 0.25, 2),
        "change": round(i * 0.05 - 1.6, 2),
        "volume": 125_000 + i,
        "time": f"2026-01-02T15:04:{i % 60:02}Z",
    }
    for i in range(64)
)


def _item(n: int) -> Item:
    return {**_CONTENTS[n % 64], "n": n}


async def items(count: int) -> AsyncIterator[Item]:
    """Yield `count` items without ever waiting."""
    for n in range(count):
        yield {**_CONTENTS[n % 64], "n": n}  # _item(), without the call


async def trickle(count: int) -> AsyncIterator[Item]:
    """Yield `count` items, ten a second on a fixed schedule, each with the time it was yielded."""
    start = anyio.current_time()
    for n in range(count):
        await anyio.sleep_until(start + (n + 1) / PER_SECOND)
        # CLOCK_MONOTONIC on Linux: the client's process reads the same clock.
        yield {**_item(n), "sent": perf_counter_ns()}


def source(path: str) -> AsyncIterator[Item]:
    """Give the source of `/events/<count>` or `/trickle/<count>`, for servers without a router."""
    _, kind, count = path.split("/")
    return {"events": items, "trickle": trickle}[kind](int(count))


@cache
def expected(count: int) -> int:
    """Compute the checksum a client must find: every event as `data:<compact JSON>`, in order."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    checksum = 0
    for n in range(count):
        checksum = zlib.crc32(b"data:" + encode(_item(n)).encode(), checksum)
    return checksum
