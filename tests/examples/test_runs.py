"""The runs of the demo, without a web framework: started once, and their log is never lost."""

from __future__ import annotations

__all__ = ()

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from examples.demo import jobs
from examples.demo.runs import NOT_AVAILABLE, Runs
from streamkit import Event, Following, StreamError, stream_name
from streamkit.errors import StreamExists


@pytest.fixture
async def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runs]:
    monkeypatch.setattr(jobs, "PAUSE", 0.01)
    runs = Runs(tmp_path / "demo.db")
    async with runs.running():
        yield runs


async def streamed(runs: Runs, upload: str = "upload", service: str = "api") -> list[object]:
    """Follow a run to its end, and return what its log lines say."""
    following = await runs.logs(upload, service)
    assert isinstance(following, Following)
    events: list[Event] = []
    with suppress(StreamError):
        async for event in following:
            events.append(event)  # noqa: PERF401 - it may raise, after the last one
    return [event.data for event in events if event.type == "message"]


async def saved(runs: Runs, upload: str = "upload", service: str = "api") -> list[object]:
    rows = await runs.final_logs(upload, service)
    assert all((row.pop("upload_id"), row.pop("service_name")) == (upload, service) for row in rows)
    return list(rows)


@pytest.mark.slow  # SQLite, on a disk
@pytest.mark.parametrize("service", ["api", "broken"])
async def test_the_final_log_is_what_was_streamed_however_often_it_is_asked_for(
    runs: Runs, service: str
) -> None:
    assert await runs.generate("upload", service) == {"status": "Generation started"}
    lines = await streamed(runs, service=service)
    assert [await saved(runs, service=service) for _ in range(3)] == [lines] * 3
    assert lines[-1]["message"] == jobs.LAST_LINE  # type: ignore[index]  # it is a dict


@pytest.mark.slow  # SQLite, on a disk
async def test_a_run_that_has_ended_starts_again_and_both_logs_are_kept(runs: Runs) -> None:
    await runs.generate("upload", "api")
    first = await streamed(runs)
    await runs.generate("upload", "api")
    second = await streamed(runs)
    assert await saved(runs) == first + second


async def test_a_run_that_is_active_is_left_alone(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAUSE", 60)
    await runs.generate("upload", "api")
    before = await runs.status("upload", "api")
    with pytest.raises(StreamExists):
        await runs.generate("upload", "api")
    after = await runs.status("upload", "api")
    assert (before["active"], before["started"]) == (True, after["started"])
    assert await saved(runs) == []


@pytest.mark.slow  # SQLite, on a disk
async def test_a_log_that_its_process_did_not_save_is_saved_when_it_is_asked_for(
    runs: Runs,
) -> None:
    await runs.streams.launch(stream_name("runs", "upload", "api"), jobs.generate, "upload", "api")
    lines = await streamed(runs)
    assert await saved(runs) == lines


async def test_a_run_that_nobody_knows_is_not_active_and_has_no_log(runs: Runs) -> None:
    assert (await runs.status("upload", "api"))["active"] is False
    assert await runs.logs("upload", "api") == [NOT_AVAILABLE]
    assert await saved(runs) == []


@pytest.mark.slow  # SQLite, on a disk
async def test_names_that_look_alike_are_two_runs(runs: Runs) -> None:
    await runs.generate("a:b", "c")
    assert (await runs.status("a", "b:c"))["active"] is False
    assert await streamed(runs, "a:b", "c") == await saved(runs, "a:b", "c")
    assert await saved(runs, "a", "b:c") == []


@pytest.mark.slow  # the task takes its time
async def test_who_comes_back_to_the_task_does_not_start_another(runs: Runs) -> None:
    events = [event async for event in await runs.long_task(None)]
    again = [event async for event in await runs.long_task(events[-1].id)]
    assert again == events
    other = [event async for event in await runs.long_task(None)]
    assert not {event.id for event in other} & {event.id for event in events}
