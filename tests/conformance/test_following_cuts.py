"""A client whose connection is cut anywhere misses nothing and gets nothing twice, on every server.

It does what `EventSource` does: it drops what is no complete frame, and comes back with the id of
the last one that was.
"""

from __future__ import annotations

__all__ = ()

import pytest

from streamkit import Event

from ._client import Exchange
from ._followed import Followed, Producer, ids_of, without_retry

CUTS = 60
ITEMS = (
    "one",
    {"two": "zwei", "text": "é\u2028😀"},
    "three\nlines\n",
    "",
    Event("progress", {"done": 4}),
    "x" * 300,
    ["id: abcdefgh.1", "data: \n\n"],
    "\ud800 is no character",
    9,
)


@pytest.fixture
def stream(followed: Followed) -> Producer:
    return followed.write(*ITEMS[:4])


def cut_after(exchange: Exchange, count: int) -> bytes:
    """Return what a client has of so many bytes: the frames that are complete."""
    body = exchange.response.read(count)
    assert len(body) == count
    exchange.leave()
    complete, mark, _ = body.rpartition(b"\n\n")
    return complete + mark


@pytest.mark.slow  # two requests for each cut
def test_a_stream_that_has_ended_may_be_cut_anywhere(
    followed: Followed, elsewhere: Followed, stream: Producer
) -> None:
    stream.send(*ITEMS[4:])
    stream.end()
    whole = followed.follow(stream).read_all()
    expected, ids = without_retry(whole), stream.ids
    assert ids_of(whole) == ids
    for number in range(CUTS):
        first = followed.follow(stream)
        # The time to wait has four digits for each client.
        seen = cut_after(first, 1 + number * (len(whole) - 1) // (CUTS - 1))
        last = (ids_of(seen) or [""])[-1]
        back = elsewhere.follow(stream, seen=last)
        if last == ids[-1]:
            assert back.status == 204
            assert without_retry(seen) == expected
        else:
            rest = without_retry(back.read_all())
            assert back.complete
            assert (without_retry(seen) if seen else b"") + rest == expected
    assert followed.are_followed_by(0)


@pytest.mark.slow  # a request for each cut
def test_a_live_stream_may_be_cut_again_and_again(
    followed: Followed, elsewhere: Followed, stream: Producer
) -> None:
    stream.send(*ITEMS[4:])
    whole = followed.follow(stream).read_until(stream.ids[-1].encode() + b"\n\n")
    expected = without_retry(whole)
    got, last, retry = b"", "", len(b"retry: 1000\n")
    for number in range(1, 20):
        # From where the last complete frame ended, to a place inside a later one.
        count = number * len(expected) // 20 - len(got)
        if count > 0:
            worker = followed if number % 2 else elsewhere
            complete = cut_after(worker.follow(stream, seen=last), retry + count)
            got += without_retry(complete) if complete else b""
            last = (ids_of(got) or [""])[-1]
            assert expected.startswith(got)
    exchange = followed.follow(stream, seen=last)
    stream.end()
    got += without_retry(exchange.read_all())
    assert got.startswith(expected)
    assert ids_of(got) == stream.ids
