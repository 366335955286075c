"""`--check`, of what outlives its request: start it, follow it, leave it, come back to it."""

from __future__ import annotations

__all__ = ("LOOKS", "start")

import json
from collections.abc import Callable, Sequence
from itertools import islice
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from examples.demo.content import RUN
from examples.demo.expecting import (
    EVENTS,
    expect,
    expect_in,
    expect_refusal,
    expect_stream,
    expect_type,
    record,
    unnamed,
)
from examples.demo.jobs import FILES, LAST_LINE, STEPS
from examples.demo.probe import Frame, Mismatch, Running

SERVICE = "100 % a:b"  # which needs quoting
LIVE_LOGS = "/stream/live-logs"
LONG_TASK = "/process/long-task"

# A run takes a second and a half, on an idle machine.
RUN_TIMEOUT = 15.0


def start(server: Running, run: str = "") -> str:
    """Start a run, a new one unless it is given, and return its path."""
    run = run or _new_run()
    with server.answer(f"{run}/generate", method="POST") as answer:
        expect_type(answer, "application/json")
        expect("the answer", json.loads(answer.text()), {"status": "Generation started"})
    return run


def _look_at_long_task(server: Running) -> str:
    with server.answer(LONG_TASK) as answer:
        expect_stream(answer, EVENTS)
        frames = answer.frames()
        begun = list(islice(frames, 3))
        *joined, _ = _frames(server, LONG_TASK)  # while the first one still follows
        *rest, end = frames
    _expect_same("the events of who joined the task", joined, [*begun, *rest])
    for frame in joined:
        expect("the event type", frame.event, "progress")
    steps = [json.loads(frame.data)["done"] for frame in joined]
    expect("the order of what is done", steps, sorted(steps))
    expect("what is done at last", steps[-1], STEPS)
    _expect_end(end, len(joined))
    with server.answer(LONG_TASK, headers={"Last-Event-ID": end.id}) as answer:
        expect("the status for a client that has seen the end", answer.status, 204)
    *again, _ = _frames(server, LONG_TASK)
    if again[0].id == joined[0].id:
        raise Mismatch("who asks after the end got the old task, not a new one")
    return f"{len(steps)} steps; who joins gets the same, who has seen the end starts no other"


def _look_at_live_logs(server: Running) -> str:
    seen = _frames(server, LIVE_LOGS, 4)[1:]  # the first may be a gap, after a while
    for frame in seen:
        unnamed(frame, timestamp=str, log_level=str, message=str)
    seen += _frames(server, LIVE_LOGS, 3, seen[-1].id)
    other = _frames(server, LIVE_LOGS, 5, seen[0].id)
    _expect_same("the log for a second client", other, seen[1:])
    return "one client has it in two parts, another has the same in one"


def _look_at_page(server: Running) -> str:
    with server.answer("/runs") as answer:
        expect_type(answer, "text/html")
        text = answer.text()
    for part in ("<title>Live Log Viewer</title>", "Upload ID", "Service", ">Start</button>"):
        expect_in(part, text)
    return "a page; a browser tries it in the tests"


def _look_at_generate(server: Running) -> str:
    run = start(server)
    with server.answer(f"{run}/generate", method="POST") as answer:
        refusal = expect_refusal(answer, 409)
    expect("the error", refusal["error"], "stream-exists")
    first = _frames(server, f"{run}/logs")
    start(server, run)
    again = _frames(server, f"{run}/logs")
    expect("the last event of both", [first[-1].event, again[-1].event], ["end", "end"])
    if first[0].id == again[0].id:
        raise Mismatch("what was started again is the old run")
    return "started; 409 while it is active; started again after its end"


def _look_at_status(server: Running) -> str:
    expect("the status of an unknown run", got=_is_active(server, _new_run()), wanted=False)
    run = start(server)
    expect("active, once it is started", got=_is_active(server, run), wanted=True)
    _frames(server, f"{run}/logs", 2)
    expect("active, after its follower left", got=_is_active(server, run), wanted=True)
    deadline = monotonic() + RUN_TIMEOUT
    while _is_active(server, run):
        if monotonic() > deadline:
            raise Mismatch(f"it is still active after {RUN_TIMEOUT:g} s")
        sleep(0.05)
    return "active from its start to its end, though nobody follows it"


