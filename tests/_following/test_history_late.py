"""What is asked in several reads while the stream changes; and what cannot be asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from streamkit import MemoryStore, Page, Streams
from streamkit._following import history as histories
from streamkit.errors import ExpiredStream, UnknownStream

from .._streams.fakes import held, last_type, numbers_of, read, send_alone
from ..fakes import Fountain


class Between(MemoryStore):
    """A store in which something happens right after a read."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], Awaitable[object]] | None = None

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        page = await super().read(name, after, limit)
        if self.then is not None:
            then, self.then = self.then, None
            await then()
        return page


async def test_a_history_of_a_stream_that_loses_events_meanwhile_has_the_right_ids() -> None:
    store = Between()
    async with Streams(store, drain=0) as streams, streams.open("a", max_events=3) as stream:
        for number in range(1, 6):
            await send_alone(streams, stream, str(number))

        async def more() -> None:
            for number in range(6, 9):
                await send_alone(streams, stream, str(number))

        store.then = more
        page = await streams.history("a", after="abcdefgh.1")
        reset, *events = page["events"]
        first = (await streams.status("a"))["first"]
        assert (reset["type"], reset["id"]) == ("reset", "")
        assert first >= 6
        assert [each["data"] for each in events] == [str(n) for n in range(first, 9)]
        assert [each["id"].partition(".")[2] for each in events] == [
            each["data"] for each in events
        ]
        assert (await streams.history("a", after=page["next"]))["events"] == []


async def test_a_history_of_a_stream_that_is_deleted_meanwhile_says_so() -> None:
    store = Between()
    async with Streams(store, drain=0) as streams:
        await read(await streams.start("a", ["x"]))
        store.then = lambda: store.delete("a")
        with pytest.raises(ExpiredStream):
            await streams.history("a", after="abcdefgh.1")


async def test_a_status_of_a_failed_stream_that_is_started_again_meanwhile_has_no_error() -> None:
    async def fails() -> AsyncGenerator[str, None]:
        yield "x"
        raise ValueError("no")

    async def restart() -> None:
        following = await streams.start(
            "a", Fountain("1", "2", "3", wait=True), if_exists="restart"
        )
        assert numbers_of(await read(following, 3)) == [1, 2, 3]

    store = Between()
    async with Streams(store, drain=0) as streams:
        assert await last_type(await streams.start("a", fails())) == "error"
        error = (await streams.status("a"))["error"]
        assert error == {"code": "source-failed", "message": "The source failed."}
        store.then = restart
        status = await streams.status("a")
        assert (status["state"], status["error"]) == ("error", None)
        status = await streams.status("a")
        assert (status["state"], status["error"]) == ("open", None)


async def test_a_status_of_a_failed_stream_that_is_deleted_meanwhile_has_no_error() -> None:
    async def fails() -> AsyncGenerator[str, None]:
        yield "x"
        raise ValueError("no")

    store = Between()
    async with Streams(store, drain=0) as streams:
        assert await last_type(await streams.start("a", fails())) == "error"
        store.then = lambda: store.delete("a")
        assert (await streams.status("a"))["error"] is None


async def test_a_list_of_few_asks_the_store_once() -> None:
    gate, store = held(MemoryStore())
    async with Streams(store, drain=0) as streams:
        for number in range(30):
            await read(await streams.start(f"run:{number:02}", ["x"]))
        await streams.start("run:30", Fountain(wait=True))
        gate.calls.clear()
        found = await streams.list("run:", state="open", limit=1)
        assert [each["name"] for each in found] == ["run:30"]
        assert len(gate.calls["names"]) == 1
        assert len(await streams.list("run:", state="done", limit=7)) == 7
        assert len(gate.calls["names"]) == 2
        assert not gate.calls["read"]


async def test_a_list_goes_on_behind_a_page_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "PAGE", 3)
    async with Streams(MemoryStore(), drain=0) as streams:
        for number in range(9):
            await last_type(await streams.start(f"run:{number}", ["x"]))
        await streams.start("run:9", Fountain(wait=True))
        assert [each["name"] for each in await streams.list(state="open")] == ["run:9"]
        done = await streams.list(state="done", limit=7)
        assert [each["name"] for each in done] == [f"run:{number}" for number in range(7)]


async def test_a_state_that_no_stream_has_is_refused() -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        with pytest.raises(ValueError, match=r"a state is one of open, .*not 'nonsense'"):
            await streams.list(state="nonsense")


async def test_a_stream_that_nobody_has_is_unknown_or_expired() -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        with pytest.raises(UnknownStream):
            await streams.status("a")
        with pytest.raises(UnknownStream):
            await streams.history("a")
        with pytest.raises(UnknownStream):
            await streams.cancel("a")
        with pytest.raises(ExpiredStream):
            await streams.history("a", after="abcdefgh.1")
