"""What becomes of a command when it is the source of a response, on every server."""

from __future__ import annotations

__all__ = ()

import json
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.sources.process import stream_process

from ..sources.process._commands import ends, is_running, sh
from ._client import SOON, WAIT, WAYS, Exchange, Server
from ._run import Run
from ._scenarios import SECRET, scenario
from .test_adapters_sharing import MAX_LATENCY, latency


@scenario()
def quiet_command(run: Run) -> Any:
    return sh("sleep 60 & echo $$ $!; wait")


@scenario()
def busy_command(run: Run) -> Any:
    return sh("sleep 60 & echo $$ $!; exec yes")


@scenario()
def short_command(run: Run) -> Any:
    return sh("echo one; exit 3")


@scenario()
def no_command(run: Run) -> Any:
    return stream_process("./missing", SECRET, env={"TOKEN": SECRET})


def pids_of(exchange: Exchange) -> list[int]:
    first, _, _ = exchange.read_until(b"\n").partition(b"\n")
    pids = [int(word) for word in first.removeprefix(b"data: ").split()]
    assert all(map(is_running, pids))
    return pids


@WAYS
@pytest.mark.parametrize("format", ["sse", "text"])
@pytest.mark.parametrize("name", ["quiet-command", "busy-command"])
def test_a_client_that_leaves_ends_the_command_and_what_it_started(
    server: Server, name: str, format: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/{format}/{name}")
    pids = pids_of(exchange)
    leave(exchange)
    assert all(ends(pid, within=SOON) for pid in pids)
    assert exchange.run.over.wait(SOON)


@pytest.mark.slow  # a hundred commands
def test_a_hundred_quiet_commands_take_nothing_from_other_requests(server: Server) -> None:
    exchanges = [server.get("/text/quiet-command") for _ in range(100)]
    for exchange in exchanges:
        exchange.read_until(b"\n")
    assert latency(server, "/plain") < MAX_LATENCY
    assert latency(server, "/plain-in-thread") < MAX_LATENCY
    for exchange in exchanges:
        exchange.leave()
    for exchange in exchanges:
        assert exchange.run.over.wait(WAIT)


def test_a_command_that_ends_is_a_complete_response(server: Server) -> None:
    exchange = server.get("/sse/short-command")
    body = exchange.read_all()
    assert exchange.complete
    assert exchange.status == 200
    assert body.startswith(b'data: one\n\nevent: exit\ndata: {"code":3,')
    assert b'event: end\ndata: {"state":"done","count":2}' in body


@pytest.mark.parametrize("format", ["sse", "text"])
def test_a_command_that_cannot_start_is_a_status_that_tells_nothing_of_it(
    server: Server, format: str
) -> None:
    exchange = server.get(f"/{format}/no-command")
    assert exchange.status == 500
    server.log.take("streamkit: a request failed: command-not-found", "FileNotFoundError")
    told = json.loads(exchange.read_all())
    assert told["error"] == "command-not-found"
    assert "it was not found" in told["message"]
    assert SECRET not in told["message"]
    assert "missing" not in told["message"]
