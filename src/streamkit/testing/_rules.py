"""What random calls to a store do not cover: each rule is a sentence, and a function to check it.

Rule: a function gets an empty store, and raises `Broken` with what it found instead.
"""

from __future__ import annotations

__all__ = ("RULES", "Broken")

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from string import ascii_letters, digits

from anyio import Event, create_task_group, fail_after, sleep
from anyio.lowlevel import checkpoint

from .._store.contract import CLAIMS_KEPT, Claim, Head, Page, Store

_PATIENCE = 5.0  # seconds; what has not happened by then will not happen

# Text that a store, its driver or a JSON column could change.
_EVENTS = (
    b'{"type":"message","kind":"text","time":1.500,"data":""}',
    b'{"data":"a \\u0000 \\n \\" \\\\ \\ud800 %s {0} $1 \' ; --"}',
    '{"data":"ä \N{LINE SEPARATOR}\x7f\x85\ufeff é e\u0301 \N{PILE OF POO}"}'.encode(),
    b'{"b":1,"a":2,"b":123456789012345678901234567890,"c":1.0,"d":1e400}',
    b" { } ",
)


class Broken(Exception):
    """The store broke a rule; the message says what was found instead."""


async def _unknown(store: Store) -> None:
    _expect(await store.read("a", 0, 10) is None, "read returned something")
    _expect(await store.cancel("a", "") is None, "cancel returned something")
    _expect(await store.append(_claim(), 0, [b"1"]) is None, "append returned something")
    _expect(await store.claim(_claim(), "lapsed") is None, "a claim over lapsed was taken")
    await store.delete("a")
    _expect(await store.names() == [] == await store.sweep(), "there is a stream")


async def _fresh(store: Store) -> None:
    head = _known(await store.claim(_claim(), "nothing"))
    expected = Head("life1", 1, (("token1", 1),), 1, 0, "open", None, head.started, None, None)
    _expect(head == expected, f"it is {head}, not {expected}")
    _expect(abs(head.started - time.time()) < 86400, "`started` is not in seconds since 1970")


async def _same_bytes(store: Store) -> None:
    events = [*_EVENTS, b'"%b"' % (b"x" * (1 << 20)), *(b"%d" % number for number in range(1000))]
    await store.claim(_claim(), "nothing")
    _known(await store.append(_claim(), 0, events))
    read: list[bytes] = []
    while len(read) < len(events) and (page := _page(await store.read("a", len(read), 500)).events):
        read += page
    _expect(len(read) == len(events), f"of {len(events)} events there are {len(read)}")
    for given, expected in zip(read, events, strict=True):
        _expect(given == expected, f"{expected[:100]!r} came back as {given[:100]!r}")


async def _every_name(store: Store) -> None:
    names = sorted([*ascii_letters, *digits, *"._~:@%-", "a%2F", "z" * 200])
    for name in names:
        head = _known(await store.claim(_claim(name, life=name), "nothing"))
        _expect(head.life == name, f"{name!r} is taken for another name")
    found: list[str] = []
    while listed := await store.names(after=found[-1] if found else "", limit=9):
        found += [name for name, _ in listed]
        _expect(len(listed) <= 9 and len(found) <= len(names), f"too many were listed: {found}")
    _expect(found == names, f"the names {names} are listed as {found}")


async def _whole_close(store: Store) -> None:
    for number in range(20):
        claim, seen, closed = _claim(f"a{number}"), set[object](), Event()
        await store.claim(claim, "nothing")
        async with create_task_group() as tasks:
            tasks.start_soon(_watch, store, claim.name, seen, closed)
            await store.append(claim, 0, [b"1", b"2"], close="done", forget=2)
            closed.set()
        parts = seen - {(1, 0, "open", 0), (2, 2, "done", 1)}
        _expect(not parts, f"of first, tail, state and number of events, one saw {parts}")


async def _watch(store: Store, name: str, seen: set[object], closed: Event) -> None:
    while not closed.is_set():
        if page := await store.read(name, 0, 10):
            seen.add((page.head.first, page.head.tail, page.head.state, len(page.events)))
        await checkpoint()


