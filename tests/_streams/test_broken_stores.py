"""A store that breaks in ways that no contract names: it costs what it holds, never all streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from anyio import create_task_group, current_time, fail_after, sleep_forever
from anyio.lowlevel import checkpoint

from streamkit import Claim, Head, MemoryStore, Page, Streams, as_sse, as_text
from streamkit import Event as StreamEvent
from streamkit._serving.client import Left
from streamkit._streams.pump import Pump
from streamkit._streams.pumps import Pumps
from streamkit.errors import ExpiredStream, StoreAway, StreamCancelled, StreamLost

from .._serving.browser import Browser
from ..fakes import Fountain
from .fakes import claim_of, data, eventually, line, read


class DriverError(Exception):
    """What a driver raises, and a store forgot to translate."""


class Breaking(MemoryStore):
    """A store that raises what it is told, in the calls that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception = DriverError("the socket is no socket")
        self.broken: set[str] = set()
        self.failures: dict[str, int] = {}
        self.bells_end = False
        self.opened: list[float] = []

    def _look(self, call: str) -> None:
        if call in self.broken:
            self.failures[call] = self.failures.get(call, 0) + 1
            raise self.error

    async def append(
        self, claim: Claim, expected: int, events: object, **options: object
    ) -> Head | None:
        self._look("append")
        return await super().append(claim, expected, events, **options)  # type: ignore[arg-type]

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        self._look("read")
        return await super().read(name, after, limit)

    async def sweep(self) -> list[tuple[str, Head]]:
        self._look("sweep")
        return await super().sweep()

    @asynccontextmanager
    async def bells(self) -> AsyncGenerator[AsyncIterator[str | None], None]:
        self.opened.append(current_time())
        self._look("bells")
        if self.bells_end:
            yield aiter(_none())
            return
        async with super().bells() as bells:
            yield bells


async def _none() -> AsyncGenerator[str | None, None]:
    await checkpoint()
    return
    yield None


async def test_a_line_that_nobody_can_read_costs_its_own_stream_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    claim = claim_of("a")
    await store.claim(claim, "nothing")
    await store.append(claim, 0, [line("readable")])
    got: list[StreamEvent] = []
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as writer:
        await writer.start("good", Fountain("x", wait=True))
        for _ in range(2):  # it is not worse for who comes later
            with pytest.raises((ExpiredStream, ValueError)), fail_after(10):
                async for event in streams.follow("a"):
                    got.append(event)
                    if event.data == "readable":
                        await store.append(claim, 1, [b'{"v":2}'], close="done")
        assert data(got) == ["readable"]
        assert data(await read(streams.follow("good"), 1)) == ["x"]
        assert (await streams.status("good"))["active"]
        assert streams.statistics().followers == 0
    assert "the stream a cannot be read" in [each.getMessage() for each in caplog.records]


@pytest.mark.slow  # a loop goes on after a pause
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("bells", "nothing is heard of the store"),
        ("sweep", "the store cannot be swept"),
        ("read", "the stream a cannot be read"),
    ],
)
async def test_an_error_of_a_driver_is_logged_and_streams_go_on(
    call: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Breaking()
    good = MemoryStore()
    good._logs = store._logs  # the same streams, by way of a store that works
    async with Streams(good, drain=0) as writer, Streams(store, drain=0, sweep=0.01) as streams:
        source = Fountain("x", wait=True)
        await writer.start("a", source)
        reading = aiter(streams.follow("a"))
        assert (await anext(reading)).data == "x"
        store.broken.add(call)
        streams._listening.ring("a")
        if call == "bells":
            assert streams._listening._scope is not None
            streams._listening._scope.cancel()
        await eventually(lambda: store.failures.get(call))
        await eventually(lambda: message in caplog.text)
        store.broken.clear()
        assert data(await read(await streams.start("b", ["y"]))) == ["y"]
        assert (await streams.status("a"))["active"]
    record = next(each for each in caplog.records if each.getMessage() == message)
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], DriverError)


async def test_a_look_at_a_head_that_fails_leaves_it_to_the_next_append(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pump, "look_pause", 0)
    store = Breaking()
    async with Streams(store, drain=0, lease=0.3) as streams:
        following = await streams.start("a", Fountain("x", wait=True))
        reading = aiter(following)
        assert (await anext(reading)).data == "x"
        store.broken.add("read")
        await store.cancel("a", "enough")
        await eventually(lambda: store.failures.get("read"))
        store.broken.clear()
        with pytest.raises(StreamCancelled, match="enough"), fail_after(5):
            await anext(reading)


