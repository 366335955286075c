"""The one loop behind every adapter, against a client that does what the test wants."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from math import nan
from typing import Any, cast

import anyio
import pytest
from anyio import CancelScope, Event, create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from streamkit import Encoder, Format, as_bytes, as_sse, as_text
from streamkit._feeding.handover import Handover
from streamkit._serving import write_source as writing_module
from streamkit._serving.client import Left, Stuck, Timing
from streamkit._serving.write_source import write_source
from streamkit.errors import ItemRefused

from ..fakes import Fountain, jumping_clock


@pytest.fixture
def anyio_backend(anyio_backend: str) -> object:
    """Let trio's time jump to the next deadline; asyncio has to live with short times."""
    options = {"clock": MockClock(autojump_threshold=0)} if anyio_backend == "trio" else {}
    return anyio_backend, options


END = b'event: end\ndata: {"state":"done","count":%d}\nid: end\n\n'


class FakeClient:
    """Keeps what it is sent; may leave, stop reading, or break."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.left = Event()
        self.reads = Event()
        self.reads.set()
        self.breaks_with: BaseException | None = None
        self.shields = False
        self.aborted = False
        self._sent_more = Event()

    async def has_been_sent(self, count: int) -> None:
        """Wait until so many parts were sent, the start included."""
        with fail_after(10):
            while len(self.log) < count:
                self._sent_more = Event()
                await self._sent_more.wait()

    @property
    def started(self) -> bool:
        return "start" in self.log

    async def start(self) -> None:
        self.log.append("start")
        await self._sent()

    async def write(self, data: bytes) -> None:
        self.log.append(data)
        await self._sent()

    async def finish(self) -> None:
        self.log.append("finish")
        await self._sent()

    async def cut(self, error: Exception) -> None:
        self.log.append(error)
        await self._sent()

    async def gone(self) -> None:
        await self.left.wait()

    def abort(self) -> None:
        self.aborted = True

    async def _sent(self) -> None:
        self._sent_more.set()
        if self.breaks_with is not None:
            raise self.breaks_with
        with CancelScope(shield=self.shields):
            await self.reads.wait()


async def written(source: Any, format: Any = as_text, **timing: Any) -> list[Any]:
    client = FakeClient()
    with fail_after(10):
        await write_source(client, source, format, Timing(**timing))
    return client.log


async def words() -> AsyncGenerator[str, None]:
    yield "a"
    yield "b"


async def test_headers_then_batches_then_the_end_then_the_finish() -> None:
    log = await written(words(), as_sse)
    assert log[0] == "start"
    assert b"".join(log[1:-1]) == b"data: a\n\ndata: b\n\n" + END % 2
    assert log[-1] == "finish"


async def test_an_empty_source_is_complete_too() -> None:
    assert await written([], as_sse) == ["start", END % 0, "finish"]
    assert await written([], as_text) == ["start", "finish"]


async def test_a_format_may_begin_and_end_with_something() -> None:
    class Listed(Encoder[str]):
        def begin(self) -> bytes:
            return b"["

        def one(self, item: str) -> bytes:
            return item.encode()

        def end(self, count: int) -> bytes:
            return b"]%d" % count

    as_list = Format("as_list", "text/plain", Listed)
    assert b"".join((await written(words(), as_list))[1:-1]) == b"[ab]2"


async def test_a_failure_before_the_first_item_is_raised_with_nothing_sent() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        raise PermissionError("not yours")
        yield

    client = FakeClient()
    with pytest.raises(PermissionError, match="not yours"):
        await write_source(client, failing(), as_sse, Timing())
    assert client.log == []


async def test_a_failure_on_entering_is_raised_with_nothing_sent() -> None:
    @asynccontextmanager
    async def unreachable() -> AsyncIterator[list[str]]:
        raise ConnectionRefusedError
        yield []

    client = FakeClient()
    with pytest.raises(ConnectionRefusedError):
        await write_source(client, unreachable(), as_text, Timing())
    assert client.log == []


async def failing_later() -> AsyncGenerator[str, None]:
    yield "a"
    await checkpoint()
    raise ValueError("the secret of the database")


async def test_a_later_failure_is_the_formats_error_and_the_details_go_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = await written(failing_later(), as_sse)
    assert log[0] == "start"
    assert b"".join(log[1:-1]) == (
        b"data: a\n\n"
        b'event: error\ndata: {"state":"error","code":"source-failed",'
        b'"message":"The source failed."}\nid: end\n\n'
    )
    assert log[-1] == "finish"
    [record] = caplog.records
    assert record.getMessage() == "a source failed: source-failed"
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


async def test_an_error_of_ours_says_what_it_is() -> None:
    log = await written(["a", b"x"], as_sse)
    assert b'"code":"item-refused","message":"bytes need as_bytes or as_text"' in b"".join(
        log[1:-1]
    )


async def test_a_later_failure_cuts_the_connection_when_the_format_has_no_error() -> None:
    client = FakeClient()
    with pytest.raises(ValueError, match="secret") as caught:
        await write_source(client, failing_later(), as_text, Timing())
    assert client.log == ["start", b"a", caught.value]


async def test_a_client_stuck_at_the_cut_does_not_hold_the_response() -> None:
    class StuckAtTheCut(FakeClient):
        async def cut(self, error: Exception) -> None:
            await anyio.sleep_forever()

    with fail_after(5), pytest.raises(ValueError, match="secret"):
        await write_source(StuckAtTheCut(), failing_later(), as_text, Timing(send_timeout=0.01))


class Fragile(Encoder[str]):
    """Says errors in the stream, and fails where it is told to."""

    fails_at = ""

    def begin(self) -> bytes:
        return self.said("begin")

    def one(self, item: str) -> bytes:
        return self.said("one")

    def end(self, count: int) -> bytes:
        return self.said("end")

    def error(self, code: str, message: str) -> bytes:
        return f"error {code}.".encode()

    def said(self, what: str) -> bytes:
        if what == self.fails_at:
            raise ValueError(what)
        return f"{what}.".encode()


async def test_an_encoder_that_fails_at_its_beginning_leaves_a_status_possible() -> None:
    client, source = FakeClient(), Fountain("a")
    as_fragile = Format("as_fragile", "text/plain", type("", (Fragile,), {"fails_at": "begin"}))
    with pytest.raises(ValueError, match="begin"):
        await write_source(client, source, as_fragile, Timing())
    assert client.log == []
    assert not source.registered or source.closed


async def test_an_encoder_that_fails_at_the_end_is_the_error_of_the_stream() -> None:
    as_fragile = Format("as_fragile", "text/plain", type("", (Fragile,), {"fails_at": "end"}))
    log = await written(words(), as_fragile)
    assert b"".join(log[1:-1]) == b"begin.one.one.error source-failed."


async def test_a_format_that_cannot_make_an_encoder_closes_the_source() -> None:
    def broken() -> Encoder[object]:
        raise ValueError("no encoder")

    file = BytesIO(b"x")
    with pytest.raises(ValueError, match="no encoder"):
        await write_source(FakeClient(), file, Format("x", "text/plain", broken), Timing())
    assert file.closed


async def test_what_a_format_begins_with_goes_out_while_the_source_is_silent() -> None:
    client = FakeClient()
    as_fragile = Format("as_fragile", "text/plain", Fragile)
    async with create_task_group() as tasks:
        source = Fountain(wait=True)
        tasks.start_soon(write_source, client, source, as_fragile, Timing(first_wait=0.01))
        await client.has_been_sent(2)
        assert client.log == ["start", b"begin."]
        tasks.cancel_scope.cancel()


async def test_an_item_refused_after_others_is_raised_after_them() -> None:
    client, wrong = FakeClient(), cast("list[str]", ["a", 1])
    with pytest.raises(ItemRefused, match="as_bytes takes bytes and text, not int"):
        await write_source(client, wrong, as_bytes, Timing())
    assert client.log[:2] == ["start", b"a"]


async def test_a_silent_source_gets_its_headers_after_the_first_wait() -> None:
    client, source = FakeClient(), Fountain(wait=True)
    async with create_task_group() as tasks:
        tasks.start_soon(write_source, client, source, as_text, Timing(first_wait=0.01))
        await client.has_been_sent(1)
        assert client.log == ["start"]
        tasks.cancel_scope.cancel()
    source.assert_closed_where_it_ran()


async def test_no_first_wait_sends_the_headers_at_once() -> None:
    client = FakeClient()
    async with create_task_group() as tasks:
        source = Fountain(wait=True)
        tasks.start_soon(write_source, client, source, as_text, Timing(first_wait=0))
        await wait_all_tasks_blocked()
        assert client.log == ["start"]
        tasks.cancel_scope.cancel()


async def test_an_idle_event_stream_is_kept_alive() -> None:
    client = FakeClient()
    async with create_task_group() as tasks:
        source = Fountain("a", wait=True)
        tasks.start_soon(write_source, client, source, as_sse, Timing(keep_alive=0.01))
        await client.has_been_sent(5)
        tasks.cancel_scope.cancel()
    assert client.log[:2] == ["start", b"data: a\n\n"]
    assert set(client.log[2:]) == {b": keep-alive\n\n"}


@jumping_clock()
@pytest.mark.parametrize(
    ("format", "keep_alive"),
    [
        pytest.param(as_sse, None, id="switched off"),
        pytest.param(as_text, 0.01, id="a format without comments"),
    ],
)
async def test_nothing_is_sent_into_silence_when(format: Any, keep_alive: Any) -> None:
    client = FakeClient()
    async with create_task_group() as tasks:
        source = Fountain("a", wait=True)
        tasks.start_soon(write_source, client, source, format, Timing(keep_alive=keep_alive))
        await anyio.sleep(3600)
        tasks.cancel_scope.cancel()
    assert client.log[0] == "start"
    assert len(client.log) == 2


async def test_a_keep_alive_due_at_the_moment_of_the_end_does_not_hide_the_end() -> None:
    async def items() -> AsyncGenerator[str, None]:
        yield "a"
        await anyio.sleep(0.01)
        yield "b"
        raise ValueError

    log = await written(items(), as_sse, keep_alive=0.01)
    sent = b"".join(log[1:-1]).replace(b": keep-alive\n\n", b"")
    assert sent.startswith(b"data: a\n\ndata: b\n\nevent: error\n")


async def test_a_client_that_leaves_closes_the_source() -> None:
    client, source = FakeClient(), Fountain("a", wait=True)
    async with create_task_group() as tasks:

        async def leave() -> None:
            await wait_all_tasks_blocked()
            client.left.set()

        tasks.start_soon(leave)
        with pytest.raises(Left):
            await write_source(client, source, as_sse, Timing())
    source.assert_closed_where_it_ran()
    assert client.log == ["start", b"data: a\n\n"]


async def test_a_client_that_has_left_before_anything_happens_closes_the_source() -> None:
    client, source = FakeClient(), Fountain(wait=True)
    client.left.set()
    with pytest.raises(Left):
        await write_source(client, source, as_sse, Timing())
    assert not source.registered or source.closed
    assert client.log == []


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), anyio.BrokenResourceError(), anyio.ClosedResourceError()]
)
async def test_a_broken_connection_is_a_client_that_left(error: Exception) -> None:
    client, source = FakeClient(), Fountain("a", wait=True)
    client.breaks_with = error
    with pytest.raises(Left) as caught:
        await write_source(client, source, as_sse, Timing())
    assert not isinstance(caught.value, Stuck)
    source.assert_closed_where_it_ran()


async def test_another_failure_to_write_is_raised_and_not_blamed_on_the_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, source = FakeClient(), Fountain("a", wait=True)
    client.breaks_with = RuntimeError("a middleware")
    with pytest.raises(RuntimeError, match="a middleware"):
        await write_source(client, source, as_sse, Timing())
    source.assert_closed_where_it_ran()
    assert client.log == ["start", client.breaks_with]  # cut
    assert caplog.records == []


async def test_an_oserror_of_the_source_is_not_taken_for_a_client_that_left() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "a"
        raise ConnectionResetError("upstream")

    log = await written(failing(), as_sse)
    assert b"event: error" in b"".join(log[1:-1])


@pytest.mark.parametrize("shields", [False, True], ids=["plain", "in a shielded send"])
async def test_a_stuck_client_is_given_up_and_its_source_closed(
    shields: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client, source = FakeClient(), Fountain("a", wait=True)
    client.reads = Event()
    client.shields = shields
    outcome: list[BaseException] = []

    async def write() -> None:
        try:
            await write_source(client, source, as_text, Timing(send_timeout=0.01))
        except Stuck as stuck:
            outcome.append(stuck)

    async with create_task_group() as tasks:
        tasks.start_soon(write)
        with fail_after(5):
            await source.was_closed.wait()
        client.reads.set()  # a server that shields its send lets go only now
    assert len(outcome) == 1
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "a client took nothing for 0.01 s and was given up"


async def test_a_client_stuck_at_the_finish_does_not_hold_the_response() -> None:
    class StuckAtTheEnd(FakeClient):
        async def finish(self) -> None:
            await anyio.sleep_forever()

    with fail_after(5):
        await write_source(StuckAtTheEnd(), ["a"], as_sse, Timing(send_timeout=0.01))


async def test_a_cancelled_response_closes_the_source_before_it_is_over() -> None:
    client, source = FakeClient(), Fountain("a", wait=True)
    async with create_task_group() as tasks:
        tasks.start_soon(write_source, client, source, as_sse, Timing())
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    source.assert_closed_where_it_ran()
    assert client.log == ["start", b"data: a\n\n"]


async def test_a_stopping_server_says_so_and_lets_the_client_come_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hands: list[Handover] = []

    class Known(Handover):
        def __init__(self) -> None:
            super().__init__()
            hands.append(self)

    monkeypatch.setattr(writing_module, "Handover", Known)
    client, source = FakeClient(), Fountain("a", wait=True)
    async with create_task_group() as tasks:
        tasks.start_soon(write_source, client, source, as_sse, Timing())
        await wait_all_tasks_blocked()
        hands[0].stop()
    assert client.log[-2:] == [
        (
            b'event: error\ndata: {"state":"error","code":"server-stopping",'
            b'"message":"the server is stopping; try again in a moment"}\n\n'
        ),
        "finish",
    ]
    source.assert_closed_where_it_ran()
    assert caplog.records == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"first_wait": -1}, id="a wait into the past"),
        pytest.param({"keep_alive": 0}, id="no pause between keep-alives"),
        pytest.param({"send_timeout": 0}, id="no time to send"),
        pytest.param({"first_wait": nan}, id="a wait that is no number"),
        pytest.param({"keep_alive": nan}, id="a pause that is no number"),
        pytest.param({"send_timeout": nan}, id="a time that is no number"),
    ],
)
def test_times_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is a time"):
        Timing(**wrong)
