"""A model's events are values, look the same sent or kept, and come back as they were."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import Event, Format, SSEDecoder, as_event_jsonl, as_jsonl, as_sse, as_text
from streamkit._items.event import RESERVED_TYPES
from streamkit._items.stored import stored_event, stored_line
from streamkit.errors import InvalidEvent
from streamkit.errors._base import public_words
from streamkit.logs import LogRecord
from streamkit.models import (
    Citation,
    Data,
    Error,
    Finish,
    FinishReason,
    ModelEvent,
    ModelFailed,
    PartEnd,
    Sources,
    Start,
    Text,
    Tone,
    ToolCall,
    ToolCallDelta,
    Usage,
    accumulate,
    from_event,
)
from streamkit.models._events import _FIELDS, _TYPES

PAGE = Citation("1", "Example", "https://example.org/", "quoted", 3, 9)

# event, its text, its type, its data
TABLE = [
    pytest.param(
        Start("c-1", "m", "openai"),
        "",
        "start",
        {"id": "c-1", "model": "m", "provider": "openai"},
        id="start",
    ),
    pytest.param(Text("Hi"), "Hi", "message", {"text": "Hi"}, id="text"),
    pytest.param(
        Text("Hi", part="2"), "Hi", "message", {"text": "Hi", "part": "2"}, id="a later part"
    ),
    pytest.param(
        Text("No.", "refusal"), "No.", "message", {"text": "No.", "tone": "refusal"}, id="refusal"
    ),
    pytest.param(Text("Hm", "reasoning"), "", "reasoning", {"text": "Hm"}, id="reasoning"),
    pytest.param(
        Text("", "reasoning", "1", "c2ln"),
        "",
        "reasoning",
        {"text": "", "part": "1", "signature": "c2ln"},
        id="a signature alone",
    ),
    pytest.param(PartEnd("1"), "", "part-end", {"part": "1"}, id="part end"),
    pytest.param(
        ToolCallDelta("c", "add", '{"a"'),
        "",
        "tool-call-delta",
        {"call": "c", "name": "add", "arguments": '{"a"'},
        id="a piece of a tool call",
    ),
    pytest.param(
        ToolCall("c", "add", '{"a":1}'),
        "",
        "tool-call",
        {"call": "c", "name": "add", "arguments": '{"a":1}', "signature": ""},
        id="tool call",
    ),
    pytest.param(
        Sources((PAGE, Citation("2"))),
        "",
        "sources",
        {
            "items": [
                {
                    "id": "1",
                    "title": "Example",
                    "url": "https://example.org/",
                    "content": "quoted",
                    "start": 3,
                    "end": 9,
                },
                {"id": "2", "title": "", "url": "", "content": "", "start": None, "end": None},
            ]
        },
        id="sources",
    ),
    pytest.param(
        Usage(5, 7, 12, 2, 3),
        "",
        "usage",
        {"input": 5, "output": 7, "total": 12, "cached": 2, "reasoning": 3},
        id="usage",
    ),
    pytest.param(Data("logprobs", [1]), "", "data", {"name": "logprobs", "value": [1]}, id="data"),
    pytest.param(
        Error("overloaded", "Try later.", 503, retryable=True),
        "",
        "model-error",
        {"code": "overloaded", "message": "Try later.", "status": 503, "retryable": True},
        id="error",
    ),
    pytest.param(
        Finish("length", "max_tokens"),
        "",
        "finish",
        {"reason": "length", "native": "max_tokens"},
        id="finish",
    ),
]

texts = st.text()
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
places = st.none() | st.integers(0, 1 << 40)
citations = st.builds(Citation, texts, texts, texts, texts, places, places)
counts = st.integers(0, 1 << 60)
EVENTS: st.SearchStrategy[ModelEvent] = st.one_of(
    st.builds(Start, texts, texts, texts),
    st.builds(Text, texts, st.sampled_from(get_args(Tone)), texts, texts),
    st.builds(PartEnd, texts),
    st.builds(ToolCallDelta, texts, texts, texts),
    st.builds(ToolCall, texts, texts, texts, texts),
    st.builds(Sources, st.lists(citations, max_size=3).map(tuple)),
    st.builds(Usage, counts, counts, counts, counts, counts),
    st.builds(Data, texts, JSON),
    st.builds(Error, texts, texts, st.none() | st.integers(400, 599), st.booleans()),
    st.builds(Finish, st.sampled_from(get_args(FinishReason)), texts),
)


@pytest.mark.parametrize(("event", "text", "type", "data"), TABLE)
def test_each_event_has_its_text_and_its_place_in_an_event_stream(
    event: ModelEvent, text: str, type: str, data: dict[str, object]
) -> None:
    assert (str(event), event.to_text(), event.kind) == (text, text, "model")
    assert event.to_event() == Event(type, data)
    assert from_event(event.to_event()) == event


def test_the_table_has_every_event() -> None:
    assert {type(row.values[0]) for row in TABLE} == set(_TYPES.values())
    assert set(_TYPES) & RESERVED_TYPES == set()


def test_the_text_of_an_answer_is_what_print_prints(capsys: pytest.CaptureFixture[str]) -> None:
    for event in (Start(), Text("Hm", "reasoning"), Text("Hel"), Text("lo"), Finish("stop")):
        print(event, end="", flush=True)  # noqa: T201 - that is the point
    assert capsys.readouterr().out == "Hello"


@pytest.mark.slow  # a hundred examples
@given(event=EVENTS)
def test_every_event_becomes_an_event_and_back_without_loss(event: ModelEvent) -> None:
    assert from_event(event.to_event()) == event


@pytest.mark.slow  # a hundred examples
@given(event=EVENTS)
def test_every_event_comes_back_from_a_stream_as_it_was(event: ModelEvent) -> None:
    kept = stored_event(stored_line(event), "a.1")
    assert kept.kind == "model"
    assert from_event(kept) == event


@pytest.mark.slow  # a hundred examples
@given(events=st.lists(EVENTS, max_size=5))
def test_every_event_comes_back_from_an_event_stream_as_it_was(events: list[ModelEvent]) -> None:
    encoder = as_sse.encoder()
    sent = b"".join(encoder.one(event) for event in events)
    assert [from_event(event) for event in SSEDecoder().feed(sent)] == events


@pytest.mark.slow  # a hundred examples
@pytest.mark.parametrize("format", [as_sse, as_text, as_jsonl], ids=repr)
@given(event=EVENTS)
def test_a_follower_gets_the_bytes_that_a_request_would(
    format: Format[Any], event: ModelEvent
) -> None:
    sent = format.encoder().one(event)
    kept = format.encoder().kept(stored_line(event), "a.1")
    assert kept.replace(b"id: a.1\n", b"") == sent


@pytest.mark.slow  # a hundred examples
@given(event=EVENTS)
def test_a_step_over_a_stream_gets_the_bytes_that_a_request_would(event: ModelEvent) -> None:
    kept = stored_event(stored_line(event), "a.1")
    for format in (as_sse, as_text, as_jsonl):
        assert format.encoder().one(kept) == format.encoder().one(event)


def test_only_the_text_of_an_answer_is_text() -> None:
    events = [Start("c"), Text("Hm", "reasoning"), Text("Hi"), Text("No", "refusal"), Usage(1)]
    encoder = as_text.encoder()
    assert b"".join(encoder.one(event) for event in events) == b"HiNo"
    encoder = as_jsonl.encoder()
    assert b"".join(encoder.one(event) for event in events) == (
        b'{"text":"Hi"}\n{"text":"No","tone":"refusal"}\n'
    )


def test_a_program_gets_all_of_an_answer() -> None:
    line = json.loads(as_event_jsonl.encoder().one(Finish("stop", "STOP")))
    assert (line["type"], line["data"]) == ("finish", {"reason": "stop", "native": "STOP"})


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Event("price", {"price": 1}), id="another type"),
        pytest.param(Event("end", {"state": "done", "count": 1}), id="the end of a stream"),
        pytest.param(LogRecord("parsing").to_event(), id="an unnamed event without a text"),
        pytest.param(Event(data="hello"), id="a text that is no JSON"),
        pytest.param(Event(data="5"), id="JSON that is no object"),
        pytest.param(Event(data="[" * 100_000), id="JSON without end"),
        pytest.param(Event(data={"text": 5}), id="a text that is none"),
        pytest.param(Event("finish", {"native": "STOP"}), id="a field is missing"),
        pytest.param(Event("usage", {"input": "5"}), id="a count that is none"),
        pytest.param(Event("sources", {"items": {}}), id="sources that are no list"),
        pytest.param(Event("sources", {"items": [5]}), id="a source that is no object"),
        pytest.param(Event("sources", {"items": [{}]}), id="a source without an id"),
    ],
)
def test_an_event_of_something_else_is_refused(event: Event) -> None:
    with pytest.raises(InvalidEvent, match="must be of a model's event"):
        from_event(event)


def test_a_field_of_a_newer_release_is_left_out() -> None:
    assert from_event(Event(data={"text": "Hi", "mood": "glad"})) == Text("Hi")


@pytest.mark.parametrize("kind", list(_FIELDS))
def test_every_event_is_frozen_slotted_and_says_what_it_is(kind: type) -> None:
    assert kind.__doc__
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # each is a dataclass
    assert not hasattr(Text("Hi"), "__dict__")


def test_every_event_is_a_value() -> None:
    event = Sources((PAGE,))
    assert {event: 1}[copy.copy(event)] == 1
    assert pickle.loads(pickle.dumps(event)) == event


def test_an_answer_is_folded_from_its_events() -> None:
    answer = accumulate(
        [
            Start("c", "m", "openai"),
            Text("Let me", "reasoning", "0"),
            Text(" think", "reasoning", "0", "c2ln"),
            PartEnd("0"),
            Text("Hel", part="1"),
            Data("logprobs", 1),
            Text("lo", part="1"),
            ToolCallDelta("a", "add", "{}"),
            ToolCall("a", "add", "{}"),
            Text(" there", part="2"),
            Text("No.", "refusal", "3"),
            Sources((PAGE,)),
            Sources((Citation("2"),)),
            Usage(1, 2, 3),
            Error("truncated", "Cut."),
            Finish("error"),
        ]
    )
    assert answer.start == Start("c", "m", "openai")
    assert (answer.text, answer.reasoning, answer.refusal) == ("Hello there", "Let me think", "No.")
    assert answer.parts == (
        Text("Let me think", "reasoning", "0", "c2ln"),
        Text("Hello", part="1"),
        ToolCall("a", "add", "{}"),
        Text(" there", part="2"),
        Text("No.", "refusal", "3"),
    )
    assert answer.tool_calls == (ToolCall("a", "add", "{}"),)
    assert answer.sources == (PAGE, Citation("2"))
    assert answer.usage == Usage(1, 2, 3)
    assert answer.data == (Data("logprobs", 1),)
    assert answer.error == Error("truncated", "Cut.")
    assert answer.finish == Finish("error")


def test_an_answer_of_nothing_has_no_finish() -> None:
    answer = accumulate([])
    assert (answer.start, answer.text, answer.parts) == (Start(), "", ())
    assert (answer.usage, answer.error, answer.finish) == (Usage(), None, None)


def test_calls_of_the_same_id_are_all_in_the_answer() -> None:
    twice = (ToolCall("a", "add", "{}"), ToolCall("a", "add", "{}"))
    assert accumulate(twice).tool_calls == twice


@pytest.mark.slow  # a hundred examples
@given(events=st.lists(EVENTS, max_size=12))
def test_any_events_can_be_folded(events: list[ModelEvent]) -> None:
    answer = accumulate(events)
    assert answer.text == "".join(
        part.text for part in answer.parts if isinstance(part, Text) and part.tone == "text"
    )
    said = [event.text for event in events if isinstance(event, Text) and event.tone == "text"]
    assert sorted(answer.text) == sorted("".join(said))


def test_a_failed_model_tells_the_code_and_keeps_the_words_of_the_provider() -> None:
    error = ModelFailed(Error("rate_limit_exceeded", "Organization org-1 is over its limit.", 429))
    assert public_words(error) == ("model-failed", "the model failed: rate_limit_exceeded")
    assert error.status == 502
    assert error.error.status == 429