@pytest.mark.slow  # four pauses, the longest of 0.4 s
async def test_a_store_without_bells_is_asked_for_them_less_and_less() -> None:
    store = Breaking()
    store.bells_end = True
    other = MemoryStore()
    other._logs = store._logs
    async with Streams(store, drain=0) as streams, Streams(other, drain=0) as writer:
        await writer.start("a", Fountain("x", wait=True))
        assert data(await read(streams.follow("a"), 1)) == ["x"]
        await eventually(lambda: len(store.opened) >= 4)
    pauses = [
        later - earlier for earlier, later in zip(store.opened[:3], store.opened[1:4], strict=True)
    ]
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.09), strict=True))


@pytest.mark.parametrize("how", ["a source", "a block"])
async def test_an_append_that_fails_as_none_should_ends_its_stream_alone(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Breaking()
    async with Streams(store, drain=0) as streams:
        if how == "a source":
            source = Fountain("x", wait=True)
            store.broken.add("append")
            await streams.start("a", source)
            with fail_after(10):
                await source.was_closed.wait()
        else:
            with pytest.raises(StreamLost, match="its store failed"), fail_after(10):
                async with streams.open("a") as stream:
                    store.broken.add("append")
                    await stream.send("x")
                    await sleep_forever()
        await eventually(lambda: streams.statistics().producers == 0)
        store.broken.clear()
        assert data(await read(await streams.start("b", ["y"]))) == ["y"]
    assert "the stream a cannot be written" in [each.getMessage() for each in caplog.records]


@pytest.mark.slow  # streams that stop wait for a store that is away
async def test_an_end_that_could_not_be_written_is_logged_when_streams_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Pumps, "close_timeout", 0.05)
    store, source = Breaking(), Fountain("x", "y", wait=True)
    store.error = StoreAway("the cable was pulled")
    with fail_after(5):
        async with Streams(store, drain=0) as streams:
            await read(await streams.start("a", source), 2)
            store.broken.add("append")
    assert source.closed
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "the end of the stream a could not be written"
    ]
    store.broken.clear()
    page = await store.read("a", 0, 9)
    assert page is not None
    assert page.head.state == "open"


async def test_a_client_of_a_store_that_is_away_is_asked_to_come_back() -> None:
    store, browser, text = Breaking(), Browser(), Browser()
    store.error = StoreAway("the cable was pulled")
    store.broken.add("read")
    async with Streams(store, drain=0) as streams:
        await browser.follow(streams, as_sse)
        await text.follow(streams, as_text)
    assert browser.ended is True
    assert browser.finished
    assert browser.body.startswith(b"retry: ")
    assert isinstance(text.ended, StoreAway)  # text has no words for it, a status has
    assert not text.started


@pytest.mark.parametrize("failing", ["start", "write", "finish"])
async def test_a_client_that_is_gone_while_the_store_is_away_has_left(failing: str) -> None:
    class Gone(Browser):
        async def start(self) -> None:
            await super().start()
            self._fail("start")

        async def write(self, data: bytes) -> None:
            self._fail("write")

        async def finish(self) -> None:
            self._fail("finish")

        def _fail(self, call: str) -> None:
            if call == failing:
                raise ConnectionResetError("gone")

    store, browser = Breaking(), Gone()
    store.error = StoreAway("the cable was pulled")
    store.broken.add("read")
    async with Streams(store, drain=0) as streams:
        await browser.follow(streams)
    assert isinstance(browser.ended, Left)


async def test_a_client_that_takes_nothing_while_the_store_is_away_is_let_go() -> None:
    async def taking(data: bytes) -> None:
        await sleep_forever()

    store, browser = Breaking(), Browser(taking)
    store.error = StoreAway("the cable was pulled")
    store.broken.add("read")
    async with Streams(store, drain=0) as streams, create_task_group() as tasks:
        with fail_after(5):
            await browser.follow(streams, send_timeout=0.02)
        tasks.cancel_scope.cancel()
    assert browser.ended is True or isinstance(browser.ended, Left)
    assert not browser.finished


async def test_a_name_that_cannot_be_given_back_costs_no_other_stream() -> None:
    @asynccontextmanager
    async def closed() -> AsyncGenerator[list[str], None]:
        store.broken.add("read")
        raise ValueError("not entered")
        yield []

    store = Breaking()
    async with Streams(store, drain=0) as streams:
        following = await streams.start("good", Fountain("x", wait=True))
        with pytest.raises(ValueError, match="not entered"):
            await streams.start("a", closed())
        store.broken.clear()
        assert data(await read(following, 1)) == ["x"]
        assert (await streams.status("good"))["active"]
