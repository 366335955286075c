"""The one table of sources that every application serves, under each format.

A scenario `live` becomes the routes `/sse/live`, `/text/live` and so on.
"""

from __future__ import annotations

__all__ = ("FORMATS", "SCENARIOS", "Scenario")

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from threading import get_ident
from time import monotonic
from typing import Any

from anyio import sleep, sleep_forever
from multidict import CIMultiDict

from streamkit import Format, as_bytes, as_event_jsonl, as_jsonl, as_sse, as_text
from streamkit.errors import EventTooLarge

from ._run import Run, where

FORMATS: dict[str, Format[Any]] = {
    "sse": as_sse,
    "text": as_text,
    "bytes": as_bytes,
    "jsonl": as_jsonl,
    "event-jsonl": as_event_jsonl,
}

SECRET = "the password is hunter2"
BLOCK = "x" * 65536


@dataclass(frozen=True)
class Scenario:
    """What makes the source of one request, and what its response is told."""

    source: Callable[[Run], Any]
    options: dict[str, Any]


SCENARIOS: dict[str, Scenario] = {}


def scenario(**options: Any) -> Callable[[Callable[[Run], Any]], Callable[[Run], Any]]:
    """Add a function to the table, under its name with dashes."""

    def added(source: Callable[[Run], Any]) -> Callable[[Run], Any]:
        SCENARIOS[source.__name__.replace("_", "-")] = Scenario(source, options)
        return source

    return added


# Sources that go well.


@scenario()
async def live(run: Run) -> AsyncIterator[str]:
    with run.watched():
        for word in ("one", "two", "three"):
            yield word
            await run.turn()


@scenario(
    status_code=202,
    headers=CIMultiDict(
        [
            ("Cache-Control", "max-age=9"),
            ("Content-Type", "text/x-own"),
            ("X-Own", "mine"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ]
    ),
)
async def with_headers(run: Run) -> AsyncIterator[str]:
    with run.watched():
        yield "one"


@scenario()
async def context_variable(run: Run) -> AsyncIterator[str]:
    with run.watched():
        yield where.get()


@scenario()
def from_a_thread(run: Run) -> Iterator[str]:
    run.notes.append(get_ident())
    with run.watched():
        try:
            yield where.get()
            number = 0
            # Like a loop over something that blocks: it comes back now and then, with nothing.
            while number < 3:
                passed = run.turn_in_thread(timeout=0.05)
                number += passed
                yield f"{number} " if passed else ""
        finally:
            run.notes.append(get_ident())


@scenario()
def file(run: Run) -> Any:
    run.given = TemporaryFile()  # noqa: SIM115 - the response closes it
    run.given.write(b"".join(number.to_bytes(4) for number in range(200_000)))
    run.given.seek(0)
    return run.given


@scenario()
def given(run: Run) -> Any:
    """What the test itself brings, such as a stream that it follows."""
    return run.source()


# Sources that are silent or busy.


@scenario(first_wait=30.0)
async def silent_before_headers(run: Run) -> AsyncIterator[str]:
    with run.watched():
        await sleep_forever()
        yield "never"


@scenario(first_wait=0.05, keep_alive=0.05)
async def late(run: Run) -> AsyncIterator[str]:
    with run.watched():
        await run.turn()
        yield "late"


@scenario(first_wait=0.05, keep_alive=None)
async def late_without_keep_alive(run: Run) -> AsyncIterator[str]:
    with run.watched():
        await run.turn()
        yield "late"


@scenario(keep_alive=0.3)
async def busy_for_a_while(run: Run) -> AsyncIterator[str]:
    with run.watched():
        end = monotonic() + 0.6
        while monotonic() < end:
            yield "busy"
            await sleep(0.01)


@scenario()
async def flood(run: Run) -> AsyncIterator[str]:
    with run.watched():
        while True:
            yield BLOCK


@scenario()
async def nothing_to_send(run: Run) -> AsyncIterator[str]:
    with run.watched():
        while True:
            yield ""


@scenario(send_timeout=0.5)
async def flood_for_the_stuck(run: Run) -> AsyncIterator[str]:
    with run.watched():
        while True:
            yield BLOCK


@scenario(send_timeout=0.5)
async def boom_for_the_stuck(run: Run) -> AsyncIterator[str]:
    with run.watched():
        yield BLOCK * 160
        raise ValueError(SECRET)


# Sources that fail.


@scenario()
async def boom_first(run: Run) -> AsyncIterator[str]:
    with run.watched():
        raise ValueError(SECRET)
        yield "never"


@scenario()
async def boom_between(run: Run) -> AsyncIterator[str]:
    with run.watched():
        yield "one"
        yield "two"
        raise ValueError(SECRET)


@scenario()
async def boom_after_much(run: Run) -> AsyncIterator[str]:
    with run.watched():
        for _ in range(100):
            yield BLOCK
        raise ValueError(SECRET)


@scenario()
async def boom_at_the_end(run: Run) -> AsyncIterator[str]:
    with run.watched():
        try:
            yield "one"
        finally:
            raise ValueError(SECRET)


@scenario()
async def forbidden(run: Run) -> AsyncIterator[str]:
    with run.watched():
        raise run.forbidden
        yield "never"


@scenario()
async def our_error_first(run: Run) -> AsyncIterator[str]:
    with run.watched():
        raise EventTooLarge(10)
        yield "never"


@scenario()
async def our_error_between(run: Run) -> AsyncIterator[str]:
    with run.watched():
        yield "one"
        raise EventTooLarge(10)


@scenario()
async def bytes_after_text(run: Run) -> AsyncIterator[object]:
    with run.watched():
        yield "one"
        yield b"two"


# What is no source.

for _name, _make in {
    "a-str": lambda run: "text",
    "a-dict": lambda run: {"a": 1},
    "a-coroutine": lambda run: sleep(1),
    "a-function": lambda run: live,
    "none": lambda run: None,
}.items():
    SCENARIOS[f"no-source-but-{_name}"] = Scenario(_make, {})
