"""Another process with the same file: `child.py <what> <path> <more>`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from streamkit import Claim
from streamkit._store.verdict import new_epoch
from streamkit.sinks.sqlite import SQLiteStore

EVENT = b'{"type":"message","kind":"text","time":1.5,"data":"%d"}'


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def claim_of(name: str, life: str) -> Claim:
    return Claim(name, life, 1, "token1", 100.0, 100.0)


async def copy(store: SQLiteStore, source: str, target: str) -> None:
    """Read one stream, and append what it has to another."""
    await store.claim(claim_of(target, "life1"), "nothing")
    page = await store.read(source, 0, 1000)
    assert page is not None
    await store.append(claim_of(target, "life1"), 0, page.events, close="done")


async def append_for_ever(store: SQLiteStore, name: str) -> None:
    """Append, and tell each number once it is acknowledged."""
    claim, tail = claim_of(name, "life1"), 0
    await store.claim(claim, "nothing")
    while True:
        events = [EVENT % number for number in range(tail + 1, tail + 4)]
        head = await store.append(claim, tail, events)
        assert head is not None
        tail = head.tail
        tell(tail)


async def claim_all(store: SQLiteStore, life: str) -> None:
    """Claim names that others claim too, once told to; tell which were won."""
    tell("ready")
    sys.stdin.readline()
    for number in range(50):
        head = await store.claim(claim_of(f"n{number}", life), "nothing")
        if head is not None and head.life == life:
            tell(number)


async def take_over_all(store: SQLiteStore, token: str) -> None:
    """Take over lapsed streams, once told to; tell which were won."""
    tell("ready")
    sys.stdin.readline()
    for number in range(50):
        claim = Claim(f"n{number}", "life1", new_epoch(1), token, 100.0, 100.0)
        head = await store.claim(claim, "lapsed")
        if head is not None and head.epoch == claim.epoch:
            tell(number)


WHAT: dict[str, Callable[..., Awaitable[None]]] = {
    function.__name__: function for function in (copy, append_for_ever, claim_all, take_over_all)
}


async def main(what: str, path: str, *more: str) -> None:
    async with SQLiteStore(path) as store:
        await WHAT[what](store, *more)


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
