"""The faulty store has the faults that were ordered, and is otherwise a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Self, cast

import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked

from streamkit import Head, Store
from streamkit.errors import StoreAway
from streamkit.sinks.memory import MemoryStore
from streamkit.testing import FaultyStore, StoreBroken, check_store
from streamkit.testing import _rules as rules

from ..sinks.makers import claim_of

CLAIM = claim_of()


class Stubborn:
    """Ask again until the store answers, as the writers and followers of the library do."""

    def __init__(self, store: FaultyStore) -> None:
        self.store = store
        self.durable = store.durable
        self.bells = store.bells

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def ask(*args: object, **options: object) -> object:
            while True:
                try:
                    return await getattr(self.store, name)(*args, **options)
                except StoreAway:
                    pass

        return ask


@pytest.mark.slow  # it makes some 4000 calls and waits for a lease
async def test_who_asks_again_after_a_lost_answer_needs_no_other_care() -> None:
    made: list[FaultyStore] = []

    @asynccontextmanager
    async def make_store() -> AsyncIterator[Store]:
        made.append(FaultyStore(MemoryStore(), random=Random(1), lost_acks=0.25, away=0.1))
        yield cast(Store, Stubborn(made[-1]))

    await check_store(make_store)
    assert sum(store.faults["lost ack"] for store in made) > 100
    assert sum(store.faults["away"] for store in made) > 100


async def test_without_faults_it_is_the_store_inside() -> None:
    store = FaultyStore(MemoryStore(), random=Random(1))
    head = await store.claim(CLAIM, "nothing")
    assert head is not None
    await store.append(CLAIM, 0, [b"1", b"2"], close="done", forget=2)
    page = await store.read("a", 0, 10)
    assert page is not None
    assert (page.events, page.head.state) == ([b"2"], "done")
    assert await store.names("a", "", 1) == [("a", page.head)]
    assert await store.sweep() == []
    await store.delete("a")
    assert await store.cancel("a", "") is None
    assert not store.faults


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        pytest.param("claim", (0, None), id="claim"),
        pytest.param("append", (1, None), id="append"),
        pytest.param("cancel", (0, "stop"), id="cancel"),
    ],
)
async def test_a_lost_acknowledgement_was_applied(lost: str, left: tuple[int, str | None]) -> None:
    inside = MemoryStore()
    if lost != "claim":
        await inside.claim(CLAIM, "nothing")
    store = FaultyStore(inside, random=Random(1), lost_acks=1.0)
    calls: dict[str, Callable[[], Awaitable[Head | None]]] = {
        "claim": lambda: store.claim(CLAIM, "nothing"),
        "append": lambda: store.append(CLAIM, 0, [b"1"]),
        "cancel": lambda: store.cancel("a", "stop"),
    }
    with pytest.raises(StoreAway):
        await calls[lost]()
    page = await store.read("a", 0, 10)  # what only reads is answered
    assert page is not None
    assert (page.head.tail, page.head.cancel) == left
    assert store.faults == {"lost ack": 1}


async def test_a_store_that_is_away_does_nothing() -> None:
    inside = MemoryStore()
    store = FaultyStore(inside, random=Random(1), away=1.0)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.claim(CLAIM, "nothing"),
        lambda: store.read("a", 0, 10),
        store.names,
        store.sweep,
        lambda: store.delete("a"),
    ]
    for call in calls:
        with pytest.raises(StoreAway):
            await call()
    assert await inside.names() == []
    assert store.faults == {"away": 5}


async def test_delays_let_others_go_first() -> None:
    store = FaultyStore(MemoryStore(), random=Random(1), delays=1.0)
    order: list[str] = []

    async def claim(name: str) -> None:
        await store.claim(claim_of(name), "nothing")
        order.append(name)

    names = [f"a{number}" for number in range(10)]
    async with create_task_group() as tasks:
        for name in names:
            tasks.start_soon(claim, name)
    assert sorted(order) == names != order
    assert store.faults == {"delay": 20}  # before and after each


async def test_some_bells_are_lost_and_the_others_arrive() -> None:
    store = FaultyStore(MemoryStore(), random=Random(1), hints=0.5)
    heard: list[str | None] = []

    async def listen() -> None:
        async with store.bells() as bells:
            async for name in bells:
                heard.append(name)
                if name == "z":
                    return

    async with create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        for number in range(20):
            await store.claim(claim_of(f"a{number}"), "nothing")
        with fail_after(5):
            while "z" not in heard:
                await store.claim(claim_of("z", life=f"life{len(heard)}"), "anything")
                await store.delete("z")
                await wait_all_tasks_blocked()
    assert 0 < len(heard) < 20
    assert store.faults["lost bell"] >= 20 - len(heard)


async def test_a_store_without_any_bell_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def make_store() -> AsyncIterator[Store]:
        yield FaultyStore(MemoryStore(), random=Random(1), hints=0.0)

    monkeypatch.setattr(rules, "_PATIENCE", 0.05)
    with pytest.raises(StoreBroken, match="ring for everyone who listens"):
        await check_store(make_store)


async def test_the_same_random_numbers_make_the_same_faults() -> None:
    async def faults() -> list[bool]:
        store = FaultyStore(MemoryStore(), random=Random(7), away=0.5)
        found = []
        for _ in range(50):
            try:
                await store.names()
            except StoreAway:
                found.append(True)
            else:
                found.append(False)
        return found

    first = await faults()
    assert first == await faults()
    assert len(set(first)) == 2


class Opened(MemoryStore):
    """A store that wants to be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    async def __aenter__(self) -> Self:
        self.said.append("opened")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.said.append("closed")


async def test_it_opens_and_closes_the_store_inside_if_that_wants_it() -> None:
    inside = Opened()
    async with FaultyStore(inside, random=Random(1)) as store:
        assert inside.said == ["opened"]
        assert await store.claim(CLAIM, "nothing") is not None
    assert inside.said == ["opened", "closed"]
    async with FaultyStore(MemoryStore(), random=Random(1)):
        pass
