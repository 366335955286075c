"""`stream_every` keeps its beat, `stream_echo` says its text."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import anyio
import pytest
from anyio import current_time
from trio.testing import MockClock

from streamkit import open_source
from streamkit.sources.echo import stream_echo
from streamkit.sources.tick import stream_every

from ..fakes import jumping_clock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Let trio's time jump to the next deadline; asyncio has to live with short times."""
    options = {"clock": MockClock(autojump_threshold=0)} if request.param == "trio" else {}
    return request.param, options


async def take(source: AsyncIterable[Any], count: int) -> list[Any]:
    taken: list[Any] = []
    async with open_source(source) as items:
        async for item in items:
            taken.append(item)
            if len(taken) == count:
                break
    return taken


async def test_the_first_beat_is_at_once() -> None:
    start = current_time()
    assert await take(stream_every(1000, lambda: "now"), 1) == ["now"]
    assert current_time() - start < 100


@jumping_clock()
async def test_the_time_of_the_call_does_not_add_up() -> None:
    start = current_time()

    async def slow() -> float:
        due = current_time() - start
        await anyio.sleep(0.002)
        return due

    beats = await take(stream_every(0.01, slow), 1000)
    assert beats == pytest.approx([number * 0.01 for number in range(1000)])


@jumping_clock()
@pytest.mark.parametrize("interval", [0.1, 1 / 60, 0.0333])
async def test_no_beat_comes_twice_however_its_time_is_rounded(interval: float) -> None:
    start = current_time()
    beats = await take(stream_every(interval, lambda: current_time() - start), 100)
    assert beats == pytest.approx([number * interval for number in range(100)])


@pytest.mark.slow  # two seconds of beats: uvloop, which wakes early, has no clock to jump
@pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")]
)
async def test_a_loop_that_wakes_too_early_gets_no_extra_beat() -> None:
    start = current_time()
    await take(stream_every(0.0333, int), 31)
    assert current_time() - start >= 30 * 0.0333 - 0.002


@jumping_clock()
async def test_a_beat_that_was_missed_is_left_out() -> None:
    start = current_time()
    beats: list[float] = []

    async def call() -> None:
        beats.append(current_time() - start)
        if len(beats) == 2:
            await anyio.sleep(2.5)

    await take(stream_every(1, call), 4)
    assert beats == pytest.approx([0, 1, 4, 5])


async def test_a_plain_function_serves_as_well() -> None:
    numbers = iter(range(9))
    assert await take(stream_every(0.001, lambda: next(numbers)), 3) == [0, 1, 2]


async def test_an_error_of_the_call_is_the_error_of_the_stream() -> None:
    with pytest.raises(ZeroDivisionError):
        await take(stream_every(0.001, lambda: 1 // 0), 1)


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_would_spin_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="interval is a time above 0 s"):
        stream_every(interval, int)


@pytest.mark.parametrize(
    "text", ["Hello, how are you?", " two  spaces\n", "", " ", "one"], ids=repr
)
async def test_the_words_joined_are_the_text(text: str) -> None:
    words = [word async for word in stream_echo(text, pause=0)]
    assert "".join(words) == text
    assert len(words) == max(1, len(text.split()))


async def test_there_is_a_pause_between_two_words_and_none_before_the_first() -> None:
    start = current_time()
    times = [current_time() - start async for _ in stream_echo("a b c", pause=0.01)]
    assert times[0] < 0.01
    assert times[2] >= 0.02
