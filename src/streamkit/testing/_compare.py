"""Random calls to a store, compared with the same calls to a model of one.

Any call may be made twice, as by a writer that lost the answer to the first. Times of the wall
clock are not compared, only whether they are set. Rule: nothing here knows which store it is.
"""

from __future__ import annotations

__all__ = ("StoreBroken", "compare")

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeAlias

from .._store.contract import Claim, Head, Over, Page, Store
from .._store.lifecycle import Ended
from ..errors import StreamkitError

_Result: TypeAlias = Head | Page | list[tuple[str, Head]] | None
_Ask: TypeAlias = Callable[[Store], Awaitable[_Result]]

# Names that a store could mix up: they differ in case, in SQL wildcards, or in order.
_NAMES = ("0", "A", "Z.z", "a", "a%b", "a-b", "a:1", "a:10", "a:2", "a_b", "axb", "b~")
_PREFIXES = ("", "a", "A", "a:1", "a_", "a%")
_REASONS = ("", "stop", "stop it, please", "näher \N{LINE SEPARATOR} \N{PILE OF POO}")
_ENDED: tuple[Ended, ...] = ("done", "error", "cancelled", "orphaned")
_OVERS: tuple[Over, ...] = ("nothing", "lapsed", "lapsed", "anything")

# Far above 32 bits, and far below 2**53, above which a float is no longer exact.
_EPOCH = 1 << 40

_RULES = {
    "claim": "a claim makes its maker the writer or changes nothing, and a repeated one nothing",
    "append": "an append adds, closes, trims and renews in one step when the stream is open, of "
    "the claim's life and epoch, and `expected` is its tail; else it does nothing",
    "read": "a page holds up to `limit` events from max(after + 1, first) on, and their head",
    "cancel": "a wish is noted in the head of an open stream, unless there is one",
    "delete": "a deleted stream is gone",
    "names": "streams are listed by name in the order of code points, those above `after`",
    "sweep": "a sweep removes what is past its keep, and lists open streams whose lease passed",
}


class StoreBroken(StreamkitError, AssertionError):
    """Say which rule a store breaks, and what it did instead."""

    code = "store-broken"

    def __init__(self, rule: str, found: str) -> None:
        """`rule` is a sentence without its full stop; `found` says what the store did instead."""
        super().__init__(f"{rule}. {found}")


async def compare(store: Store, model: Store, random: Random, *, calls: int = 60) -> None:
    """Make random calls to both, then read everything. Raise `StoreBroken` if they differ.

    Both must be empty.
    """
    pair = _Pair(store, model, random)
    for _ in range(calls):
        await random.choices(*_CALLS)[0](pair)
    await pair.check_all()