async def _one_appends(store: Store) -> None:
    await store.claim(_claim(), "nothing")
    for tail in range(20):
        appends = [
            partial(store.append, _claim(), tail, [b'{"data":%d}' % writer]) for writer in range(3)
        ]
        heads = await _together(appends)
        _expect({head.tail for head in heads} == {tail + 1}, f"they returned {heads}")
    _, events = _page(await store.read("a", 0, 100))
    _expect(len(events) == 20, f"20 times one should have landed; there are {len(events)} events")


async def _one_claims(store: Store) -> None:
    for number in range(20):
        claims = [_claim(f"a{number}", life=life) for life in ("life1", "life2", "life3")]
        heads = await _together([partial(store.claim, claim, "nothing") for claim in claims])
        _expect(len({head.life for head in heads}) == 1, f"more than one got it: {heads}")


async def _leases(store: Store) -> None:
    short, long = _claim("a", lease=0.05), _claim("b", lease=100.0)
    await store.claim(short, "nothing")
    await store.claim(long, "nothing")
    await _until(lambda: _sweeps(store, ["a"]), "a lease of 0.05 s did not pass")
    await store.append(replace(short, lease=100.0), 0, [])
    _expect(await _sweeps(store, []), "an append of nothing did not renew the lease")
    await store.append(replace(short, lease=0), 0, [])
    _expect(await _sweeps(store, ["a"]), "an append with a lease of 0 did not hand it on")


async def _takeover(store: Store) -> None:
    old, new = _claim(lease=0, keep=None), _claim(epoch=2, token="token2", keep=0)  # noqa: S106
    await store.claim(old, "nothing")
    await store.append(old, 0, [b"1"])
    head = _known(await store.claim(new, "lapsed"))
    _expect(head.claims == (("token1", 1), ("token2", 2)), f"its claims are {head.claims}")
    head = _known(await store.append(old, 1, [b"2"], close="error"))
    _expect((head.tail, head.state) == (1, "open"), f"the old writer still wrote: {head}")
    head = _known(await store.append(new, 1, [b"3"], close="orphaned"))
    _expect((head.tail, head.state) == (2, "orphaned"), f"the new writer could not: {head}")
    _expect(head.expires is None, "the `keep` of the first claim did not stay")


async def _claims_kept(store: Store) -> None:
    claims = [_claim(epoch=number, token=f"token{number}", lease=0) for number in range(1, 12)]
    await store.claim(claims[0], "nothing")
    for tail, claim in enumerate(claims):
        await store.claim(claim, "lapsed")
        await store.append(claim, tail, [b"1"])
    again = replace(claims[-1], epoch=99)
    head = _known(await store.claim(again, "lapsed"))
    expected = tuple((claim.token, claim.epoch) for claim in claims)[-CLAIMS_KEPT:]
    _expect(head.claims == expected, f"its claims are {head.claims}, not {expected}")


async def _keeps(store: Store) -> None:
    for name, keep in (("short", 0.05), ("long", 1000.0), ("for-ever", None), ("open", 0)):
        claim = _claim(name, keep=keep)
        await store.claim(claim, "nothing")
        if name != "open":
            head = _known(await store.append(claim, 0, [b"1"], close="done"))
            _expect(head.ended is not None, f"an ended stream has no `ended`: {head}")
            known = None if head.expires is None else head.expires - (head.ended or 0)
            same = known == keep if keep is None or known is None else abs(known - keep) < 0.01
            _expect(same, f"with a `keep` of {keep} s, `expires` is {known} s after `ended`")
    await _until(lambda: _gone(store, "short"), "one that is kept 0.05 s was not removed")
    left = [name for name, _ in await store.names()]
    _expect(left == ["for-ever", "long", "open"], f"of the others are left: {left}")


