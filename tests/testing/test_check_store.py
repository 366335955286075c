"""The conformance kit lets every store of ours pass, and finds what is planted into one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import cast

import pytest
from anyio.lowlevel import checkpoint

from streamkit import Claim, Head, Page, Store
from streamkit._store.contract import Over
from streamkit._store.lifecycle import Ended
from streamkit.errors import StreamkitError
from streamkit.sinks.memory import MemoryStore
from streamkit.testing import StoreBroken, check_store
from streamkit.testing import _rules as rules

from ..sinks.makers import MAKERS


@pytest.mark.slow  # it waits for a lease and a keep of 0.05 s, and makes some 4000 calls
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
async def test_each_store_keeps_every_rule(
    make: Callable[[], AbstractAsyncContextManager[Store]],
) -> None:
    await check_store(make)


class IgnoresEpoch(MemoryStore):
    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        if log := self._logs.get(claim.name):
            claim, expected = self.seen(claim, expected, log.head)
            forget = self.forgotten(forget)
        return await super().append(claim, expected, events, close=close, forget=forget)

    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        return replace(claim, epoch=head.epoch), expected

    def forgotten(self, forget: int) -> int:
        return forget


class IgnoresLife(IgnoresEpoch):
    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        return replace(claim, life=head.life), expected


class IgnoresExpected(IgnoresEpoch):
    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        return claim, head.tail


class RenewsNothing(IgnoresEpoch):
    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        if (log := self._logs[claim.name]) and log._deadline:
            claim = replace(claim, lease=log._deadline - monotonic())
        return claim, expected


class ForgetsOneMore(IgnoresEpoch):
    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        return claim, expected

    def forgotten(self, forget: int) -> int:
        return forget and forget + 1


class ForgetsWhatIsToCome(MemoryStore):
    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        head = await super().append(claim, expected, events, close=close, forget=forget)
        if head is not None and head.first < forget and head.epoch == claim.epoch:
            self._logs[claim.name].head = head = replace(head, first=forget)
        return head


class AddsThenCloses(MemoryStore):
    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        head = await super().append(claim, expected, events, forget=forget)
        if close is None or head is None or head.tail != expected + len(events):
            return head
        return await super().append(claim, head.tail, [], close=close)


class LooksThenAdds(MemoryStore):
    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        log = self._logs.get(claim.name)
        if close is None and log is not None and log.accepts(claim, expected):
            await checkpoint()
            log.add(events)
            return log.head
        return await super().append(claim, expected, events, close=close, forget=forget)


class WritesAfterTheEnd(IgnoresEpoch):
    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        self._logs[claim.name].head = replace(head, state="open")
        return claim, expected


class ChangesBytes(IgnoresEpoch):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        page = await super().read(name, after, limit)
        return page and Page(page.head, [_through_json(event) for event in page.events])

    def seen(self, claim: Claim, expected: int, head: Head) -> tuple[Claim, int]:
        return claim, expected


def _through_json(event: bytes) -> bytes:
    try:
        return json.dumps(json.loads(event), separators=(",", ":")).encode()
    except ValueError:
        return event


class ReadsOneMore(MemoryStore):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        return await super().read(name, after, limit + 1)


class ReadsFromTheCursor(MemoryStore):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        return await super().read(name, max(0, after - 1), limit)


class GivesViews(MemoryStore):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        page = await super().read(name, after, limit)
        return page and Page(page.head, cast(list[bytes], [memoryview(e) for e in page.events]))


class ReadsNothing(MemoryStore):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        return None


class StartsLater(MemoryStore):
    async def read(self, name: str, after: int, limit: int) -> Page | None:
        page = await super().read(name, after, limit)
        return page and Page(replace(page.head, started=page.head.started + 60), page.events)


class ClaimsNothing(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        return None


class IgnoresLease(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        if over == "lapsed" and (log := self._logs.get(claim.name)):
            log._deadline = 0.0
        return await super().claim(claim, over)


class TakesEndedOnes(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        log = self._logs.get(claim.name)
        if over == "lapsed" and log and log.head.state != "open":
            log.take_over(claim)
        return await super().claim(claim, over)


class TakesTheSameEpoch(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        log = self._logs.get(claim.name)
        if over == "lapsed" and log and log.is_lapsed() and claim.epoch == log.head.epoch:
            log.head = replace(log.head, epoch=claim.epoch - 1)
        return await super().claim(claim, over)


class WipesWhenRepeated(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        if over == "anything":
            self._logs.pop(claim.name, None)
        return await super().claim(claim, over)


class RenewsWhenRepeated(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        head = await super().claim(claim, over)
        if head and (head.life, head.epoch) == (claim.life, claim.epoch):
            self._logs[claim.name].renew(claim.lease)
        return head


class ReplacesWhatIsThere(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        return await super().claim(claim, "anything" if over == "nothing" else over)


class NotesEachClaimTwice(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        log = self._logs.get(claim.name)
        epoch = log.head.epoch if log else 0
        head = await super().claim(claim, over)
        if log and head and over == "lapsed" and head.epoch > epoch:
            claims = (*log.head.claims, (claim.token, head.tail + 1))[-8:]
            log.head = head = replace(head, claims=claims)
        return head


class TakesTheNewKeep(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        head = await super().claim(claim, over)
        if head and head.epoch == claim.epoch:
            self._logs[claim.name]._keep = claim.keep
        return head


class KeepsForEver(MemoryStore):
    async def sweep(self) -> list[tuple[str, Head]]:
        return [(name, log.head) for name, log in self._logs.items() if log.is_lapsed()]


class KeepsInMilliseconds(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        keep = claim.keep and claim.keep / 1000
        return await super().claim(replace(claim, keep=keep), over)


class LeasesInMinutes(MemoryStore):
    async def claim(self, claim: Claim, over: Over) -> Head | None:
        return await super().claim(replace(claim, lease=claim.lease * 60), over)


class ListsEndedOnes(MemoryStore):
    async def sweep(self) -> list[tuple[str, Head]]:
        listed = await super().sweep()
        return listed + [(n, log.head) for n, log in self._logs.items() if log.head.ended]


class OverwritesTheWish(MemoryStore):
    async def cancel(self, name: str, reason: str) -> Head | None:
        if (log := self._logs.get(name)) and log.head.state == "open":
            log.head = replace(log.head, cancel=None)
        return await super().cancel(name, reason)


class CancelsEndedOnes(MemoryStore):
    async def cancel(self, name: str, reason: str) -> Head | None:
        log = self._logs.get(name)
        if log and log.head.state != "open" and log.head.cancel is None:
            log.head = replace(log.head, cancel=reason)
        return await super().cancel(name, reason)


class TakesNoReasonForNoWish(MemoryStore):
    async def cancel(self, name: str, reason: str) -> Head | None:
        if not reason:
            page = await self.read(name, 0, 0)
            return page and page.head
        return await super().cancel(name, reason)


class DeletesNothing(MemoryStore):
    async def delete(self, name: str) -> None:
        pass


class ListsInOrderOfBirth(MemoryStore):
    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        found = [name for name in self._logs if name > after and name.startswith(prefix)]
        return [(name, self._logs[name].head) for name in found[:limit]]


class ListsAsInSql(MemoryStore):
    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        found = sorted(n for n in self._logs if n > after and n.lower().startswith(prefix.lower()))
        return [(name, self._logs[name].head) for name in found[:limit]]


class ListsTheLastAgain(MemoryStore):
    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        found = sorted(n for n in self._logs if n >= after and n.startswith(prefix))
        return [(name, self._logs[name].head) for name in found[:limit]]


class RingsForNobody(MemoryStore):
    def _ring(self, name: str) -> None:
        pass


class RingsForOne(MemoryStore):
    def _ring(self, name: str) -> None:
        for listener in list(self._listeners)[:1]:
            listener.ring(name)


FAULTS = {
    IgnoresEpoch: "may be taken, and its old writer is fenced",
    IgnoresLife: "an append adds",
    IgnoresExpected: "first event is lost",
    LooksThenAdds: "exactly one lands",
    RenewsNothing: "did not renew",
    ForgetsOneMore: "saw",
    ForgetsWhatIsToCome: "an append adds",
    AddsThenCloses: "in one step, which a reader sees whole or not",
    WritesAfterTheEnd: "an append adds",
    ChangesBytes: "came back as",
    ReadsOneMore: "a page holds",
    ReadsFromTheCursor: "events there are",
    GivesViews: "are not bytes",
    ReadsNothing: "there is no stream",
    StartsLater: "in this order",
    ClaimsNothing: "there is no stream",
    IgnoresLease: "a sweep removes",
    TakesEndedOnes: "a claim makes",
    TakesTheSameEpoch: "a sweep removes",
    WipesWhenRepeated: "a claim makes",
    RenewsWhenRepeated: "a sweep removes|a claim makes",
    ReplacesWhatIsThere: "exactly one gets it",
    NotesEachClaimTwice: "its claims are",
    TakesTheNewKeep: "did not stay",
    KeepsForEver: "was not removed",
    KeepsInMilliseconds: "after `ended`",
    LeasesInMinutes: "a lease of 0.05 s did not pass",
    ListsEndedOnes: "a sweep removes",
    OverwritesTheWish: "a wish is noted",
    CancelsEndedOnes: "a wish is noted",
    TakesNoReasonForNoWish: "a wish is noted",
    DeletesNothing: "events are back",
    ListsInOrderOfBirth: "of the others are left",
    ListsAsInSql: "streams are listed",
    ListsTheLastAgain: "too many were listed",
    RingsForNobody: "after a claim none came",
    RingsForOne: "after a claim none came",
}


def maker(kind: type[MemoryStore]) -> Callable[[], AbstractAsyncContextManager[Store]]:
    @asynccontextmanager
    async def make() -> AsyncIterator[Store]:
        yield kind()

    return make


@pytest.mark.slow  # some of them are found by waiting in vain
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_planted_fault_is_found(
    fault: type[MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_PATIENCE", 0.2)
    with pytest.raises(StoreBroken, match=FAULTS[fault]) as caught:
        await check_store(maker(fault))
    assert isinstance(caught.value, StreamkitError)
    assert isinstance(caught.value, AssertionError)


class FailsAtRandom(MemoryStore):
    async def sweep(self) -> list[tuple[str, Head]]:
        if len(self._logs) == 3 and all(log.head.life == "life1" for log in self._logs.values()):
            raise OSError("disk full")
        return await super().sweep()


async def test_an_error_of_the_store_comes_with_the_calls_and_the_round() -> None:
    with pytest.raises(OSError, match="disk full") as caught:
        await check_store(maker(FailsAtRandom), rounds=50)
    calls, again = caught.value.__notes__
    assert calls.endswith("    sweep()")
    number = int(again.split("first_round=")[1].split(",")[0])
    with pytest.raises(OSError, match="disk full") as caught_again:
        await check_store(maker(FailsAtRandom), first_round=number, rounds=1)
    assert caught_again.value.__notes__ == caught.value.__notes__
