"""A name that is started again while something is on its way: late answers are of the old life."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from anyio import Event, create_task_group, fail_after, sleep_forever

from streamkit import Event as StreamEvent
from streamkit import MemoryStore, Page, Stream, Streams
from streamkit._following.mirror import Mirror
from streamkit._following.mirrors import Mirrors
from streamkit._streams.pump import Pump
from streamkit.errors import StreamCancelled, StreamLost

from ..fakes import Fountain
from .fakes import collect, data, eventually, held, last_type, read, send_alone


class Late(MemoryStore):
    """A store whose answer that there is no such stream takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.go = Event()
        self.on_their_way = 0

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        page = await super().read(name, after, limit)
        if page is None and limit:
            self.on_their_way += 1
            await self.go.wait()
        return page


async def say_and_wait(stream: Stream, streams: Streams, *words: str) -> None:
    for word in words:
        await send_alone(streams, stream, word)
    await sleep_forever()


async def test_that_a_stream_was_deleted_is_no_news_once_it_was_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mirror, "max_bytes", 1)  # who is behind reads the store
    store = Late()
    got: list[StreamEvent] = []
    async with Streams(store, drain=0) as streams:
        await streams.launch("a", say_and_wait, streams, "old 1", "old 2", "old 3")
        reading = aiter(streams.follow("a"))
        assert (await anext(reading)).data == "old 1"
        await eventually(lambda: store._logs["a"].head.tail == 3)
        await streams.delete("a")

        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(collect, reading, got)
                await eventually(lambda: store.on_their_way)
                await streams.start("a", Fountain("new 1", "new 2", wait=True))
                store.go.set()
                await eventually(lambda: len(got) == 3)
                # The news would have been for the whole life of the new stream.
                assert data(await read(streams.follow("a"), 2)) == ["new 1", "new 2"]
                tasks.cancel_scope.cancel()
    assert [event.type for event in got] == ["reset", "message", "message"]
    assert data(got[1:]) == ["new 1", "new 2"]


@pytest.mark.slow  # a reader may have to look again after 1 s
@pytest.mark.parametrize("answer", ["the old life", "no such stream"])
async def test_a_late_answer_about_the_old_life_does_not_bring_it_back(answer: str) -> None:
    store = MemoryStore()
    gate, slow = held(store)
    got: list[StreamEvent] = []
    later: list[StreamEvent] = []
    go = Event()

    async def new() -> AsyncGenerator[str, None]:
        yield "new"
        await go.wait()
        yield "newer"

    async with Streams(store, drain=0) as writer, Streams(slow, drain=0) as streams:
        await writer.start("a", Fountain("old", wait=True))
        await eventually(lambda: store._logs["a"].head.tail == 1)
        with fail_after(10):
            async with create_task_group() as tasks:
                if answer == "the old life":
                    gate.hold("read", where=lambda name, after, limit: limit and after == 1)
                tasks.start_soon(collect, streams.follow("a"), got)
                await eventually(lambda: got)
                if answer == "no such stream":
                    gate.hold("read", where=lambda name, after, limit: limit and after == 1)
                    await writer.delete("a")
                await gate.is_held("read")
                await writer.start("a", new(), if_exists="restart")
                await eventually(lambda: store._logs["a"].head.tail == 1)
                tasks.start_soon(collect, streams.follow("a"), later)
                await eventually(lambda: later)  # it has brought the new head
                gate.release("read")
                go.set()
                await eventually(lambda: (len(got), len(later)) == (4, 2))
    assert [event.type for event in got] == ["message", "reset", "message", "message"]
    assert data(got[2:]) == data(later) == ["new", "newer"]


@pytest.mark.slow  # as above
async def test_two_reads_of_a_head_may_overtake_each_other() -> None:
    store = MemoryStore()
    gate, slow = held(store)
    got: list[StreamEvent] = []
    overtaken: list[StreamEvent] = []
    async with Streams(store, drain=0) as writer, Streams(slow, drain=0) as streams:
        await writer.start("a", Fountain("old", wait=True))
        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(collect, streams.follow("a"), got)
                await eventually(lambda: got)
                gate.hold("read", where=lambda name, after, limit: not limit)
                tasks.start_soon(collect, streams.follow("a"), overtaken)
                await gate.is_held("read")
                await writer.start("a", Fountain("new", "newer", wait=True), if_exists="restart")
                await eventually(lambda: len(got) == 4)
                gate.release("read")
                await eventually(lambda: overtaken and overtaken[-1].data == "newer")
                assert data(await read(streams.follow("a"), 2)) == ["new", "newer"]
                tasks.cancel_scope.cancel()
    assert [event.type for event in got] == ["message", "reset", "message", "message"]
    assert data([event for event in overtaken if event.type == "message"]) == ["new", "newer"]


