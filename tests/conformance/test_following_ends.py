"""How followed streams end in each format, on every server: no end is silent."""

from __future__ import annotations

__all__ = ()

import json
from collections.abc import Callable

import pytest

from streamkit import Claim, StreamkitError
from streamkit._store.cursor import new_token
from streamkit._store.verdict import new_epoch
from streamkit._streams.orphans import end_orphan

from ._client import Exchange, Server
from ._followed import Followed, Producer, ids_of, without_retry
from ._scenarios import SECRET


class Refused(StreamkitError):
    """A failure that tells a follower why."""

    code = "refused"


def done(stream: Producer) -> None:
    stream.end()


def failed(stream: Producer) -> None:
    stream.end(ValueError(SECRET))


def refused(stream: Producer) -> None:
    stream.end(Refused("not today"))


def cancelled(stream: Producer) -> None:
    stream.cancel("enough")


BAD_ENDS = {
    "failed": (
        failed,
        "error",
        {"state": "error", "code": "source-failed", "message": "The source failed."},
        "StreamFailed",
    ),
    "refused": (
        refused,
        "error",
        {"state": "error", "code": "refused", "message": "not today"},
        "StreamFailed",
    ),
    "cancelled": (
        cancelled,
        "cancelled",
        {"state": "cancelled", "reason": "enough"},
        "StreamCancelled",
    ),
}
BAD = pytest.mark.parametrize(
    ("end", "type", "data", "error"), list(BAD_ENDS.values()), ids=list(BAD_ENDS)
)
# Whoever was there, and who comes when it is over.
WHEN = pytest.mark.parametrize("when", ["live", "late"])


def follow_to_the_end(
    followed: Followed, stream: Producer, when: str, format: str, end: Callable[[Producer], None]
) -> Exchange:
    if when == "late":
        end(stream)
        exchange = followed.follow(stream, format)
    else:
        exchange = followed.follow(stream, format)
        exchange.read_until(b"two")
        end(stream)
    exchange.read_all()
    return exchange


def take_cut(server: Server, error: str) -> None:
    """Expect the line of a response that could only be cut."""
    if server.variant.framework == "aiohttp":
        server.log.take("streamkit: a source failed", error)
    else:  # cutting means to let the exception go to the server
        server.log.take(server.variant.failure_log, error)


@WHEN
@BAD
def test_an_event_stream_says_how_the_stream_ended(
    followed: Followed,
    when: str,
    end: Callable[[Producer], None],
    type: str,
    data: object,
    error: str,
) -> None:
    stream = followed.write("one", "two")
    exchange = follow_to_the_end(followed, stream, when, "sse", end)
    first, second, last = stream.ids
    facts = json.dumps(data, separators=(",", ":"))
    assert without_retry(exchange.body).decode() == (
        f"data: one\nid: {first}\n\ndata: two\nid: {second}\n\n"
        f"event: {type}\ndata: {facts}\nid: {last}\n\n"
    )
    assert exchange.complete
    assert followed.follow(stream, seen=last).status == 204


@WHEN
@BAD
@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_what_has_no_words_for_it_is_cut(
    followed: Followed,
    format: str,
    when: str,
    end: Callable[[Producer], None],
    type: str,
    data: object,
    error: str,
) -> None:
    stream = followed.write("one ", "two ")
    exchange = follow_to_the_end(followed, stream, when, format, end)
    assert exchange.body == {"text": b"one two ", "jsonl": b'"one "\n"two "\n'}[format]
    assert not exchange.complete
    take_cut(followed.server, error)


@WHEN
@BAD
def test_lines_of_events_say_how_the_stream_ended(
    followed: Followed,
    when: str,
    end: Callable[[Producer], None],
    type: str,
    data: object,
    error: str,
) -> None:
    stream = followed.write("one", {"two": 2})
    exchange = follow_to_the_end(followed, stream, when, "event-jsonl", end)
    assert exchange.complete
    *items, last = [json.loads(line) for line in exchange.body.splitlines()]
    assert [list(item) for item in items] == [["id", "type", "time", "data"]] * 2
    assert [(item["type"], item["data"]) for item in items] == [
        ("message", "one"),
        ("message", {"two": 2}),
    ]
    assert (last["type"], last["data"]) == (type, data)
    assert [item["id"] for item in [*items, last]] == stream.ids


@WHEN
@pytest.mark.parametrize(
    ("format", "body"),
    [("text", b'one {"two":2}\n'), ("jsonl", b'"one "\n{"two":2}\n')],
)
def test_a_stream_that_is_complete_ends_well_without_words(
    followed: Followed, format: str, body: bytes, when: str
) -> None:
    stream = followed.write("one ", {"two": 2})
    exchange = follow_to_the_end(followed, stream, when, format, done)
    assert exchange.body == body
    assert exchange.complete


