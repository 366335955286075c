"""The states of a stream: each way out of "open" is taken once, and has its last event."""

from __future__ import annotations

from typing import get_args

import pytest

from streamkit._items.event import RESERVED_TYPES
from streamkit._store.lifecycle import LAST_TYPES, STEPS, Ended, State, last_event
from streamkit.sinks.memory import MemoryStore

from ..sinks.makers import claim_of

ENDED: tuple[Ended, ...] = get_args(Ended)


def test_a_stream_ends_once_from_open_and_in_every_way() -> None:
    assert set(STEPS) == {"open", *ENDED} == set(get_args(State))
    assert STEPS["open"] == set(ENDED)
    assert not any(STEPS[state] for state in ENDED)


@pytest.mark.parametrize("state", ENDED)
def test_the_last_event_is_of_a_type_that_no_source_may_use(state: Ended) -> None:
    event = last_event(state, count=3)
    assert event.type == LAST_TYPES[state]
    assert event.type in RESERVED_TYPES
    assert event.data == {"state": state, "count": 3}


def test_the_types_of_last_events_tell_the_states_apart() -> None:
    assert len(set(LAST_TYPES.values())) == len(ENDED)
    assert {"gap", "reset", *LAST_TYPES.values()} == RESERVED_TYPES


@pytest.mark.parametrize("before", get_args(State))
@pytest.mark.parametrize("after", ENDED)
async def test_a_store_takes_the_legal_steps_and_no_other(before: State, after: Ended) -> None:
    store, claim = MemoryStore(), claim_of()
    await store.claim(claim, "nothing")
    if before != "open":
        await store.append(claim, 0, [], close=before)
    head = await store.append(claim, 0, [b"1"], close=after)
    assert head is not None
    legal = after in STEPS[before]
    assert (head.state, head.tail) == ((after, 1) if legal else (before, 0))
