"""What holds on every wire: one start, one finish, no shape of it raises, and a cut is an error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit._items.json import to_json
from streamkit.models import (
    Data,
    Error,
    Finish,
    ModelEvent,
    PartEnd,
    Start,
    Text,
    ToolCall,
    ToolCallDelta,
    Usage,
    from_event,
)
from streamkit.models._wires.chat import ChatWire
from streamkit.models._wires.errors import TOO_LARGE, TRUNCATED, provider_error
from streamkit.models._wires.gemini import GeminiWire
from streamkit.models._wires.responses import ResponsesWire
from streamkit.models._wires.wire import Wire

WIRES = [ChatWire, ResponsesWire, GeminiWire]

# The words of all wires, so that garbage comes near the shapes that mean something.
WORDS = """
    annotations args arguments call_id candidates candidatesTokenCount choices citationMetadata code
    citations content content_index continuationToken delta encrypted_content end_index error
    file_id finishReason finish_reason function functionCall function_call groundingChunks
    groundingMetadata id incomplete_details index inlineData input input_tokens item item_id
    logprobs message model modelVersion moderation name object output_index part partialArgs parts
    promptFeedback blockReason prompt_tokens reason reasoning reasoning_content refusal response
    responseId role start_index status summary_index text thinking thought thoughtSignature title
    tool_calls total_tokens type uri url url_citation usage usageMetadata web willContinue
""".split()  # noqa: SIM905 - thirty lines otherwise
VALUES = """
    completed content_filter CONTINUATION custom_tool_call error failed file_citation function_call
    incomplete length message reasoning SAFETY stop STOP tool_calls url_citation
