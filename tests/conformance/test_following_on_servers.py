"""What a client sees that follows a stream from where it was, on every server."""

from __future__ import annotations

__all__ = ()

import json

import pytest

from ._client import Exchange
from ._followed import Followed, Producer, ids_of, retry_of, without_retry

FORMATS = pytest.mark.parametrize("format", ["sse", "text", "jsonl", "event-jsonl"])


# The two ways to say where one was.
WAYS = pytest.mark.parametrize("by", ["seen", "after"])


def come_back(
    followed: Followed, by: str, cursor: str, stream: Producer | str, format: str = "sse"
) -> Exchange:
    if by == "seen":
        return followed.follow(stream, format, seen=cursor)
    return followed.follow(stream, format, after=cursor)


def events(exchange: Exchange) -> list[str]:
    """Return the frames of a complete response but for the wish to come back."""
    body = without_retry(exchange.read_all()).decode()
    assert exchange.complete
    assert body.endswith("\n\n")
    return body.removesuffix("\n\n").split("\n\n")


def refusal(exchange: Exchange) -> tuple[int, str]:
    """Return the status and the code of a response that is none of a stream."""
    assert exchange.header("content-type")[0].startswith("application/json")
    told = json.loads(exchange.read_all())
    assert set(told) == {"error", "message"}
    return exchange.status, told["error"]


def test_each_event_arrives_at_once_with_its_id_last_and_then_the_end(followed: Followed) -> None:
    stream = followed.write()
    exchange = followed.follow(stream)
    assert exchange.status == 200  # before there is any event
    for item, mark in (("one", b"one"), ({"two": 2}, b'{"two":2}'), ("three\nlines", b"lines")):
        stream.send(item)
        exchange.read_until(mark)
    assert followed.statistics.followers == 1
    stream.end()
    first, second, third, last = stream.ids
    assert events(exchange) == [
        f"data: one\nid: {first}",
        f'data: {{"two":2}}\nid: {second}',
        f"data: three\ndata: lines\nid: {third}",
        f'event: end\ndata: {{"state":"done","count":3}}\nid: {last}',
    ]


@FORMATS
def test_headers_are_those_of_any_other_stream(followed: Followed, format: str) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, format)
    media_types = {"sse": "text/event-stream; charset=utf-8", "text": "text/plain; charset=utf-8"}
    assert exchange.status == 200
    assert exchange.header("content-type") == [media_types.get(format, "application/jsonl")]
    assert exchange.header("cache-control") == ["no-cache, no-transform"]
    assert exchange.header("x-accel-buffering") == ["no"]
    assert exchange.header("x-content-type-options") == ["nosniff"]
    assert exchange.header("transfer-encoding") == ["chunked"]
    assert exchange.header("connection") == []


def test_the_users_own_status_and_headers_win(followed: Followed) -> None:
    stream = followed.write("one")
    own = {"Cache-Control": "max-age=9", "X-Own": "mine"}
    exchange = followed.follow(stream, status_code=202, headers=own)
    assert exchange.status == 202
    assert exchange.header("cache-control") == ["max-age=9"]
    assert exchange.header("x-own") == ["mine"]
    assert exchange.header("x-accel-buffering") == ["no"]


def test_each_client_is_told_another_time_to_wait_before_it_comes_back(followed: Followed) -> None:
    stream = followed.write("one")
    stream.end()
    retries = [retry_of(followed.follow(stream).read_all()) for _ in range(5)]
    assert all(1000 <= retry <= 3000 for retry in retries)
    assert len(set(retries)) > 1


def test_all_followers_get_the_same_bytes_early_or_late(followed: Followed) -> None:
    stream = followed.write()
    early = followed.follow(stream)
    assert early.status == 200
    for item in ("one", "two", 3, {"four": "vier"}):
        stream.send(item)
    middle = followed.follow(stream)
    middle.read_until(b"vier")
    stream.send("five")
    stream.end()
    late = followed.follow(stream)
    bodies = {without_retry(exchange.read_all()) for exchange in (early, middle, late)}
    assert len(bodies) == 1
    assert ids_of(bodies.pop()) == stream.ids


@WAYS
def test_who_comes_back_gets_the_rest_and_the_end(followed: Followed, by: str) -> None:
    stream = followed.write("one", "two", "three")
    stream.end()
    _, second, third, last = stream.ids
    back = come_back(followed, by, second, stream)
    assert back.status == 200
    assert events(back) == [
        f"data: three\nid: {third}",
        f'event: end\ndata: {{"state":"done","count":3}}\nid: {last}',
    ]


@WAYS
def test_who_comes_back_to_a_live_stream_goes_on_where_it_was(followed: Followed, by: str) -> None:
    stream = followed.write("one", "two")
    back = come_back(followed, by, stream.ids[0], stream)
    back.read_until(b"two")
    stream.send("three")
    stream.end()
    assert ids_of(back.read_all()) == stream.ids[1:]


@FORMATS
@WAYS
def test_who_has_seen_the_end_gets_204(followed: Followed, format: str, by: str) -> None:
    stream = followed.write("one")
    stream.end()
    exchange = come_back(followed, by, stream.ids[-1], stream, format)
    assert exchange.status == 204
    assert exchange.read_all() == b""
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


@FORMATS
def test_a_stream_that_nobody_started_is_a_404(followed: Followed, format: str) -> None:
    exchange = followed.follow("no-such-stream", format)
    assert refusal(exchange) == (404, "unknown-stream")
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