async def _new_life(store: Store) -> None:
    old, new = _claim(), _claim(life="life2", epoch=1, token="token2")  # noqa: S106
    await store.claim(old, "nothing")
    await store.append(old, 0, [b"1", b"2"], forget=2)
    await store.cancel("a", "stop")
    for _ in range(2):  # the second call repeats the first, as if its answer was lost
        head = _known(await store.claim(new, "anything"))
        clean = (head.life, head.first, head.cancel) == ("life2", 1, None)
        _expect(clean and head.claims == (("token2", 1),), f"it begins as {head}")
        head = _known(await store.append(new, 0, [b"3"]))
        _expect(head.tail == 1, f"its first event is lost: {head}")
    await store.delete("a")
    await store.claim(old, "nothing")
    _expect(_page(await store.read("a", 0, 9)).events == [], "a deleted stream's events are back")


async def _bells(store: Store) -> None:
    claim = _claim("a:b")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "a claim": lambda: store.claim(claim, "nothing"),
        "an append": lambda: store.append(claim, 0, [b"1"]),
        "a cancel": lambda: store.cancel("a:b", "stop"),
        "a delete": lambda: store.delete("a:b"),
    }
    async with store.bells() as first, store.bells() as second:
        for what, call in calls.items():
            await call()
            for bells in (first, second):
                await _heard(bells, "a:b", what)
    async with store.bells():  # a listener that never reads must do no harm
        await store.claim(claim, "anything")


async def _heard(bells: AsyncIterator[str | None], name: str, what: str) -> None:
    try:
        with fail_after(_PATIENCE):
            while await anext(bells) not in (name, None):
                pass
    except TimeoutError:
        raise Broken(f"one may be lost, but after {what} none came in {_PATIENCE} s") from None


RULES: dict[str, Callable[[Store], Awaitable[None]]] = {
    "Of a name that is not known there is nothing, and to delete it is no mistake": _unknown,
    "A claim of a free name starts an open stream without events": _fresh,
    "Events come back as the bytes that they were": _same_bytes,
    "Names are told apart by every character, and listed in the order of code points": _every_name,
    "An append adds, closes and trims in one step, which a reader sees whole or not": _whole_close,
    "Of appends at the same `expected` exactly one lands, and all return its head": _one_appends,
    "Of claims of a free name exactly one gets it, and all return its head": _one_claims,
    "A lease is in seconds, each append renews it, and one of 0 s has passed at once": _leases,
    "An open stream whose lease has passed may be taken, and its old writer is fenced": _takeover,
    "A head keeps the newest claims, each token once, with its first number": _claims_kept,
    "An ended stream is removed when its `keep` has passed, an open one never": _keeps,
    "A new life begins with nothing of the one before, and once": _new_life,
    "A claim, an append, a cancel and a delete ring for everyone who listens": _bells,
}


def _claim(
    name: str = "a",
    *,
    life: str = "life1",
    epoch: int = 1,
    token: str = "token1",  # noqa: S107 - the first part of a cursor, not a secret
    lease: float = 100.0,
    keep: float | None = 100.0,
) -> Claim:
    return Claim(name, life, epoch, token, lease, keep)


def _expect(fact: bool, found: str) -> None:  # noqa: FBT001 - it reads as `assert`
    if not fact:
        raise Broken(found)


def _known(head: Head | None) -> Head:
    if head is None:
        raise Broken("there is no stream")
    return head


def _page(page: Page | None) -> Page:
    if page is None:
        raise Broken("there is no stream")
    return page


async def _together(calls: Sequence[Callable[[], Awaitable[Head | None]]]) -> list[Head]:
    """Make the calls at the same time, and return their heads."""
    heads: list[Head | None] = []

    async def make(call: Callable[[], Awaitable[Head | None]]) -> None:
        heads.append(await call())

    async with create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(make, call)
    return [_known(head) for head in heads]


async def _sweeps(store: Store, names: list[str]) -> bool:
    return sorted(name for name, _ in await store.sweep()) == names


async def _gone(store: Store, name: str) -> bool:
    await store.sweep()
    return await store.read(name, 0, 0) is None


async def _until(asked: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Wait until `asked` is true, by the machine's clock: the event loop's may be a test's own."""
    deadline = time.monotonic() + _PATIENCE
    while not await asked():
        _expect(time.monotonic() < deadline, otherwise)
        await sleep(0.01)