class _Pair:
    """A store and its model. Every call is made to both."""

    def __init__(self, store: Store, model: Store, random: Random) -> None:
        self.store, self.model, self.random = store, model, random
        self.names = random.sample(_NAMES, 3)
        self.count = 0
        self.said: list[str] = []

    async def claim(self) -> None:
        name = self.random.choice(self.names)
        over = self.random.choice(_OVERS)
        claim = self.some_claim(name, await self.head(name), mostly=int(over == "lapsed"))
        await self.ask("claim", f"{claim}, {over!r}", lambda store: store.claim(claim, over))

    async def append(self) -> None:
        random = self.random
        name = random.choice(self.names)
        head = await self.head(name)
        tail = 0 if head is None else head.tail
        claim = self.some_claim(name, head)
        expected = tail if random.random() < 0.8 else max(0, tail + random.choice((-2, -1, 1)))
        events = self.some_events(random.choice((0, 1, 1, 2, 3, 7)))
        close = random.choice(_ENDED) if random.random() < 0.1 else None
        forget = random.choice((0, 0, 0, 1, tail, tail + 1, tail + 2, tail + 99, tail // 2))
        await self.ask(
            "append",
            f"{claim}, {expected}, {events}, {close=}, {forget=}",
            lambda store: store.append(claim, expected, events, close=close, forget=forget),
        )

    async def read(self) -> None:
        name = self.random.choice(self.names)
        head = await self.head(name)
        after = self.random.randint(0, 2 if head is None else head.tail + 2)
        await self.ask_page(name, after, self.random.choice((0, 1, 2, 3, 5, 100)))

    async def cancel(self) -> None:
        name, reason = self.random.choice(self.names), self.random.choice(_REASONS)
        await self.ask("cancel", f"{name!r}, {reason!r}", lambda store: store.cancel(name, reason))

    async def delete(self) -> None:
        name = self.random.choice(self.names)
        await self.ask("delete", f"{name!r}", lambda store: store.delete(name))

    async def list_names(self) -> None:
        prefix, after = self.random.choice(_PREFIXES), self.random.choice(("", *self.names))
        limit = self.random.choice((1, 2, 100))
        await self.ask(
            "names",
            f"{prefix!r}, {after!r}, {limit}",
            lambda store: store.names(prefix, after, limit),
        )

    async def sweep(self) -> None:
        await self.ask("sweep", "", lambda store: store.sweep())

    async def check_all(self) -> None:
        """Read every stream from every cursor."""
        await self.sweep()
        await self.list_names()
        for name in self.names:
            head = await self.head(name)
            for after in range(0 if head is None else head.tail + 2):
                await self.ask_page(name, after, self.random.randint(0, 9))

    async def head(self, name: str) -> Head | None:
        """Return the model's head, so that most of the next calls are close to it."""
        page = await self.model.read(name, 0, 0)
        return None if page is None else page.head

    def some_claim(self, name: str, head: Head | None, *, mostly: int = 0) -> Claim:
        """Return the claim of a stream or one that differs in a part; without a stream, any claim.

        In most cases its epoch is `mostly` above the stream's epoch.
        """
        random = self.random
        life, epoch, token = "life1", _EPOCH, "token1"
        if head is not None:
            life, epoch, token = head.life, head.epoch, head.claims[-1][0]
        if random.random() < 0.15:
            life = f"life{random.randint(1, 3)}"
        epoch += mostly if random.random() < 0.7 else random.choice((-1, 0, 0, 1, 2))
        if random.random() < 0.3:
            token = f"token{random.randint(1, 20)}"
        lease = random.choice((0, 0, 1000, 1000.5))
        return Claim(name, life, epoch, token, lease, random.choice((0, 1000, 1000.5, None)))

    def some_events(self, count: int) -> Sequence[bytes]:
        first = self.count + 1
        self.count += count
        return [b'{"data":%d}' % number for number in range(first, first + count)]

    async def ask_page(self, name: str, after: int, limit: int) -> None:
        await self.ask(
            "read", f"{name!r}, {after}, {limit}", lambda store: store.read(name, after, limit)
        )

    async def ask(self, method: str, arguments: str, ask: _Ask) -> None:
        """Make a call to both, perhaps twice, and compare what they return."""
        for _ in range(2 if self.random.random() < 0.25 else 1):
            self.said.append(f"{method}({arguments})")
            expected = await ask(self.model)
            try:
                given = await ask(self.store)
            except Exception as error:
                error.add_note(self.history())
                raise
            if problem := _problem(given, expected, ordered=method == "names"):
                raise StoreBroken(_RULES[method], f"{problem} {self.history()}")

    def history(self) -> str:
        calls = "\n    ".join(self.said[-20:])
        return f"This shows in the last of {len(self.said)} calls:\n    {calls}"


# Nearly half of the calls are appends; the others are what may come between them.
_CALLS = (
    (
        _Pair.claim,
        _Pair.append,
        _Pair.read,
        _Pair.cancel,
        _Pair.delete,
        _Pair.list_names,
        _Pair.sweep,
    ),
    (7, 14, 4, 2, 1, 2, 4),
)


def _problem(given: _Result, expected: _Result, *, ordered: bool) -> str:
    """Say how a result differs from the model's; "" if it does not."""
    if isinstance(given, list) and isinstance(expected, list) and not ordered:
        given, expected = sorted(given, key=_by_name), sorted(expected, key=_by_name)
    if _timeless(given) != _timeless(expected):
        return f"It returned\n    {given}\nand not\n    {expected}\n"
    if isinstance(given, Page) and not all(type(event) is bytes for event in given.events):
        return f"Its events are not bytes: {given.events}\n"
    for head in _heads(given):
        times = [when for when in (head.started, head.ended, head.expires) if when is not None]
        if times != sorted(times):
            return f"A stream starts, ends and expires in this order, and not so:\n    {head}\n"
    return ""


def _timeless(result: _Result) -> object:
    """Return a result without times, to compare two stores: only whether each time is known."""
    if isinstance(result, Page):
        return _timeless(result.head), result.events
    if isinstance(result, list):
        return [(name, _timeless(head)) for name, head in result]
    if result is None:
        return None
    ended, expires = (None if when is None else 0.0 for when in (result.ended, result.expires))
    return replace(result, started=0.0, ended=ended, expires=expires)


def _heads(result: _Result) -> list[Head]:
    if isinstance(result, Page):
        return [result.head]
    if isinstance(result, list):
        return [head for _, head in result]
    return [] if result is None else [result]


def _by_name(listed: tuple[str, Head]) -> str:
    return listed[0]
