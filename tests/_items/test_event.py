"""An event is a plain frozen value that cannot break the wire."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from streamkit import Event
from streamkit.errors import InvalidEvent


def test_an_event_is_a_message_of_nothing_unless_told_otherwise() -> None:
    event = Event()
    assert (event.type, event.data, event.id, event.time) == ("message", "", "", None)


def test_an_event_is_a_value() -> None:
    event = Event("price", "12", id="a.1", time=1.5)
    assert event == Event("price", "12", id="a.1", time=1.5)
    assert event != Event("price", "13", id="a.1", time=1.5)
    assert {event: 1}[copy.copy(event)] == 1
    assert pickle.loads(pickle.dumps(event)) == event
    assert dataclasses.replace(event, type="sold") == Event("sold", "12", id="a.1", time=1.5)
    assert repr(event) == "Event(type='price', data='12', id='a.1', time=1.5)"


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event().type = "other"  # type: ignore[misc]  # that is the point
    with pytest.raises((AttributeError, TypeError)):
        Event().note = "new"  # type: ignore[attr-defined]  # slots


@pytest.mark.parametrize("broken", ["a\nb", "a\r", "\0", ""])
def test_a_type_that_would_break_the_wire_is_refused(broken: str) -> None:
    with pytest.raises(InvalidEvent, match="an event's type must be a non-empty line"):
        Event(broken)


@pytest.mark.parametrize("broken", ["a\nb", "a\r", "\0", "é", " a", "a ", "a\tb", "\x7f"])
def test_an_id_that_would_not_survive_a_header_is_refused(broken: str) -> None:
    with pytest.raises(InvalidEvent, match="an event's id must be visible ASCII"):
        Event(id=broken)


@pytest.mark.parametrize("wrong", [{"type": 3}, {"type": None}, {"id": 7}, {"id": b"a"}])
def test_a_type_or_id_that_is_no_text_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match="must be a str"):
        Event(**wrong)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param(Event(data="hello"), "hello", id="text as it is"),
        pytest.param(Event("price", {"p": 1}), '{"p":1}\n', id="other data as a line of JSON"),
        pytest.param(Event("end", {"state": "done"}), "", id="the end says nothing"),
    ],
)
def test_the_str_of_an_event_is_its_text(event: Event, text: str) -> None:
    assert str(event) == text
