"""What every part asks of the event loop."""

from __future__ import annotations

from math import inf

import pytest
from anyio import CancelScope, current_time, move_on_after, sleep

from streamkit._feeding.closing import Feeding, closing_within, feeding_now
from streamkit._loop import Turn, shielded


@pytest.mark.parametrize(
    ("seconds", "until", "expected"),
    [
        pytest.param(5.0, inf, 5.0, id="no deadline"),
        pytest.param(5.0, 2.0, 2.0, id="a deadline that comes sooner"),
        pytest.param(5.0, 9.0, 5.0, id="a deadline that comes later"),
        pytest.param(5.0, -1.0, 5.0, id="a deadline that has passed"),
    ],
)
async def test_a_cleanup_has_its_time_or_less(
    seconds: float, until: float, expected: float
) -> None:
    now = current_time()
    scope = shielded(seconds, until=now + until)
    assert scope.shield
    assert scope.deadline - now == pytest.approx(expected, abs=0.2)


async def test_a_cleanup_is_not_cut_short_by_a_timeout_of_the_user() -> None:
    done = False
    with move_on_after(0.01):
        with closing_within(5):
            await sleep(0.05)
            done = True
    assert done


async def test_a_cleanup_takes_no_longer_than_the_one_that_it_is_part_of() -> None:
    feeding = Feeding()
    feeding.deadline = current_time() + 0.01
    token = feeding_now.set(feeding)
    try:
        with closing_within(5) as scope:
            await sleep(5)
    finally:
        feeding_now.reset(token)
    assert scope.cancelled_caught


async def test_a_turn_is_over_at_once_and_then_after_a_while() -> None:
    now = 10.0
    turn = Turn(lambda: now)
    assert turn.over
    with CancelScope():
        await turn.give_way()
    assert not turn.over
    now = 10.1
    assert turn.over
