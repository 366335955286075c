"""What a writer concludes from the head that its append returned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import Head
from streamkit._store.verdict import Lost, new_epoch, verdict
from streamkit.sinks.memory import MemoryStore

from ..sinks.makers import claim_of

CLAIM = claim_of(epoch=5)
HEAD = Head("life1", 5, (("token1", 1),), 1, 10, "open", None, 0.0, None, None)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        pytest.param(None, Lost.GONE, id="deleted"),
        pytest.param(replace(HEAD, life="life2"), Lost.REPLACED, id="started again"),
        pytest.param(replace(HEAD, life="life2", epoch=9), Lost.REPLACED, id="and taken over"),
        pytest.param(replace(HEAD, epoch=6), Lost.FENCED, id="taken over"),
        pytest.param(replace(HEAD, epoch=6, tail=8), Lost.FENCED, id="taken over, less events"),
        pytest.param(replace(HEAD, epoch=4), Lost.ROLLED_BACK, id="an older head is back"),
        pytest.param(HEAD, 3, id="landed"),
        pytest.param(replace(HEAD, state="done"), 3, id="landed and closed"),
        pytest.param(replace(HEAD, cancel=""), 3, id="landed, and is to be cancelled"),
        pytest.param(replace(HEAD, tail=7), 0, id="nothing landed"),
        pytest.param(replace(HEAD, tail=5), -2, id="the store forgot two"),
    ],
)
def test_the_head_says_what_became_of_an_append(head: Head | None, found: int | Lost) -> None:
    assert verdict(CLAIM, head, 7) == found


def test_each_loss_has_a_sentence() -> None:
    assert len({lost.value for lost in Lost}) == len(Lost)


async def test_a_retry_after_a_lost_answer_counts_what_landed_the_first_time() -> None:
    store = MemoryStore()
    await store.claim(CLAIM, "nothing")
    await store.append(CLAIM, 0, [b"1", b"2"])  # the answer is lost, and more has gathered
    head = await store.append(CLAIM, 0, [b"1", b"2", b"3"])
    assert verdict(CLAIM, head, 0) == 2


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 3))
def test_epochs_grow_and_those_that_two_take_at_once_differ(turns: list[bool], over: int) -> None:
    epoch = over
    for _ in turns:
        above = new_epoch(epoch)
        assert epoch < above < 1 << 53  # where a float ends to be exact
        epoch = above


def test_two_that_take_over_at_once_get_different_epochs() -> None:
    # One of 16 million pairs is the same: not one of a hundred, unless the low bits are constant.
    assert len({new_epoch(7) for _ in range(100)}) > 90
