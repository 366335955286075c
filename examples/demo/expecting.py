"""What the check expects of an answer; anything else is a `Mismatch` that says what came."""

from __future__ import annotations

__all__ = (
    "EVENTS",
    "expect",
    "expect_in",
    "expect_items",
    "expect_paths",
    "expect_refusal",
    "expect_spread",
    "expect_stream",
    "expect_type",
    "record",
    "unnamed",
)

import json
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from examples.demo.content import ENDPOINTS, ITEM_COUNT, is_link
from examples.demo.probe import Answer, Frame, Mismatch

EVENTS = "text/event-stream; charset=utf-8"

# Of the time between the first part and the last one as planned: a busy machine delays the first.
LEAST_SPREAD = 1 / 3


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Mismatch(f"{what}: {got!r}, not {wanted!r}")


def expect_in(part: str, text: str) -> None:
    if part not in text:
        raise Mismatch(f"{part!r} is not in {shorten(text, 200)!r}")


def expect_type(answer: Answer, media_type: str) -> None:
    expect("the status", answer.status, 200)
    expect("the media type", answer.headers.get_content_type(), media_type)


def expect_stream(answer: Answer, content_type: str) -> None:
    expect("the status", answer.status, 200)
    expect("Content-Type", answer.headers["Content-Type"], content_type)
    expect("Cache-Control", answer.headers["Cache-Control"], "no-cache, no-transform")
    expect("X-Accel-Buffering", answer.headers["X-Accel-Buffering"], "no")


def expect_refusal(answer: Answer, status: int) -> dict[str, Any]:
    expect("the status", answer.status, status)
    expect("the media type", answer.headers.get_content_type(), "application/json")
    refusal: dict[str, Any] = json.loads(answer.text())
    return refusal


def expect_spread(times: Sequence[float], planned: float) -> str:
    seen = f"the first after {times[0]:.1f} s, the last after {times[-1]:.1f} s"
    if times[-1] - times[0] < planned * LEAST_SPREAD:
        raise Mismatch(f"it came at once, not over {planned:.1f} s: {seen}")
    return seen


def expect_paths(text: str, written: str) -> None:
    for path in filter(is_link, ENDPOINTS):
        if path not in ("/", "/docs"):
            expect_in(written.format(path), text)


def expect_items(lines: Sequence[str]) -> None:
    items = [record(line, item=int, elapsed_ms=int)["item"] for line in lines]
    expect("the items", items, list(range(1, ITEM_COUNT + 1)))


def unnamed(frame: Frame, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    expect("the event type", frame.event, "")
    return record(frame.data, **kinds)


def record(text: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(text)
    expect("the keys", list(record), list(kinds))
    for key, kind in kinds.items():
        if not isinstance(record[key], kind):
            raise Mismatch(f"{key} is {record[key]!r}, which is no {kind}")
    return record
