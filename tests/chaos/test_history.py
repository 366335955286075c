"""The judge itself: it lets pass what may be, and refuses each thing that may not."""

from __future__ import annotations

import json

import pytest

from ._history import Block, Sight, check_all, check_one, read_block


def seen(*ids: int | str, mark: str = "") -> Sight:
    """Return who saw these: numbers are events, and the rest is what a block may be besides."""
    sight = Sight()
    for id in ids:
        if isinstance(id, int):
            data = json.dumps({"n": id, "mark": mark}).encode()
            raw = b"data: %b\nid: aaa.%d" % (data, id)
        else:
            raw = id.encode()
        block = read_block(raw)
        assert block is not None
        sight.blocks.append(block)
    return sight


END_3 = 'event: end\ndata: {"state":"done"}\nid: aaa.3'
END_4 = 'event: end\ndata: {"state":"done"}\nid: aaa.4'
RESET = 'event: reset\ndata: {"first":1}'


def gap(first: int, missed: int) -> str:
    return f'event: gap\ndata: {{"first":{first},"missed":{missed}}}'


@pytest.mark.parametrize(
    "sight",
    [
        pytest.param(seen(1, 3), id="one is missing"),
        pytest.param(seen(1, 1, 2), id="one came twice"),
        pytest.param(seen(2, 1), id="out of order"),
        pytest.param(seen(1, 2, END_4), id="the one before the end is missing"),
        pytest.param(seen(1, 2, END_3, END_4), id="two ends"),
        pytest.param(seen(1, gap(3, 2), 3), id="a gap that is not as large as it says"),
        pytest.param(seen(1, gap(3, 1), 4), id="more is missing than the gap says"),
        pytest.param(seen(1, gap(2, 0), 2), id="a gap of nothing"),
        pytest.param(seen(1, RESET, 1), id="a reset for no reason"),
        pytest.param(seen(1, 2, 'data: {"n":4,"mark":""}\nid: aaa.3'), id="an item was lost"),
        pytest.param(seen(1, 'data: {"n":2,"mark":"x"}\nid: aaa.2'), id="of another producer"),
    ],
)
def test_a_history_that_may_not_be_is_refused(sight: Sight) -> None:
    with pytest.raises(AssertionError):
        check_one(sight)


@pytest.mark.parametrize(
    "sights",
    [
        pytest.param([seen(1, 2), seen(1, 2, mark="x")], id="one id, two events"),
        pytest.param([seen(1, 2, END_3), seen(1, 2, 3, END_4)], id="two ends"),
        pytest.param([seen(gap(2, 1), 2)], id="a gap where nothing was trimmed"),
        pytest.param([seen(1, 2, END_3), seen(1, 2)], id="one saw no end"),
    ],
)
def test_histories_that_do_not_fit_together_are_refused(sights: list[Sight]) -> None:
    with pytest.raises(AssertionError):
        check_all(sights, last="end")


def test_histories_of_one_stream_pass() -> None:
    whole, trimmed = seen(1, 2, END_3), seen(1, gap(3, 1), END_3)
    check_all([whole, trimmed, seen()], gaps=True)
    check_all([whole], last="end")
    check_one(seen(1, 2, RESET, 1, 2, END_3), last="end", resets=1)
    check_one(seen(1, 2, END_3, RESET, 1, 2, END_3), last="end", resets=1)


def test_comments_and_the_time_of_reconnection_are_no_part_of_an_event() -> None:
    assert read_block(b": keep-alive") is None
    assert read_block(b'retry: 1234\ndata: {"n":1}\nid: a.1') == Block(
        b'data: {"n":1}\nid: a.1', "message", {"n": 1}, "a.1"
    )
