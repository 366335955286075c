"""Any calls in any order, some of them twice, against a naive account of what a store has to do.

`MemoryStore` is the model in the conformance kit. So here it is held against one that was written
apart from it: whole lists, no clock (a lease or keep of 0 has passed, one of 1000 s has not).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TypeVar, get_args

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from streamkit import Claim, Head, Store
from streamkit._store.contract import Over
from streamkit._store.lifecycle import Ended, State

from .makers import MAKERS

T = TypeVar("T")

NAMES = st.sampled_from(["a", "a:b", "B"])
LIVES = st.sampled_from(["life1", "life2"])
EPOCHS = st.integers(1, 3)
SECONDS = st.sampled_from([0.0, 1000.0])
NUMBERS = st.integers(0, 9)
TWICE = st.sampled_from([1, 1, 1, 2])


@dataclass
class Account:
    """What has to be known of one life of a stream."""

    claim: Claim
    keep: float | None
    lease: float
    claims: list[tuple[str, int]]
    events: list[bytes] = field(default_factory=list)
    first: int = 1
    state: State = "open"
    cancel: str | None = None

    @property
    def lapsed(self) -> bool:
        return self.state == "open" and self.lease == 0

    def may_be_taken(self, claim: Claim) -> bool:
        return self.lapsed and self.claim.life == claim.life and self.claim.epoch < claim.epoch

    @property
    def expired(self) -> bool:
        return self.state != "open" and self.keep == 0

    def told(self) -> tuple[object, ...]:
        claim, tail = self.claim, len(self.events)
        claims = tuple(self.claims[-8:])
        return claim.life, claim.epoch, claims, self.first, tail, self.state, self.cancel


def told(head: Head | None) -> tuple[object, ...] | None:
    if head is None:
        return None
    assert (head.ended is None) == (head.state == "open")
    assert head.expires is None or head.ended is not None
    return head.life, head.epoch, head.claims, head.first, head.tail, head.state, head.cancel


class Machine(RuleBasedStateMachine):
    def __init__(
        self, make: Callable[[], AbstractAsyncContextManager[Store]], portal: BlockingPortal
    ) -> None:
        super().__init__()
        self.portal = portal
        self.stack = ExitStack()
        self.store = self.stack.enter_context(portal.wrap_async_context_manager(make()))
        self.accounts: dict[str, Account] = {}

    def teardown(self) -> None:
        self.stack.close()

    @rule(
        name=NAMES,
        life=LIVES,
        epoch=EPOCHS,
        lease=SECONDS,
        keep=st.none() | SECONDS,
        over=st.sampled_from(get_args(Over)),
        times=TWICE,
    )
    def claim(
        self,
        name: str,
        life: str,
        epoch: int,
        lease: float,
        keep: float | None,
        over: Over,
        times: int,
    ) -> None:
        claim = Claim(name, life, epoch, f"token{epoch % 2}", lease, keep)
        account = self.accounts.get(name)
        free = account is None or (over == "anything" and account.claim.life != life)
        if over != "lapsed" and free:
            self.accounts[name] = Account(claim, keep, lease, [(claim.token, 1)])
        elif over == "lapsed" and account and account.may_be_taken(claim):
            account.claim, account.lease = claim, lease
            if account.claims[-1][0] != claim.token:
                account.claims.append((claim.token, len(account.events) + 1))
        for _ in range(times):
            head = self.call(lambda: self.store.claim(claim, over))
            assert told(head) == self.account_of(name)

    @rule(
        name=NAMES,
        wrong=st.sampled_from(["", "", "", "life", "epoch", "expected"]),
        life=LIVES,
        epoch=EPOCHS,
        expected=NUMBERS,
        events=st.lists(st.binary(max_size=3).map(lambda raw: raw.hex().encode()), max_size=4),
        lease=SECONDS,
        close=st.sampled_from([None, None, None, "done", "error"]),
        forget=NUMBERS,
        times=TWICE,
    )
    def append(
        self,
        name: str,
        wrong: str,
        life: str,
        epoch: int,
        expected: int,
        events: list[bytes],
        lease: float,
        close: Ended | None,
        forget: int,
        times: int,
    ) -> None:
        account = self.accounts.get(name)
        if account:  # at most one of them is wrong
            life = life if wrong == "life" else account.claim.life
            epoch = epoch if wrong == "epoch" else account.claim.epoch
            expected = expected if wrong == "expected" else len(account.events)
        claim = Claim(name, life, epoch, "token", lease, None)
        for _ in range(times):
            if (
                account
                and account.state == "open"
                and (account.claim.life, account.claim.epoch) == (life, epoch)
                and len(account.events) == expected
            ):
                account.events = account.events + events
                account.first = max(account.first, min(forget, len(account.events) + 1))
                account.lease = lease
                account.state = close or "open"
            head = self.call(
                lambda: self.store.append(claim, expected, events, close=close, forget=forget)
            )
            assert told(head) == self.account_of(name)

    @rule(name=NAMES, after=NUMBERS, limit=st.integers(0, 5))
    def read(self, name: str, after: int, limit: int) -> None:
        page = self.call(lambda: self.store.read(name, after, limit))
        if page is None:
            assert name not in self.accounts
            return
        account = self.accounts[name]
        assert told(page.head) == account.told()
        kept = [
            event
            for number, event in enumerate(account.events, 1)
            if number > after and number >= account.first
        ]
        assert page.events == kept[:limit]

    @rule(name=NAMES, reason=st.sampled_from(["", "stop", "no"]), times=TWICE)
    def cancel(self, name: str, reason: str, times: int) -> None:
        account = self.accounts.get(name)
        if account and account.state == "open" and account.cancel is None:
            account.cancel = reason
        for _ in range(times):
            head = self.call(lambda: self.store.cancel(name, reason))
            assert told(head) == self.account_of(name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.accounts.pop(name, None)
        self.call(lambda: self.store.delete(name))

    @rule(prefix=st.sampled_from(["", "a", "a:", "A", "a_"]), after=NAMES, limit=st.integers(1, 3))
    def names(self, prefix: str, after: str, limit: int) -> None:
        found = self.call(lambda: self.store.names(prefix, after, limit))
        names = sorted(n for n in self.accounts if n.startswith(prefix) and n > after)
        expected = [(name, self.account_of(name)) for name in names[:limit]]
        assert [(name, told(head)) for name, head in found] == expected

    @rule(times=TWICE)
    def sweep(self, times: int) -> None:
        self.accounts = {name: it for name, it in self.accounts.items() if not it.expired}
        lapsed = {name: it.told() for name, it in self.accounts.items() if it.lapsed}
        for _ in range(times):
            found = self.call(self.store.sweep)
            assert len(found) == len(lapsed)
            assert {name: told(head) for name, head in found} == lapsed

    @invariant()
    def all_streams_are_listed(self) -> None:
        found = self.call(self.store.names)
        assert [name for name, _ in found] == sorted(self.accounts)

    def account_of(self, name: str) -> tuple[object, ...] | None:
        return self.accounts[name].told() if name in self.accounts else None

    def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        return self.portal.call(ask)


@pytest.mark.slow  # a hundred histories of some forty calls, each across threads
@pytest.mark.no_cover  # other tests go each way; to trace all this takes longer than to run it
@pytest.mark.parametrize("make", [MAKERS["memory"]], ids=["memory"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_store_does_what_the_account_says(
    make: Callable[[], AbstractAsyncContextManager[Store]], backend: str
) -> None:
    with start_blocking_portal(backend) as portal:

        class OnIt(Machine):
            def __init__(self) -> None:
                super().__init__(make, portal)

        run_state_machine_as_test(
            OnIt,
            settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
        )
