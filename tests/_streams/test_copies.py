"""A stream that is written from another one, or sent by way of a step; and what is too large."""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from math import inf, nan
from typing import Any

import pytest

from streamkit import Event as StreamEvent
from streamkit import (
    Format,
    Line,
    MemoryStore,
    Stream,
    Streams,
    as_event_jsonl,
    as_jsonl,
    as_sse,
    as_text,
    step,
)
from streamkit._items.stored import MAX_EVENT_BYTES
from streamkit._serving.client import Timing
from streamkit._serving.write_source import write_source
from streamkit._streams.inbox import CUT_MESSAGE
from streamkit.errors import CursorLost, InvalidEvent, ItemRefused, StreamFailed
from streamkit.logs import LogRecord

from .._serving.browser import Browser
from .fakes import body, collect, data, last_type, read, send_alone


async def trimmed(streams: Streams) -> None:
    """Make "a": six items, of which it has forgotten three."""
    async with streams.open("a", max_events=3) as stream:
        for number in range(1, 7):
            await send_alone(streams, stream, str(number))


@step
async def unchanged(events: AsyncIterable[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    async for event in events:
        yield event


@pytest.mark.parametrize("format", [as_sse, as_text, as_jsonl, as_event_jsonl], ids=str)
async def test_a_copy_of_a_stream_has_the_bytes_of_the_original(
    streams: Streams, format: Format[object]
) -> None:
    items = [
        "text",
        {"a": 1},
        datetime.date(2020, 1, 1),
        Line("out", stream="stdout"),
        StreamEvent("price", 5, time=1.0),
        LogRecord("parsing", timestamp="2026-11-20T15:30:00.123Z"),
    ]
    await read(await streams.start("a", items))
    await read(await streams.start("b", streams.follow("a")))
    original, copy = [await body(streams.follow(name), format) for name in "ab"]
    tokens = [
        (await streams.history(name))["events"][0]["id"].partition(".")[0].encode() for name in "ab"
    ]
    assert original
    assert copy.replace(tokens[1], tokens[0]) == original


async def test_a_copy_keeps_no_gap_and_no_reset_as_if_it_were_an_item(streams: Streams) -> None:
    await trimmed(streams)
    first = (await streams.status("a"))["first"]
    gap = (await read(streams.follow("a"), 1))[0]
    assert (gap.type, gap.data) == ("gap", {"first": first, "missed": first - 1})
    reset = (await read(streams.follow("a", "abcdefgh.1"), 1))[0]
    for name, event in (("b", gap), ("c", reset)):
        got: list[StreamEvent] = []
        with pytest.raises(StreamFailed) as failed:
            await collect(await streams.start(name, ["before", event, "after"]), got)
        assert failed.value.cause_code == "reserved-type"
        assert data(got) == ["before"]


async def sent(streams: Streams, format: Format[Any], cursor: str) -> Browser:
    """Return what a response gets of "a" by way of a step."""
    browser = Browser()
    try:
        source = unchanged(streams.follow("a", cursor))
        await write_source(browser, source, format, Timing(first_wait=0))
    except CursorLost as error:
        browser.ended = error
    return browser


async def test_a_step_passes_a_gap_on_or_says_that_it_cannot(streams: Streams) -> None:
    await trimmed(streams)
    first = (await streams.status("a"))["first"]
    facts = {"first": first, "missed": first - 1}
    assert (await sent(streams, as_sse, "")).body.startswith(
        b'event: gap\ndata: {"first":%d,"missed":%d}\n\n' % (first, first - 1)
    )
    assert (await sent(streams, as_text, "")).body.startswith(
        b"--- %d events are no longer kept ---\n" % (first - 1)
    )
    line = json.loads((await sent(streams, as_event_jsonl, "")).body.splitlines()[0])
    assert (line["type"], line["id"], line["data"]) == ("gap", "", facts)
    browser = await sent(streams, as_jsonl, "")
    assert isinstance(browser.ended, CursorLost)
    assert browser.body == b""


@pytest.mark.parametrize("format", [as_text, as_jsonl], ids=str)
async def test_a_step_over_a_reset_cuts_what_has_no_words_for_it(
    streams: Streams, format: Format[object]
) -> None:
    await read(await streams.start("a", ["x"]))
    browser = await sent(streams, format, "abcdefgh.1")
    assert isinstance(browser.ended, CursorLost)
    assert browser.body == b""
    assert (await sent(streams, as_sse, "abcdefgh.1")).body.startswith(b"event: reset\n")


async def test_a_request_of_event_lines_tells_items_the_end_and_a_failure() -> None:
    def failing() -> Generator[object, None, None]:
        yield "x"
        yield Line("50%", partial=True)  # it is replaced by the next, and says nothing here
        raise ValueError("hunter2")

    good, bad = Browser(), Browser()
    await write_source(good, ["x", {"a": 1}], as_event_jsonl, Timing())
    await write_source(bad, failing(), as_event_jsonl, Timing())
    lines = [json.loads(line) for line in good.body.splitlines()]
    assert [(each["id"], each["type"], each["data"]) for each in lines] == [
        ("", "message", "x"),
        ("", "message", {"a": 1}),
        ("", "end", {"state": "done", "count": 2}),
    ]
    assert all(isinstance(each["time"], float) for each in lines)
    lines = [json.loads(line) for line in bad.body.splitlines()]
    assert [(each["type"], each["data"]) for each in lines] == [
        ("message", "x"),
        (
            "error",
            {"state": "error", "code": "source-failed", "message": "The source failed."},
        ),
    ]


LARGE = "x" * MAX_EVENT_BYTES


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(LARGE, id="text"),
        pytest.param({"a": LARGE}, id="a dict"),
        pytest.param(StreamEvent("big", LARGE), id="an event"),
        pytest.param("\0" * (MAX_EVENT_BYTES // 6), id="what is large as JSON"),
    ],
)
async def test_an_item_that_is_too_large_is_refused_after_those_before_it(
    streams: Streams, item: object
) -> None:
    got: list[StreamEvent] = []
    with pytest.raises(StreamFailed, match="at most 1048576 bytes") as failed:
        await collect(await streams.start("a", ["before", item, "after"]), got)
    assert failed.value.cause_code == ItemRefused.code
    assert data(got) == ["before"]


async def test_an_item_as_large_as_may_be_is_kept_and_followed(streams: Streams) -> None:
    item = "x" * (MAX_EVENT_BYTES - 100)
    assert data(await read(await streams.start("a", [item, "after"]))) == [item, "after"]


@pytest.mark.parametrize("letter", ["x", "é", "\0", "\N{GRINNING FACE}"], ids=ascii)
async def test_a_log_message_that_is_too_large_is_cut_and_fails_nothing(
    streams: Streams, letter: str
) -> None:
    async def work(stream: Stream) -> None:
        stream.log(letter * MAX_EVENT_BYTES, "warning")
        stream.log("after")

    first, second = data(await read(await streams.launch("a", work)))
    assert isinstance(first, dict)
    assert first["message"] == letter * CUT_MESSAGE + " …"
    assert first["log_level"] == "warning"
    assert isinstance(second, dict)
    assert second["message"] == "after"
    assert (await streams.status("a"))["state"] == "done"


@pytest.mark.parametrize("time", [nan, inf, -inf])
def test_a_time_that_json_has_no_number_for_is_refused(time: float) -> None:
    with pytest.raises(InvalidEvent, match="finite"):
        StreamEvent("price", 1, time=time)


async def test_a_time_of_an_event_is_kept(streams: Streams) -> None:
    await last_type(await streams.start("a", [StreamEvent("price", 1, time=1.5)]))
    assert (await streams.history("a"))["events"][0]["time"] == 1.5


async def say(stream: Stream) -> None:
    await stream.send("x")


def generating(stream: Stream) -> Generator[str, None, None]:
    yield "x"


async def generating_too(stream: Stream) -> AsyncGenerator[str, None]:
    yield "x"


@pytest.mark.parametrize("job", [generating, generating_too], ids=["def", "async def"])
async def test_a_generator_function_is_no_job_but_a_source(job: Any) -> None:
    async with Streams(MemoryStore(), drain=0) as streams:
        with pytest.raises(TypeError, match="use start"):
            await streams.launch("a", job)
        assert await streams.list() == []
        assert streams.statistics().producers == 0


async def test_a_job_that_was_called_already_is_refused(streams: Streams) -> None:
    job: Any = say(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="do not call it"):
        await streams.launch("a", job)
    assert job.cr_frame is None  # closed, so that nothing warns of it
    with pytest.raises(TypeError, match="do not call it"):
        await streams.launch("a", 5)  # type: ignore[arg-type]
    assert await streams.list() == []


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(lambda stream: say(stream), id="a coroutine"),  # noqa: PLW0108
        pytest.param(lambda stream: generating(stream), id="a generator"),  # noqa: PLW0108
        pytest.param(lambda stream: generating_too(stream), id="an async one"),  # noqa: PLW0108
    ],
)
async def test_a_plain_function_that_returns_what_has_not_run_is_no_success(
    streams: Streams, caplog: pytest.LogCaptureFixture, job: Callable[[Stream], object]
) -> None:
    with pytest.raises(StreamFailed) as failed:
        await read(await streams.launch("a", job))
    assert failed.value.cause_code == "source-failed"
    error = caplog.records[-1].exc_info
    assert error is not None
    assert isinstance(error[1], TypeError)
    assert "pass that itself" in str(error[1])