@WAYS
@pytest.mark.parametrize("format", ["sse", "text"])
def test_who_comes_back_to_a_stream_that_is_not_kept_gets_410(
    followed: Followed, format: str, by: str
) -> None:
    exchange = come_back(followed, by, "abcdefgh.2", "no-such-stream", format)
    assert refusal(exchange) == (410, "expired-stream")
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param("garbage", id="no cursor"),
        pytest.param("end", id="the end of a response that was none of a stream"),
        pytest.param("caf\xe9.1", id="not ascii"),
        pytest.param("a" * 4000, id="long"),
        pytest.param("abcdefgh.1", id="of another stream"),
        pytest.param("{token}.9", id="ahead of the stream"),
        pytest.param("{token}.01", id="number with a zero"),
    ],
)
def test_a_cursor_that_is_not_valid_is_told_and_then_all_comes(
    followed: Followed, seen: str
) -> None:
    stream = followed.write("one")
    stream.end()
    first, last = stream.ids
    seen = seen.format(token=first.partition(".")[0])
    assert events(followed.follow(stream, seen=seen)) == [
        'event: reset\ndata: {"first":1}',
        f"data: one\nid: {first}",
        f'event: end\ndata: {{"state":"done","count":1}}\nid: {last}',
    ]


@pytest.mark.parametrize("format", ["sse", "text"])
@pytest.mark.parametrize("after", ["garbage", "end", "abcdefgh", "caf\xe9.1"])
def test_a_cursor_in_the_url_that_is_none_is_a_400(
    followed: Followed, format: str, after: str
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, format, after=after)
    assert refusal(exchange) == (400, "invalid-cursor")
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


@pytest.mark.parametrize("after", ["{first}", "garbage", ""])
def test_what_the_browser_sends_by_itself_wins_over_the_url(followed: Followed, after: str) -> None:
    stream = followed.write("one", "two")
    stream.end()
    exchange = followed.follow(stream, seen=stream.ids[1], after=after.format(first=stream.ids[0]))
    assert ids_of(exchange.read_all()) == stream.ids[2:]
    # An empty one is none.
    assert (
        ids_of(followed.follow(stream, seen="", after=stream.ids[0]).read_all()) == stream.ids[1:]
    )


@FORMATS
def test_head_gives_the_headers_and_follows_nothing(followed: Followed, format: str) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, format, method="HEAD", headers={"X-Own": "mine"})
    assert exchange.status == 200
    assert exchange.header("x-own") == ["mine"]
    assert exchange.read_all() == b""
    assert followed.statistics.followers == 0
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


def test_post_follows_too(followed: Followed) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, method="POST", body=b"x" * 200_000)
    exchange.read_until(b"one")
    assert exchange.run.request_body == b"x" * 200_000
    stream.end()
    assert ids_of(exchange.read_all()) == stream.ids


@FORMATS
def test_a_connection_serves_other_requests_after_the_end(followed: Followed, format: str) -> None:
    stream = followed.write("one", "two")
    first = followed.follow(stream, format)
    stream.end()
    first.read_all()
    assert first.complete
    second = followed.follow(stream, format, connection=first)
    second.read_all()
    assert second.complete
    assert followed.server.get("/plain", after=second).read_all() == b"plain"


@pytest.mark.parametrize("seen", ["", "{token}.0", "{token}.1"])
def test_events_that_are_no_longer_kept_are_one_gap(
    followed: Followed, elsewhere: Followed, seen: str
) -> None:
    stream = followed.write(max_events=2)
    for number in range(1, 7):
        stream.send(number)
    assert [id.partition(".")[2] for id in stream.ids] == ["5", "6"]
    token = stream.ids[0].partition(".")[0]
    # Where it is written the newest are in memory, and nothing is missed.
    exchange = elsewhere.follow(stream, seen=seen.format(token=token))
    exchange.read_until(f"id: {token}.6\n\n".encode())
    stream.end()
    missed = 3 if seen.endswith("1") else 4
    assert events(exchange) == [
        f'event: gap\ndata: {{"first":5,"missed":{missed}}}',
        f"data: 5\nid: {token}.5",
        f"data: 6\nid: {token}.6",
        f'event: end\ndata: {{"state":"done","count":6}}\nid: {token}.7',
    ]


def test_a_stream_that_has_ended_tells_its_gap_too(followed: Followed) -> None:
    stream = followed.write("one", "two", "three", max_events=2)
    stream.end()
    exchange = followed.follow(stream)
    kept = stream.ids
    first = int(kept[0].partition(".")[2])
    assert events(exchange)[0] == (f'event: gap\ndata: {{"first":{first},"missed":{first - 1}}}')
    assert ids_of(exchange.body) == kept


def test_who_follows_a_name_that_is_started_again_is_told_and_goes_on(followed: Followed) -> None:
    stream = followed.write("old", "older")
    exchange = followed.follow(stream)
    exchange.read_until(b"older")
    again = followed.restart(stream, "new")
    exchange.read_until(b"new")
    again.end()
    old, older, reset, new, end = events(exchange)
    assert [old.split("\n")[0], older.split("\n")[0]] == ["data: old", "data: older"]
    assert reset == 'event: reset\ndata: {"first":1}'
    assert new == f"data: new\nid: {again.ids[0]}"
    assert end.endswith(f"id: {again.ids[1]}")
    followed.server.log.take(f"the stream {stream.name} cannot be written any more")


def test_who_comes_back_to_a_name_that_was_started_again_is_told(followed: Followed) -> None:
    stream = followed.write("old", "older")
    seen = stream.ids[0]
    stream.end()
    again = followed.restart(stream, "new", "newer")
    exchange = followed.follow(stream, seen=seen)
    again.end()
    assert events(exchange)[0] == 'event: reset\ndata: {"first":1}'
    assert ids_of(exchange.body) == again.ids