""".split()  # noqa: SIM905
TYPES = [
    *ResponsesWire._mappers,
    "error",
    "response.created",
    "response.content_part.added",
    "response.image_generation_call.partial_image",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 999)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    scalars | st.sampled_from(VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=8,
)
garbage = st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), JSON, max_size=6)

delta = st.fixed_dictionaries(
    {},
    optional={
        "content": JSON,
        "reasoning_content": JSON,
        "refusal": JSON,
        "tool_calls": st.lists(garbage, max_size=2) | JSON,
        "function_call": JSON,
        "annotations": JSON,
    },
)
choice = st.fixed_dictionaries(
    {"delta": delta | JSON},
    optional={"index": st.integers(0, 1), "finish_reason": JSON, "logprobs": JSON},
)
chat = st.fixed_dictionaries(
    {"choices": st.lists(choice, max_size=2)}, optional={"id": JSON, "usage": JSON, "error": JSON}
)
responses = st.builds(
    lambda type, rest: {**rest, "type": type},
    st.sampled_from(TYPES),
    st.fixed_dictionaries(
        {},
        optional={
            "item": garbage,
            "delta": JSON,
            "output_index": JSON,
            "response": garbage,
            "part": garbage,
            "annotation": garbage,
        },
    ),
)
candidate = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(garbage, max_size=3)}) | JSON},
    optional={
        "finishReason": JSON,
        "index": st.integers(0, 1),
        "groundingMetadata": garbage,
        "citationMetadata": garbage,
        "continuationToken": JSON,
    },
)
gemini = st.fixed_dictionaries(
    {"candidates": st.lists(candidate, max_size=2)},
    optional={"usageMetadata": JSON, "promptFeedback": JSON, "error": JSON},
)
SHAPES = [
    pytest.param(ChatWire, chat, id="chat"),
    pytest.param(ResponsesWire, responses, id="responses"),
    pytest.param(GeminiWire, gemini, id="gemini"),
]


def mapped(wire: Wire, chunks: Iterable[object], **options: bool) -> list[ModelEvent]:
    return [*(event for chunk in chunks for event in wire.feed(chunk)), *wire.end(**options)]


@pytest.mark.slow  # a hundred examples of random JSON
@pytest.mark.parametrize(("kind", "shape"), SHAPES)
@given(data=st.data())
def test_whatever_comes_there_is_one_start_first_and_one_finish_last(
    kind: type[Wire], shape: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    chunks = data.draw(st.lists(shape | garbage, max_size=6))
    wire = kind()
    events = mapped(wire, chunks, finish_required=data.draw(st.booleans()))
    check_order(events)
    assert wire.feed({"choices": []}) == wire.end() == wire.fail(Error("late", "Late.")) == []
    errors = [event for event in events if isinstance(event, Error)]
    assert errors == ([] if wire.error is None else [wire.error])
    for event in events:
        kept = replace(event, detail="") if isinstance(event, Error) else event  # for the log alone
        assert from_event(event.to_event()) == kept
        assert to_json(event.to_event().data)


def check_order(events: list[ModelEvent]) -> None:
    """Check all that the order of the events of one answer promises."""
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds[-1]) == (Start, Finish)
    assert (kinds.count(Start), kinds.count(Finish)) == (1, 1)
    assert kinds.count(Usage) <= 1
    failed = events[-1] == Finish("error")
    assert kinds.count(Error) == failed == (kinds[-2] is Error)
    said, ended = set(), set()
    for event in events:
        if isinstance(event, Text):
            assert event.part not in ended
            said.add(event.part)
        elif isinstance(event, PartEnd):
            assert event.part not in ended
            ended.add(event.part)
    assert said == ended


@pytest.mark.parametrize("kind", WIRES)
def test_no_depth_of_nesting_raises(kind: type[Wire]) -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    for name in WORDS:
        wire = kind()
        wire.feed({name: deep, "type": "response.output_item.done"})
        wire.feed({"candidates": [{name: deep, "content": {"parts": [{name: deep}]}}]})
        wire.feed(
            {
                "candidates": [
                    {"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": deep}}}]}}
                ]
            }
        )
        wire.feed({"choices": [{"delta": {name: deep}, name: deep}]})
        wire.feed(
            {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"a": deep}}}]}}]}
        )
        assert not [event for event in wire.end() if isinstance(event, ToolCall)]


@pytest.mark.parametrize("kind", WIRES)
def test_an_answer_of_no_bytes_was_cut(kind: type[Wire]) -> None:
    start, error, finish = kind(model="m").end()
    assert start == Start("", "m", kind.provider)
    assert isinstance(error, Error)
    assert (error.code, finish) == ("truncated", Finish("error"))


@pytest.mark.parametrize("kind", WIRES)
def test_a_server_that_never_says_the_end_is_believed_if_you_say_so(kind: type[Wire]) -> None:
    assert kind().end(finish_required=False)[-1] == Finish("stop")


@pytest.mark.parametrize("kind", WIRES)
def test_a_carrier_that_fails_says_why(kind: type[Wire]) -> None:
    error = Error("upstream-idle", "Nothing came for 60 s.", 504, retryable=True)
    wire = kind(provider="mine")
    assert wire.fail(error) == [Start(provider="mine"), error, Finish("error")]
    assert wire.error == error
    assert wire.done


@pytest.mark.parametrize("kind", WIRES)
def test_the_first_failure_is_the_one_that_is_told(kind: type[Wire]) -> None:
    wire = kind()
    first = wire.feed({"error": {"message": "Too much."}})
    assert [type(event) for event in first] == [Start, Error]
    assert wire.feed({"error": {"message": "Again."}}) == []
    assert wire.fail(Error("cut", "Cut.")) == [Finish("error")]


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("chunk", [None, 5, "text", [1], True])
def test_what_is_no_object_is_data(kind: type[Wire], chunk: object) -> None:
    assert Data("unknown", chunk) in kind().feed(chunk)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        pytest.param(
            {"error": {"message": "Slow down.", "type": "tokens", "code": "rate_limit_exceeded"}},
            429,
            Error(
                "rate_limit_exceeded",
                "The provider asks for patience.",
                429,
                retryable=True,
                detail="Slow down.",
            ),
            id="OpenAI",
        ),
        pytest.param(
            {"error": {"message": "No money.", "code": "insufficient_quota"}},
            429,
            Error("insufficient_quota", "The provider asks for patience.", 429, detail="No money."),
            id="no patience helps",
        ),
        pytest.param(
            {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}},
            None,
            Error(
                "UNAVAILABLE",
                "The provider reported an error.",
                503,
                retryable=True,
                detail="Overloaded.",
            ),
            id="Google",
        ),
        pytest.param(
            [{"error": {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}}],
            None,
            Error("INVALID_ARGUMENT", "The provider refused the request.", 400, detail="Bad."),
            id="Google, as an array",
        ),
        pytest.param(
            {"object": "error", "message": "Too long.", "type": "BadRequestError", "code": 400},
            None,
            Error("BadRequestError", "The provider refused the request.", 400, detail="Too long."),
            id="vLLM, flat",
        ),
        pytest.param(
            {"type": "error", "code": "server_error", "message": "Oops.", "param": None},
            None,
            Error(
                "server_error",
                "The provider reported an error.",
                None,
                retryable=True,
                detail="Oops.",
            ),
            id="Responses, flat",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}},
            None,
            Error(
                "overloaded_error",
                "The provider reported an error.",
                None,
                retryable=True,
                detail="Busy.",
            ),
            id="nested",
        ),
        pytest.param(
            {"error": "model not found"},
            404,
            Error(
                "provider-error", "The provider refused the request.", 404, detail="model not found"
            ),
            id="a text",
        ),
        pytest.param(
            {"error": True, "message": "Broken."},
            None,
            Error("provider-error", "The provider reported an error.", detail="Broken."),
            id="a flag",
        ),
        pytest.param(
            "<html>Bad gateway</html>",
            502,
            Error(
                "provider-error",
                "The provider reported an error.",
                502,
                retryable=True,
                detail="<html>Bad gateway</html>",
            ),
            id="a page",
        ),
        pytest.param(
            None, None, Error("provider-error", "The provider reported an error."), id="nothing"
        ),
        pytest.param(
            {"error": {"code": "a b\n" + "c" * 99, "message": "m"}},
            None,
            Error("provider-error", "The provider reported an error.", detail="m"),
            id="a code that is none",
        ),
    ],
)
def test_an_error_is_read_in_each_of_its_shapes(
    body: object, status: int | None, error: Error
) -> None:
    assert provider_error(body, status) == error


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Incorrect API key provided: sk-proj-abc123.", "Incorrect API key provided: sk-…"),
        ("key AIzaSyA-b_c is not valid", "key AIza… is not valid"),
        ("GET /v1beta/models?key=abcdef&alt=sse", "GET /v1beta/models?key=…&alt=sse"),
        ('{"Authorization": "Bearer abcdef"}', '{"Authorization": "Bearer …"}'),
        ("x" * 5000, "x" * 2000),
    ],
)
def test_an_error_never_holds_a_key_or_a_novel(said: str, told: str) -> None:
    assert provider_error({"error": {"message": said}}).detail == told


HALF = '{"path":"/'
PIECE = {"index": 0, "function": {"name": "remove", "arguments": HALF}}
CALLING: list[tuple[type[Wire], dict[str, Any]]] = [
    (ChatWire, {"choices": [{"delta": {"tool_calls": [PIECE]}}]}),
    (
        ResponsesWire,
        {
            "type": "response.output_item.added",
            "item": {"type": "function_call", "name": "remove", "arguments": HALF},
        },
    ),
]


@pytest.mark.parametrize(("kind", "chunk"), CALLING)
def test_half_a_call_was_cut_whatever_you_say_of_the_server(
    kind: type[Wire], chunk: dict[str, Any]
) -> None:
    wire = kind()
    assert isinstance(wire.feed(chunk)[-1], ToolCallDelta)
    assert wire.end(finish_required=False) == [TRUNCATED, Finish("error")]


@pytest.mark.parametrize(("kind", "chunk"), CALLING)
def test_arguments_without_end_are_an_error_before_they_fill_the_memory(
    kind: type[Wire], chunk: dict[str, Any]
) -> None:
    wire = kind()
    wire.max_arguments = len(HALF) - 1
    assert (wire.feed(chunk)[-1], wire.error) == (TOO_LARGE, TOO_LARGE)
    assert wire.end() == [Finish("error")]
