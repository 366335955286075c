"""Whatever is done to a stream, in any order: who follows it is never told a wrong story."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from random import Random

import pytest
from anyio import create_task_group, fail_after, move_on_after, sleep
from anyio.lowlevel import checkpoint

from streamkit import Event, MemoryStore, Streams
from streamkit.errors import (
    ExpiredStream,
    SourceCancelled,
    StoreAway,
    StreamCancelled,
    StreamExists,
    StreamFailed,
    StreamOrphaned,
    UnknownStream,
)

from .fakes import BadDay

OVER = (StreamCancelled, StreamFailed, StreamOrphaned)


async def life(name: str, random: Random) -> AsyncGenerator[str, None]:
    """Say of each item which life it is of, and which number it has."""
    for number in range(1, random.randint(1, 60)):
        if random.random() < 0.3:
            await sleep(random.uniform(0, 0.002))
        else:
            await checkpoint()
        yield f"{name}.{number}"
    if random.random() < 0.2:
        raise ValueError


class Listener:
    """Follow, leave, come back, and check each thing that is told against what came before."""

    def __init__(self) -> None:
        self.cursor = ""
        self.life = ""
        self.place = 0
        self.told = 0

    async def follow(self, streams: Streams, random: Random) -> None:
        while True:
            if not self.cursor:
                self.life = ""
            self.place = int(self.cursor.partition(".")[2] or 0)
            reading = aiter(streams.follow("a", self.cursor))
            for _ in range(random.randint(1, 3)):
                with move_on_after(random.uniform(0, 0.01)):
                    try:
                        while True:
                            self.check(await anext(reading))
                    except (UnknownStream, ExpiredStream):
                        self.cursor = ""  # as a client that starts anew
                        break
                    except (*OVER, StoreAway, StopAsyncIteration):
                        break
            await sleep(random.uniform(0, 0.003))

    def check(self, event: Event) -> None:
        self.told += 1
        facts = event.data
        if event.type == "reset":
            assert isinstance(facts, dict)
            self.life, self.place, self.cursor = "", facts["first"] - 1, ""
        elif event.type == "gap":
            assert isinstance(facts, dict)
            assert facts["missed"] == facts["first"] - 1 - self.place > 0
            self.place = facts["first"] - 1
        else:
            assert isinstance(facts, str)
            name, _, number = facts.partition(".")
            self.life = self.life or name
            self.place += 1
            assert event.id.endswith(f".{number}"), (event.id, facts)
            assert (name, int(number)) == (self.life, self.place)
            self.cursor = event.id


@pytest.mark.slow  # it goes on for 0.4 s, or until enough was told
@pytest.mark.parametrize(
    "faults",
    [{}, {"delays": 0.3, "hints": 0.5}, {"lost_acks": 0.1, "away": 0.05, "delays": 0.1}],
    ids=["a good day", "a slow one", "a bad one"],
)
@pytest.mark.parametrize("day", range(2))
async def test_no_follower_is_ever_told_a_wrong_story(day: int, faults: dict[str, float]) -> None:
    random = Random(day)
    store = MemoryStore()
    listeners = [Listener() for _ in range(6)]

    async def work(streams: Streams) -> None:
        lives = 0
        while True:
            lives += 1
            name = f"{id(streams)}:{lives}"
            terms = {"max_events": 20} if random.random() < 0.3 else {}
            try:
                match random.randint(0, 9):
                    case 0:
                        await streams.delete("a")
                    case 1:
                        await streams.cancel("a", "now")
                    case 2 | 3:
                        await streams.start("a", life(name, random), if_exists="restart", **terms)  # type: ignore[arg-type]
                    case _:
                        await streams.start("a", life(name, random), **terms)  # type: ignore[arg-type]
            except (StreamExists, UnknownStream, StoreAway, SourceCancelled):
                pass
            await sleep(random.uniform(0, 0.02))

    with fail_after(20):
        async with (
            Streams(BadDay(store, random=random, **faults), drain=0, sweep=0.02) as one,
            Streams(BadDay(store, random=random, **faults), drain=0, sweep=0.02) as two,
            create_task_group() as tasks,
        ):
            tasks.start_soon(work, one)
            tasks.start_soon(work, two)
            for number, listener in enumerate(listeners):
                tasks.start_soon(listener.follow, (one, two)[number % 2], Random(number))
            await sleep(0.4)
            while sum(listener.told for listener in listeners) <= 100:
                await sleep(0.02)
            tasks.cancel_scope.cancel()
