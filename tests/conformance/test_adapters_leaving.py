"""What happens to the source when its client leaves, or takes nothing, on every server."""

from __future__ import annotations

__all__ = ()

from collections.abc import Callable
from time import monotonic

import pytest

from ._apps import LEAVE_BODY
from ._client import SOON, WAIT, WAYS, Exchange, Server, eventually, open_files

FORMATS = pytest.mark.parametrize("format", ["sse", "text"])


@WAYS
@FORMATS
def test_a_client_may_leave_before_the_first_byte(
    server: Server, format: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/{format}/silent-before-headers")
    assert exchange.run.opened.wait(WAIT)
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@WAYS
@FORMATS
def test_a_client_may_leave_while_the_stream_is_idle(
    server: Server, format: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/{format}/live")
    exchange.read_until(b"one")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@WAYS
@FORMATS
def test_a_client_may_leave_in_the_middle_of_a_flood(
    server: Server, format: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/{format}/flood")
    exchange.read_until(b"xxx")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@WAYS
def test_a_client_may_leave_a_source_that_has_nothing_to_send_and_never_awaits(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get("/text/nothing-to-send")
    assert exchange.run.opened.wait(WAIT)
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@WAYS
def test_a_client_that_sent_a_body_may_leave_too(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get("/sse/live", method="POST", body=b"x" * 200_000)
    exchange.read_until(b"one")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@WAYS
def test_a_second_request_on_a_connection_notices_that_its_client_left(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    first = server.get("/sse/context-variable")
    first.read_all()
    second = server.get("/sse/live", after=first)
    second.read_until(b"one")
    leave(second)
    assert second.run.closed.wait(SOON)


@WAYS
@pytest.mark.parametrize("name", ["cleanup-that-awaits", "cleanup-that-awaits-in-a-flood"])
def test_cleanup_that_awaits_completes_when_the_client_leaves(
    server: Server, name: str, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/text/{name}")
    exchange.read_until(b"o" if name == "cleanup-that-awaits" else b"xxx")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)
    assert exchange.run.notes[:4] == ["thread", "slept", "cleaned", "closed"]


@WAYS
@pytest.mark.parametrize("name", ["plain-step", "two-steps"])
@pytest.mark.parametrize("items", [1, 2])
def test_a_step_that_is_left_closes_the_source_inside_in_its_task(
    server: Server, name: str, items: int, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get(f"/sse/{name}")
    exchange.read_until({"plain-step": b"ONE", "two-steps": b"**one"}[name])
    if items == 2:
        exchange.run.go()
        exchange.read_until({"plain-step": b"TWO", "two-steps": b"**two"}[name])
    leave(exchange)
    assert exchange.run.closed.wait(SOON)
    opened_in, closed_in = exchange.run.notes[:2]
    assert opened_in == closed_in


@WAYS
def test_a_context_manager_is_left_with_what_it_gave(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get("/sse/context-manager")
    exchange.read_until(b"one")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)
    assert exchange.run.given.closed.is_set()


@WAYS
def test_a_sync_generator_is_closed_in_its_own_thread(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get("/text/from-a-thread")
    exchange.read_until(b"in the endpoint")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)
    opened_in, closed_in = exchange.run.notes[:2]
    assert opened_in == closed_in


@WAYS
def test_what_follows_a_response_comes_after_its_source_was_closed(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    exchange = server.get("/sse/live")
    exchange.read_until(b"one")
    leave(exchange)
    assert exchange.run.over.wait(SOON)
    # The endpoint's own `finally` on aiohttp, else the background task; then FastAPI's dependency.
    torn_down = ["torn down"] if server.variant.framework == "fastapi" else []
    assert exchange.run.notes == ["closed", "after", *torn_down]


def test_what_follows_a_complete_response_comes_after_its_source_too(server: Server) -> None:
    exchange = server.get("/sse/context-variable")
    exchange.read_all()
    assert exchange.run.over.wait(SOON)
    torn_down = ["torn down"] if server.variant.framework == "fastapi" else []
    assert exchange.run.notes == ["closed", "after", *torn_down]


@pytest.mark.slow  # the bound of 0.5 s has to pass
@FORMATS
def test_a_client_that_takes_nothing_is_given_up(server: Server, format: str) -> None:
    start = monotonic()
    exchange = server.get(f"/{format}/flood-for-the-stuck")
    assert exchange.run.opened.wait(WAIT)
    assert server.get("/plain").read_all() == b"plain"
    assert exchange.run.closed.wait(0.5 + SOON)
    assert monotonic() - start >= 0.5
    # What it finds when it reads after all is cut.
    exchange.read_all()
    assert not exchange.complete
    take_given_up(server)


@pytest.mark.slow  # the bound of 0.5 s has to pass
def test_a_client_that_takes_nothing_cannot_hold_a_stream_that_failed(server: Server) -> None:
    exchange = server.get("/text/boom-for-the-stuck")
    assert exchange.run.closed.wait(WAIT)
    # Where nobody can cancel `send`, the request ends when its client has gone.
    if server.variant.shields_send:
        assert not exchange.run.over.wait(0.5 + SOON)
        exchange.leave()
    assert exchange.run.over.wait(WAIT)
    if "uvicorn" in server.variant.name:  # it takes any first part; the next one would wait
        server.log.take(server.variant.failure_log)
    else:
        server.log.take("streamkit: a client took nothing for 0.5 s and was given up")


@WAYS
def test_a_client_may_leave_though_nobody_read_what_it_sent(
    server: Server, leave: Callable[[Exchange], None]
) -> None:
    # More than aiohttp reads ahead, less than the kernel keeps: the end is behind unread bytes.
    headers, body = {LEAVE_BODY: "yes"}, b"x" * 600_000
    exchange = server.get("/sse/live", method="POST", headers=headers, body=body)
    exchange.read_until(b"one")
    leave(exchange)
    assert exchange.run.closed.wait(SOON)


@pytest.mark.slow  # the bound of 0.5 s has to pass
def test_the_socket_of_a_client_that_takes_nothing_is_freed_where_the_server_lets_us(
    server: Server,
) -> None:
    files = open_files()
    exchange = server.get("/sse/flood-for-the-stuck")
    assert exchange.run.closed.wait(WAIT)
    if not server.variant.shields_send:
        take_given_up(server)
    # No ASGI server has a way to ask for it: they wait until the client reads, or is gone.
    ends = 1 if server.variant.framework == "aiohttp" else 2
    assert eventually(lambda: len(open_files() - files) == ends)
    exchange.leave()
    assert eventually(lambda: not open_files() - files)
    # Where nobody can cancel `send`, the request ends when its client has gone. It is the watching
    # task that closed the source in time.
    if server.variant.shields_send:
        take_given_up(server)


def take_given_up(server: Server) -> None:
    server.log.take("streamkit: a client took nothing for 0.5 s and was given up")
    if "uvicorn" in server.variant.name:  # what it says when it cuts the connection for us
        server.log.take("uvicorn.error: ASGI callable returned without completing response.")
