"""What is no event stream, and how one comes back to one that was lost."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from streamkit import Event
from streamkit.errors import (
    UpstreamContentType,
    UpstreamError,
    UpstreamStatus,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from streamkit.sources.upstream import Reconnect, stream_sse

from ._upstream_server import (
    CLIENTS,
    END,
    Cut,
    Exchange,
    client_of,
    numbered,
    refuses,
    says,
    serving,
    waits,
)

AT_ONCE = Reconnect(first=0.001, max_attempts=3)
RETRY = b"retry: 1\n\n"


async def outcome(source: Any) -> tuple[list[object], UpstreamError | None]:
    came: list[object] = []
    try:
        async for event in source:
            came.append(event.data)  # noqa: PERF401 - it may raise, after the last one
    except UpstreamError as error:
        return came, error
    return came, None


async def hangs_up(exchange: Exchange) -> None:
    raise Cut


@pytest.mark.parametrize("package", CLIENTS)
@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 429, 500, 503])
async def test_another_status_is_an_error_with_the_start_of_its_body(
    status: int, package: Any
) -> None:
    body = b'{"error": {"message": "no: sk-secret"}}' + b"x" * 10_000
    script = refuses(status, body, "application/json", Retry_After="7", Location="/elsewhere")
    async with serving(script) as server, client_of(package) as client:
        came, error = await outcome(stream_sse(server.url, client=client))
        assert isinstance(error, UpstreamStatus)
        assert (came, error.upstream_status, error.retry_after) == ([], status, 7.0)
        assert error.body == body[:4096].decode()
        assert (error.status, str(error)) == (502, f"the upstream answered with status {status}")
        assert len(server.exchanges) == 1


NO_STREAMS = [
    pytest.param("text/html", b"<!doctype html>", id="a page"),
    pytest.param("application/json", b'{"error": "no"}', id="a JSON error with status 200"),
    pytest.param("text/event-streams", b"data: x\n\n", id="nearly one"),
]


@pytest.mark.parametrize(("type", "body"), NO_STREAMS)
async def test_another_content_type_is_an_error_with_the_start_of_the_body(
    type: str, body: bytes
) -> None:
    async with serving(refuses(200, body, type)) as server:
        came, error = await outcome(stream_sse(server.url, reconnect=AT_ONCE))
        assert isinstance(error, UpstreamContentType)
        assert (came, error.content_type, error.body) == ([], type, body.decode())
        assert len(server.exchanges) == 1


async def test_the_content_type_may_have_a_charset_and_any_case() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(type="Text/Event-Stream; Charset=UTF-8")
        await exchange.send(END)

    async with serving(script) as server:
        assert await outcome(stream_sse(server.url)) == ([], None)


async def test_a_refusal_whose_body_never_ends_is_told_all_the_same() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(500, "text/plain")
        while True:
            await exchange.send(b"x" * 1000)

    async with serving(script) as server:
        _, error = await outcome(stream_sse(server.url))
        assert isinstance(error, UpstreamStatus)
        assert error.body == "x" * 4096
        await server.exchanges[0].client_left.wait()


@pytest.mark.parametrize("package", CLIENTS)
async def test_an_upstream_that_is_not_there_is_an_error(package: Any) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/?key=secret"
        async with client_of(package) as client:
            came, error = await outcome(stream_sse(url, client=client))
    assert isinstance(error, UpstreamUnreachable)
    assert (came, error.status, "secret" in str(error)) == ([], 502, False)


async def test_an_upstream_that_hangs_up_without_an_answer_is_an_error() -> None:
    async with serving(hangs_up) as server:
        came, error = await outcome(stream_sse(server.url))
        assert (came, type(error)) == ([], UpstreamUnreachable)


@pytest.mark.parametrize("cut", [True, False])
async def test_a_get_goes_on_after_the_last_id_and_a_half_event_is_none(cut: bool) -> None:
    lost = says(RETRY + numbered(1, 2) + b"id: 3\ndata: hal", cut=cut)
    async with serving(lost, says(numbered(3) + b"data: x\n\n" + END)) as server:
        events = [event async for event in stream_sse(server.url)]
        assert [event.data for event in events] == ["1", "2", "3", "x"]
        assert events[-1] == Event(data="x", id="3")
        first, second = server.exchanges
        assert "last-event-id" not in first.headers
        assert second.headers["last-event-id"] == "2"


async def test_a_get_whose_server_says_no_ids_is_not_asked_for_all_of_it_again() -> None:
    async with serving(says(RETRY + b"data: a\n\n", cut=True)) as server:
        came, error = await outcome(stream_sse(server.url))
        assert (came, isinstance(error, UpstreamTruncated)) == (["a"], True)


async def test_a_server_that_sends_its_clients_away_before_the_first_event_is_asked_again() -> None:
    farewell = says(b"retry: 1\n: come back\n\n")
    async with serving(farewell, says(numbered(1) + END)) as server:
        assert await outcome(stream_sse(server.url)) == (["1"], None)


async def test_a_post_is_not_repeated_unless_that_is_wanted() -> None:
    lost, rest = says(RETRY + numbered(1), cut=True), says(numbered(2) + END)
    async with serving(lost, lost, rest) as server:
        came, error = await outcome(stream_sse(server.url, json={"q": 1}))
        assert (came, isinstance(error, UpstreamTruncated)) == (["1"], True)
        came, error = await outcome(stream_sse(server.url, json={"q": 1}, reconnect=AT_ONCE))
        assert (came, error) == (["1", "2"], None)
        *_, last = server.exchanges
        assert (last.method, last.body) == ("POST", b'{"q":1}')
        assert last.headers["last-event-id"] == "1"


async def test_where_nobody_wants_to_come_back_a_loss_is_the_end() -> None:
    async with serving(says(RETRY + numbered(1), cut=True)) as server:
        came, error = await outcome(stream_sse(server.url, reconnect=None))
        assert (came, isinstance(error, UpstreamTruncated)) == (["1"], True)


async def test_who_is_told_that_nothing_more_comes_has_reached_the_end() -> None:
    async with serving(says(RETRY + numbered(1)), refuses(204)) as server:
        assert await outcome(stream_sse(server.url)) == (["1"], None)
        assert server.exchanges[1].headers["last-event-id"] == "1"


async def test_who_comes_back_and_is_refused_for_good_does_not_come_again() -> None:
    async with serving(says(RETRY + numbered(1)), refuses(410)) as server:
        came, error = await outcome(stream_sse(server.url))
        assert isinstance(error, UpstreamStatus)
        assert (came, error.upstream_status) == (["1"], 410)


PASSING = [
    pytest.param(refuses(503, Retry_After="0"), id="503"),
    pytest.param(refuses(429), id="429"),
    pytest.param(hangs_up, id="no answer"),
    pytest.param(says(), id="an answer without events"),
]


@pytest.mark.parametrize("trouble", PASSING)
async def test_what_passes_is_waited_for(trouble: Any) -> None:
    scripts = says(RETRY + numbered(1)), trouble, says(numbered(2) + END)
    async with serving(*scripts) as server:
        assert await outcome(stream_sse(server.url, reconnect=AT_ONCE)) == (["1", "2"], None)
        assert server.exchanges[2].headers["last-event-id"] == "1"


async def test_a_first_connection_is_tried_again_only_when_that_is_wanted() -> None:
    async with serving(refuses(503), refuses(503), says(END)) as server:
        assert isinstance((await outcome(stream_sse(server.url)))[1], UpstreamStatus)
        assert await outcome(stream_sse(server.url, reconnect=AT_ONCE)) == ([], None)


async def test_attempts_in_a_row_are_bounded_and_an_event_begins_a_new_row() -> None:
    policy = Reconnect(first=0.001, max_attempts=2)
    lost = [says(numbered(number)) for number in range(5)]
    async with serving(*lost, says(), says()) as server:
        came, error = await outcome(stream_sse(server.url, reconnect=policy))
        assert (came, isinstance(error, UpstreamTruncated)) == ([*"01234"], True)
        assert len(server.exchanges) == 7


async def test_silence_is_a_loss() -> None:
    async with serving(waits(RETRY + numbered(1)), says(numbered(2) + END)) as server:
        assert await outcome(stream_sse(server.url, idle_timeout=0.05)) == (["1", "2"], None)


async def test_one_may_begin_where_one_has_left() -> None:
    async with serving(says(END)) as server:
        assert await outcome(stream_sse(server.url, last_event_id="a.7")) == ([], None)
        assert server.exchanges[0].headers["last-event-id"] == "a.7"


async def test_the_place_to_go_on_replaces_the_one_that_the_caller_passed_on() -> None:
    async with serving(says(RETRY + numbered(6), cut=True), says(numbered(7) + END)) as server:
        source = stream_sse(server.url, headers={"last-event-ID": "5"})
        assert [event.data async for event in source] == ["6", "7"]
        asked = [exchange.headers["last-event-id"] for exchange in server.exchanges]
        assert asked == ["5", "6"]


async def test_an_id_that_no_header_can_hold_is_no_place_to_go_on() -> None:
    async with serving(says(RETRY + "id: é\ndata: a\n\n".encode())) as server:
        came, error = await outcome(stream_sse(server.url))
        assert (came, isinstance(error, UpstreamTruncated)) == (["a"], True)