def _look_at_logs(server: Running) -> str:
    (unknown, _) = _frames(server, f"{_new_run()}/logs")
    expect("the log of an unknown run", (unknown.event, unknown.data), ("", "Log not available"))
    logs = f"{start(server)}/logs"
    with server.answer(logs) as answer:
        expect_stream(answer, EVENTS)
        begun = list(islice(answer.frames(), 5))
    rest = _frames(server, logs, None, begun[-1].id)
    whole = _frames(server, logs)
    _expect_same("the log that was cut and resumed", [*begun, *rest], whole)
    numbers = [int(frame.id.rpartition(".")[2]) for frame in whole]
    expect("the numbers in the ids", numbers, list(range(1, len(whole) + 1)))
    lines = _lines(whole)
    expect("the last line", lines[-1]["message"], LAST_LINE)
    expect("the levels", {line["log_level"] for line in lines}, {"info", "error"})
    _expect_end(whole[-1], len(whole) - 1)
    with server.answer(logs, headers={"Last-Event-ID": whole[-1].id}) as answer:
        expect("the status for a client that has seen the end", answer.status, 204)
    return f"{len(lines)} lines; cut after 5 events and resumed: no gap, none twice"


def _look_at_final_logs(server: Running) -> str:
    expect("the log of an unknown run", _get(server, f"{_new_run()}/logs/final"), {"logs": []})
    run = start(server)
    streamed = _lines(_frames(server, f"{run}/logs"))
    for time in ("once", "twice"):
        rows = _get(server, f"{run}/logs/final")["logs"]
        got = [{name: row[name] for name in streamed[0]} for row in rows]
        expect(f"the final log, asked for {time}", got, streamed)
    expect("the service", {row["service_name"] for row in rows}, {SERVICE})
    if len(rows) < 2 * len(FILES):
        raise Mismatch(f"only {len(rows)} rows")
    return f"{len(rows)} rows, as they were streamed"


def _new_run() -> str:
    return f"/runs/{uuid4().hex}/{quote(SERVICE, safe='')}"


def _is_active(server: Running, run: str) -> bool:
    active: bool = _get(server, f"{run}/status")["active"]
    return active


def _get(server: Running, path: str) -> dict[str, Any]:
    with server.answer(path) as answer:
        expect_type(answer, "application/json")
        got: dict[str, Any] = json.loads(answer.text())
    return got


def _frames(
    server: Running, path: str, number: int | None = None, last_event_id: str = ""
) -> list[Frame]:
    """Follow from where one has left, up to so many events; leaving cuts the connection."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with server.answer(path, headers=headers) as answer:
        expect("the status", answer.status, 200)
        return list(islice(answer.frames(), number))


def _lines(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Return the log lines, which are unnamed; and nothing but progress is between them."""
    *frames, _ = frames
    expect("the event types", {frame.event for frame in frames}, {"", "progress"})
    return [
        record(frame.data, timestamp=str, log_level=str, message=str)
        for frame in frames
        if not frame.event
    ]


def _expect_same(what: str, got: Sequence[Frame], wanted: Sequence[Frame]) -> None:
    expect(what, [(f.id, f.event, f.data) for f in got], [(f.id, f.event, f.data) for f in wanted])


def _expect_end(frame: Frame, count: int) -> None:
    expect("the last event", frame.event, "end")
    expect("its data", json.loads(frame.data), {"state": "done", "count": count})


LOOKS: dict[str, Callable[[Running], str]] = {
    LONG_TASK: _look_at_long_task,
    LIVE_LOGS: _look_at_live_logs,
    "/runs": _look_at_page,
    f"{RUN}/generate": _look_at_generate,
    f"{RUN}/status": _look_at_status,
    f"{RUN}/logs": _look_at_logs,
    f"{RUN}/logs/final": _look_at_final_logs,
}
