"""One connection to the bells of a store, for all who want to hear; an outage is told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from anyio import Event, create_task_group, sleep_forever

from streamkit import MemoryStore
from streamkit._store import listening as listening_module
from streamkit._store.listening import Listening
from streamkit.errors import StoreAway


class Flapping(MemoryStore):
    """A store whose bells break again and again, each time after so many seconds."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.broken = Event()

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        if not self.times:
            self.broken.set()
            await sleep_forever()
        self.times -= 1
        raise StoreAway("the cable was pulled")
        yield  # it makes this a generator


class Breaking(Flapping):
    """A store that can be heard for a moment before its bells break; none of them rings."""

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        if not self.times:
            self.broken.set()
            await sleep_forever()
        self.times -= 1

        async def silent() -> AsyncIterator[str | None]:
            raise StoreAway("the cable was pulled")
            yield  # it makes this a generator

        yield silent()


async def listen(store: Flapping) -> None:
    listening = Listening(store)
    async with create_task_group() as tasks:
        listening.run_in(tasks)
        listening.want()
        await store.broken.wait()
        tasks.cancel_scope.cancel()


async def test_an_outage_is_logged_once_however_often_it_is_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await listen(Flapping(3))
    assert [each.getMessage() for each in caplog.records] == [
        "nothing is heard of the store: the cable was pulled"
    ]


async def test_an_outage_after_a_quiet_time_is_another_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_module, "MAX_PAUSE", -1.0)  # any time is a quiet one
    await listen(Breaking(3))
    assert len(caplog.records) == 3
