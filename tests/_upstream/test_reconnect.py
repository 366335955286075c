"""When one comes back: later each time, never all at once, never before the server wants it."""

from __future__ import annotations

from itertools import chain, repeat
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.sources.upstream import Reconnect


def least(low: float, high: float) -> float:
    return low


def most(low: float, high: float) -> float:
    return high


def nothing_wished() -> None:
    return None


def test_each_wait_is_twice_as_long_up_to_a_bound_and_so_often() -> None:
    policy = Reconnect(first=1, max_delay=10, max_attempts=6)
    assert list(policy.delays(nothing_wished, chance=least)) == [1, 2, 4, 8, 10, 10]
    assert list(policy.delays(nothing_wished, chance=most)) == [1.5, 3, 6, 12, 15, 15]


def test_after_a_success_the_waits_begin_again() -> None:
    policy = Reconnect(first=1)
    first, second = (policy.delays(nothing_wished, chance=least) for _ in range(2))
    assert [next(first), next(first), next(second)] == [1, 2, 1]


WISHES = [
    pytest.param([0.2], [0.2, 2, 4, 8], id="a short one holds for the first wait"),
    pytest.param([0.0], [0.1, 2, 4, 8], id="none at all, which would spin"),
    pytest.param([5.0], [5, 5, 5, 8], id="a long one is the least of each"),
    pytest.param([3600.0], [10, 10, 10, 10], id="it is bounded"),
    pytest.param([None, 6.0, None], [1, 6, 4, 8], id="it may change on the way"),
]


@pytest.mark.parametrize(("wishes", "waits"), WISHES)
def test_what_the_server_wishes_is_the_least_wait(
    wishes: list[float | None], waits: list[float]
) -> None:
    said = chain(wishes, repeat(wishes[-1]))
    policy = Reconnect(first=1, max_delay=10, max_attempts=4)
    assert list(policy.delays(lambda: next(said), chance=least)) == waits


@given(st.integers(0, 2000), st.floats(0.001, 10), st.floats(10, 100), st.floats(0, 2))
def test_there_is_always_a_bound(
    attempts: int, first: float, max_delay: float, jitter: float
) -> None:
    policy = Reconnect(first=first, max_delay=max_delay, max_attempts=attempts, jitter=jitter)
    waits = list(policy.delays(nothing_wished))
    assert len(waits) == attempts
    assert all(first <= wait <= max_delay * (1 + jitter) + 1e-9 for wait in waits)


def test_two_clients_do_not_come_back_in_the_same_moment() -> None:
    assert len({next(Reconnect().delays(lambda: 2.0)) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 0},
        {"first": nan},
        {"first": 2, "max_delay": 1},
        {"max_delay": inf, "first": inf, "jitter": -1},
        {"max_attempts": -1},
        {"jitter": nan},
    ],
    ids=str,
)
def test_what_would_spin_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        Reconnect(**wrong)