async def test_a_late_acknowledgement_of_the_old_producer_does_not_bring_its_life_back() -> None:
    store = MemoryStore()
    gate, slow = held(store)
    go = Event()

    async def old() -> AsyncGenerator[str, None]:
        yield "old 1"
        await go.wait()
        yield "old 2"
        await sleep_forever()

    entered, last = Event(), Event()

    async def new() -> AsyncGenerator[str, None]:
        entered.set()
        await last.wait()
        yield "new"

    got: list[StreamEvent] = []
    async with Streams(slow, drain=0) as streams:
        seen = await read(await streams.start("a", old()), 1)
        gate.hold("append", where=lambda claim, expected, lines: b"old 2" in b"".join(lines))
        go.set()
        await gate.is_held("append")  # it is written, and the answer on its way
        with fail_after(10):
            async with create_task_group() as tasks:

                async def restart() -> None:
                    await streams.start("a", new(), if_exists="restart")

                life = store._logs["a"].head.life
                tasks.start_soon(restart)
                await eventually(lambda: store._logs["a"].head.life != life)
                gate.release("append")
                await entered.wait()  # the old one has ended
                asked = len(gate.calls["read"])
                tasks.start_soon(collect, streams.follow("a", seen[0].id), got)
                await eventually(lambda: got)  # before the first event of the new life
                assert (await streams.history("a"))["events"] == []
                last.set()
                await eventually(lambda: len(got) == 2)
                assert len(gate.calls["read"]) - asked <= 5  # nobody asks again and again
    assert [(event.type, event.data) for event in got] == [
        ("reset", {"first": 1}),
        ("message", "new"),
    ]


@pytest.mark.parametrize("call", ["cancel", "delete"])
async def test_what_was_meant_for_the_old_life_does_not_hit_the_new(call: str) -> None:
    gate, slow = held(MemoryStore())
    old, go = Fountain("old", wait=True), Event()

    async def new() -> AsyncGenerator[str, None]:
        yield "new"
        await go.wait()
        yield "newer"

    async with Streams(slow, drain=0) as streams:
        await read(await streams.start("a", old), 1)
        gate.hold(call)
        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(getattr(streams, call), "a")
                await gate.is_held(call)
                following = await streams.start("a", new(), if_exists="restart")
                gate.release(call)
            assert old.closed
            go.set()
            assert data(await read(following)) == ["new", "newer"]
        assert (await streams.status("a"))["state"] == "done"


async def test_a_cancellation_of_the_new_life_is_not_what_ended_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pump, "look_pause", 0.01)
    store = MemoryStore()
    lost: list[str] = []
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:

        async def write() -> None:
            try:
                async with streams.open("a"):
                    await sleep_forever()
            except (StreamLost, StreamCancelled) as error:
                lost.append(type(error).__name__)

        with fail_after(10):
            async with create_task_group() as tasks:
                tasks.start_soon(write)
                await eventually(lambda: streams.statistics().producers)
                following = await other.start("a", Fountain("new", wait=True), if_exists="restart")
                assert await streams.cancel("a", "enough") == "open"
            assert lost == ["StreamLost"]
            assert await last_type(following) == "cancelled"


@pytest.mark.slow  # it is read once more after 0.2 s
@pytest.mark.parametrize("source", ["ends", "goes on"])
async def test_a_follower_that_pages_an_ended_stream_is_told_that_it_was_started_again(
    monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(Mirrors, "page", 2)
    store, go = MemoryStore(), Event()

    async def new() -> AsyncGenerator[str, None]:
        yield "new 1"
        await go.wait()
        yield "new 2"
        if source == "goes on":
            yield "new 3"

    async with Streams(store, drain=0) as writer, Streams(store, drain=0) as streams:
        await last_type(await writer.start("a", [f"old {number}" for number in range(1, 7)]))
        reading = aiter(streams.follow("a"))
        got = [await anext(reading)]
        assert streams.statistics().watched == 0  # what has ended is not looked at again
        await writer.start("a", new(), if_exists="restart")
        with fail_after(10):
            while got[-1].data != "new 1":
                got.append(await anext(reading))
            assert streams.statistics().watched == 1
            go.set()
            got += [event async for event in reading]
        assert streams.statistics().watched == 0
    types = [event.type for event in got]
    assert types.count("reset") == 1
    reset = types.index("reset")
    assert data(got[:reset]) == ["old 1", "old 2", "old 3", "old 4"][:reset]
    assert data(got[reset + 1 :]) == ["new 1", "new 2", "new 3"][: 3 if source == "goes on" else 2]