@WHEN
def test_lines_of_events_end_with_the_end(followed: Followed, when: str) -> None:
    stream = followed.write("one", "two")
    exchange = follow_to_the_end(followed, stream, when, "event-jsonl", done)
    assert exchange.complete
    last = json.loads(exchange.body.splitlines()[-1])
    assert last.pop("time") > 0
    assert last == {"id": stream.ids[-1], "type": "end", "data": {"state": "done", "count": 2}}


@pytest.mark.parametrize("format", ["sse", "text"])
def test_a_stream_whose_producer_vanished_is_an_orphan(followed: Followed, format: str) -> None:
    loop, name, token = followed.server.loop, f"orphan-{format}", new_token()
    claim = Claim(name, new_token(), new_epoch(), token, 0.0, 0.0)
    loop.call(loop.store.claim, claim, "anything")
    line = b'{"type":"message","kind":"text","time":1.000,"data":"one"}'
    loop.call(loop.store.append, claim, 0, [line])
    exchange = followed.follow(name, format)
    exchange.read_until(b"one")
    [(_, head)] = loop.call(loop.store.sweep)
    loop.call(end_orphan, loop.store, name, head)
    exchange.read_all()
    followed.server.log.take(f"streamkit: the producer of the stream {name} vanished")
    if format == "text":
        assert exchange.body == b"one"
        assert not exchange.complete
        take_cut(followed.server, "StreamOrphaned")
    else:
        assert exchange.complete
        one, last, _ = without_retry(exchange.body).decode().split("\n\n")
        assert one == f"data: one\nid: {token}.1"
        assert last.startswith('event: orphaned\ndata: {"state":"orphaned"}\nid: ')
        assert ids_of(exchange.body)[1].endswith(".2")


@pytest.mark.parametrize("seen", ["abcdefgh.1", "garbage"])
@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_what_has_no_words_for_a_reset_refuses_a_cursor_that_is_not_valid(
    followed: Followed, format: str, seen: str
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, format, seen=seen)
    assert exchange.status == 410
    assert json.loads(exchange.read_all())["error"] == "cursor-lost"
    assert followed.statistics.followers == 0
    assert followed.server.get("/plain", after=exchange).read_all() == b"plain"


def test_what_has_no_words_for_a_gap_refuses_where_events_are_missing(followed: Followed) -> None:
    stream = followed.write("one", max_events=2)
    first = stream.ids[0]
    stream.send("two")
    stream.send("three")
    stream.end()
    exchange = followed.follow(stream, "jsonl", seen=first)
    assert exchange.status == 410
    assert json.loads(exchange.read_all())["error"] == "cursor-lost"
    whole = followed.follow(stream, "jsonl", seen=stream.ids[0])
    assert whole.status == 200
    assert whole.read_all() == b""
    assert whole.complete


@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_what_has_no_words_for_a_reset_is_cut_in_the_middle(
    followed: Followed, format: str
) -> None:
    stream = followed.write("one")
    exchange = followed.follow(stream, format)
    exchange.read_until(b"one")
    followed.restart(stream, "two")
    exchange.read_all()
    assert b"two" not in exchange.body
    assert not exchange.complete
    take_cut(followed.server, "CursorLost")
    followed.server.log.take("streamkit: the stream", "its name was started again")


def test_text_says_how_much_of_it_is_missing(followed: Followed) -> None:
    stream = followed.write("one ", max_events=2)
    stream.send("two ")
    stream.send("three ")
    stream.end()
    exchange = followed.follow(stream, "text")
    assert exchange.read_all() == b"--- 2 events are no longer kept ---\nthree "
    assert exchange.complete


def test_lines_of_events_tell_a_gap_and_a_reset(followed: Followed) -> None:
    stream = followed.write("one", max_events=2)
    stream.send("two")
    stream.send("three")
    stream.end()
    gap, *_ = followed.follow(stream, "event-jsonl").read_all().splitlines()
    assert json.loads(gap) == {
        "id": "",
        "type": "gap",
        "time": None,
        "data": {"first": 3, "missed": 2},
    }
    reset, *_ = followed.follow(stream, "event-jsonl", seen="abcdefgh.1").read_all().splitlines()
    assert json.loads(reset)["type"] == "reset"


def test_a_stream_that_is_deleted_lets_its_followers_come_back_to_a_410(
    followed: Followed,
) -> None:
    stream = followed.write("one")
    exchange, text = followed.follow(stream), followed.follow(stream, "text")
    exchange.read_until(b"one")
    text.read_until(b"one")
    seen = stream.ids[0]
    followed.server.loop.call(followed.streams.delete, stream.name)
    body = exchange.read_all()
    assert exchange.complete
    assert b"event: " not in body
    assert body.count(b"retry: ") == 2
    assert followed.follow(stream, seen=seen).status == 410
    text.read_all()
    assert not text.complete
    take_cut(followed.server, "ExpiredStream")
    followed.server.log.take("streamkit: the stream", "it was deleted")
