"""The events of OpenAI's Responses, and the errors in them."""

from __future__ import annotations

import importlib
from typing import Any, get_args

import pytest

from streamkit.models import (
    Citation,
    Data,
    Error,
    Finish,
    ModelEvent,
    PartEnd,
    Sources,
    Start,
    Text,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from streamkit.models._wires.responses import ResponsesWire

START = Start("resp_1", "gpt-test", "openai")
STOP = Finish("stop", "completed")
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 21,
}


def of(type: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{type}", "sequence_number": 1, **fields}


def whole(type: str, **fields: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "object": "response", "model": "gpt-test", "status": type, **fields}
    return of(type, response=response)


def part(type: str, output: int = 0, content: int = 0, **fields: Any) -> dict[str, Any]:
    return of(type, item_id=f"item_{output}", output_index=output, content_index=content, **fields)


def summary(type: str, index: int, **fields: Any) -> dict[str, Any]:
    return of(type, item_id="rs_1", output_index=0, summary_index=index, **fields)


def item(state: str, output: int, **fields: Any) -> dict[str, Any]:
    return of(f"output_item.{state}", output_index=output, item=fields)


def mapped(*chunks: dict[str, Any], **options: bool) -> list[ModelEvent]:
    wire = ResponsesWire()
    return [*(event for each in chunks for event in wire.feed(each)), *wire.end(**options)]


CREATED = whole("created", status="in_progress", error=None, incomplete_details=None, usage=None)
DONE = whole("completed", error=None, incomplete_details=None, usage=USAGE)
SPENT = Usage(9, 12, 21, 4, 7)

PAGE = {
    "type": "url_citation",
    "url": "https://example.org/",
    "title": "Example",
    "start_index": 0,
    "end_index": 5,
}
FILE = {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 7}
PATH = {"type": "file_path", "file_id": "file_3", "index": 0}
BOX = {
    "type": "container_file_citation",
    "container_id": "c_1",
    "file_id": "file_2",
    "filename": "b.csv",
    "start_index": 1,
    "end_index": 2,
}

TABLE = [
    pytest.param(
        [
            of("queued", response={"id": "resp_1", "model": "gpt-test"}),
            whole("in_progress"),
            item("added", 0, type="message", id="msg_1", content=[], role="assistant"),
            part("content_part.added", part={"type": "output_text", "text": ""}),
            part("output_text.delta", delta="Hel", logprobs=[]),
            part("output_text.delta", delta="lo", logprobs=[]),
            part("output_text.done", text="Hello", logprobs=[]),
            part("content_part.done", part={"type": "output_text", "text": "Hello"}),
            item("done", 0, type="message", id="msg_1", content=[{"text": "Hello"}]),
        ],
        [Text("Hel"), Text("lo"), PartEnd("0")],
        id="text",
    ),
    pytest.param(
        [
            part("output_text.delta", 0, 0, delta="A"),
            part("output_text.delta", 0, 1, delta="B"),
            part("output_text.delta", 1, 0, delta="C"),
            part("output_text.done", 0, 0, text="A"),
            part("output_text.delta", 0, 1, delta="b"),
        ],
        [
            Text("A"),
            Text("B", part="1"),
            Text("C", part="2"),
            PartEnd("0"),
            Text("b", part="1"),
            PartEnd("1"),
            PartEnd("2"),
        ],
        id="parts of several items",
    ),
    pytest.param(
        [
            part("output_text.done", text="Hello"),
            part("output_text.done", text="Hello"),
            part("refusal.done", 1, refusal="No."),
        ],
        [Text("Hello"), PartEnd("0"), Text("No.", "refusal", "1"), PartEnd("1")],
        id="a server that does not stream the pieces",
    ),
    pytest.param(
        [
            item("added", 0, type="reasoning", id="rs_1", summary=[]),
            summary("reasoning_summary_part.added", 0, part={"type": "summary_text", "text": ""}),
            summary("reasoning_summary_text.delta", 0, delta="Hm"),
            summary("reasoning_summary_text.done", 0, text="Hm"),
            summary("reasoning_summary_part.done", 0, part={"type": "summary_text", "text": "Hm"}),
            summary("reasoning_summary_text.delta", 1, delta="So"),
            summary("reasoning_summary_text.done", 1, text="So"),
            part("reasoning_text.delta", delta="raw"),
            part("reasoning_text.done", text="raw"),
            item("done", 0, type="reasoning", id="rs_1", summary=[], encrypted_content="c2ln"),
            item("done", 2, type="reasoning", id="rs_2", summary=[]),
            part("output_text.delta", 1, delta="Yes"),
        ],
        [
            Text("Hm", "reasoning"),
            PartEnd("0"),
            Text("So", "reasoning", "1"),
            PartEnd("1"),
            Text("raw", "reasoning", "2"),
            PartEnd("2"),
            Text("", "reasoning", "3", "c2ln"),
            PartEnd("3"),
            Text("Yes", part="4"),
            PartEnd("4"),
        ],
        id="reasoning, its summary, and what it is signed with",
    ),
    pytest.param(
        [
            part("refusal.delta", delta="I can"),
            part("refusal.delta", delta="not."),
            part("refusal.done", refusal="I cannot."),
        ],
        [Text("I can", "refusal"), Text("not.", "refusal"), PartEnd("0")],
        id="refusal",
    ),
    pytest.param(
        [
            part("output_text.delta", delta="See."),
            part("output_text.annotation.added", annotation_index=0, annotation=PAGE),
            part("output_text.annotation.added", annotation_index=1, annotation=FILE),
            part("output_text.annotation.added", annotation_index=2, annotation={"type": "new"}),
            part("output_text.done", text="See."),
            part("content_part.done", part={"annotations": [PAGE, FILE, BOX, {"type": "new"}]}),
            item("done", 0, type="message", content=[{"annotations": [PAGE, FILE, BOX, PATH]}]),
        ],
        [
            Text("See."),
            Sources((Citation("1", "Example", "https://example.org/", start=0, end=5),)),
            Sources((Citation("file_1", "a.pdf", start=7, end=7),)),
            Data("annotation", {"type": "new"}),
            PartEnd("0"),
            Sources((Citation("file_2", "b.csv", start=1, end=2),)),
            Sources((Citation("file_3"),)),
        ],
        id="annotations are sources once",
    ),
]

CALLS = [
    pytest.param(
        [
            item("added", 0, type="function_call", id="fc_1", call_id="call_1", name="add"),
            part("function_call_arguments.delta", delta='{"x"'),
            part("function_call_arguments.delta", delta=":1}"),
            part("function_call_arguments.done", arguments='{"x":1}', name="add"),
            item(
                "done", 0, type="function_call", call_id="call_1", name="add", arguments='{"x":1}'
            ),
        ],
        [
            ToolCallDelta("call_1", "add", ""),
            ToolCallDelta("call_1", "add", '{"x"'),
            ToolCallDelta("call_1", "add", ":1}"),
            ToolCall("call_1", "add", '{"x":1}'),
        ],
        id="a function",
    ),
    pytest.param(
        [
            item("added", 0, type="custom_tool_call", id="ct_1", call_id="call_1", name="shell"),
            part("custom_tool_call_input.delta", delta="ls"),
            part("custom_tool_call_input.done", input="ls -l"),
            item("added", 1, type="custom_tool_call", id="ct_2", call_id="call_2", name="stop"),
        ],
        [
            ToolCallDelta("call_1", "shell", ""),
            ToolCallDelta("call_1", "shell", "ls"),
            ToolCallDelta("call_2", "stop", ""),
            ToolCall("call_1", "shell", "ls -l"),
            ToolCall("call_2", "stop", ""),
        ],
        id="a custom tool, whose input is text, from a server that says no item is done",
    ),
    pytest.param(
        [item("done", 0, type="function_call", call_id="call_1", name="now", arguments="{}")],
        [ToolCallDelta("call_1", "now", "{}"), ToolCall("call_1", "now", "{}")],
        id="a call that comes whole",
    ),
    pytest.param(
        [
            part("function_call_arguments.delta", delta="{}"),
            item("done", 0, type="function_call", call_id="call_1", name="now"),
        ],
        [ToolCallDelta("item_0", "", "{}"), ToolCall("call_1", "now", "{}")],
        id="a call that was not announced",
    ),
    pytest.param(
        [item("done", 0, type="function_call", call_id="call_1", name="add", arguments='{"x":}')],
        [ToolCallDelta("call_1", "add", '{"x":}'), ToolCall("call_1", "add", '{"x":}')],
        id="broken JSON is passed on as it is",
    ),
]

NATIVE = [
    pytest.param(
        item("added", 0, type="web_search_call", id="ws_1"),
        "response.output_item.added",
        id="the item of a tool that runs at OpenAI",
    ),
    pytest.param(
        item("done", 0, type="image_generation_call", result="AAAA"),
        "response.output_item.done",
        id="what such a tool made",
    ),
    pytest.param(
        of("web_search_call.searching", item_id="ws_1"),
        "response.web_search_call.searching",
        id="how it goes on",
    ),
    pytest.param(
        of("mcp_call_arguments.delta", delta="{"),
        "response.mcp_call_arguments.delta",
        id="a call that OpenAI makes itself",
    ),
    pytest.param(of("brand.new", a=1), "response.brand.new", id="a new event"),
    pytest.param({"a": 1}, "unknown", id="no event at all"),
]


@pytest.mark.parametrize(("chunks", "events"), TABLE)
def test_chunks_become_events(chunks: list[dict[str, Any]], events: list[ModelEvent]) -> None:
    # What was still open ends before the usage is told.
    assert mapped(CREATED, *chunks, DONE) == [START, *events, SPENT, STOP]


@pytest.mark.parametrize(("chunks", "events"), CALLS)
def test_calls_are_told_in_pieces_and_then_whole(
    chunks: list[dict[str, Any]], events: list[ModelEvent]
) -> None:
    finish = Finish("tool-calls", "completed")
    assert mapped(CREATED, *chunks, DONE) == [START, *events, SPENT, finish]


@pytest.mark.parametrize(("chunk", "name"), NATIVE)
def test_what_has_no_event_of_its_own_is_data(chunk: dict[str, Any], name: str) -> None:
    assert mapped(CREATED, chunk, DONE) == [START, Data(name, chunk), SPENT, STOP]


@pytest.mark.parametrize(
    ("chunk", "finish"),
    [
        (whole("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (whole("incomplete", incomplete_details={"reason": "content_filter"}), "content-filter"),
        (whole("incomplete", incomplete_details={"reason": "steered"}), "other"),
        (whole("incomplete", incomplete_details=None), "other"),
        (whole("cancelled"), "cancelled"),
        (of("completed"), "stop"),
    ],
)
def test_each_end_has_its_finish(chunk: dict[str, Any], finish: str) -> None:
    last = mapped(CREATED, chunk)[-1]
    assert isinstance(last, Finish)
    assert last.reason == finish
    assert last.native


@pytest.mark.parametrize("status", ["incomplete", "in_progress"])
def test_a_call_that_the_limit_cut_is_none(status: str) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "add"}
    chunks = [item("added", 0, **call), part("function_call_arguments.delta", delta='{"x"')]
    if status == "incomplete":
        chunks.append(item("done", 0, **call, arguments='{"x"', status=status))
    limit = whole("incomplete", incomplete_details={"reason": "max_output_tokens"})
    events = mapped(CREATED, *chunks, limit)
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert events[-1] == Finish("length", "max_output_tokens")


OOPS = Error(
    "server_error", "The provider reported an error.", None, retryable=True, detail="Oops."
)
FAILED = whole("failed", error={"code": "server_error", "message": "Oops."}, usage=USAGE)


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        pytest.param(
            [{"type": "error", "code": "server_error", "message": "Oops.", "param": None}],
            [OOPS],
            id="flat",
        ),
        pytest.param(
            [{"type": "error", "error": {"code": "server_error", "message": "Oops."}}],
            [OOPS],
            id="nested",
        ),
        pytest.param(
            [{"error": {"code": "server_error", "message": "Oops."}}], [OOPS], id="no event"
        ),
        pytest.param([FAILED], [SPENT, OOPS], id="failed"),
        pytest.param(
            [{"type": "error", "code": "server_error", "message": "Oops."}, FAILED],
            [OOPS],
            id="told twice",
        ),
        pytest.param(
            [whole("failed", error=None)],
            [Error("failed", "The provider reported an error.")],
            id="failed without a reason",
        ),
    ],
)
def test_an_error_is_told_once_and_ends_the_answer(
    chunks: list[dict[str, Any]], events: list[ModelEvent]
) -> None:
    said = part("output_text.delta", delta="Hi")
    assert mapped(CREATED, said, *chunks) == [
        START,
        Text("Hi"),
        PartEnd("0"),
        *events,
        Finish("error"),
    ]


def test_an_answer_without_an_end_was_cut() -> None:
    said = part("output_text.delta", delta="Hi")
    *events, error, finish = mapped(CREATED, said)
    assert events == [START, Text("Hi"), PartEnd("0")]
    assert isinstance(error, Error)
    assert (error.code, finish) == ("truncated", Finish("error"))
    assert mapped(CREATED, said, finish_required=False)[-1] == Finish("stop")


@pytest.mark.slow  # it imports the official package
def test_every_event_that_the_official_package_knows_is_mapped_or_data() -> None:
    types = importlib.import_module("openai.types.responses")
    union = get_args(get_args(types.ResponseStreamEvent)[0])
    assert len(union) > 50
    for each in union:
        (type,) = get_args(each.model_fields["type"].annotation)
        assert isinstance(mapped({"type": type}, DONE)[-1], Finish)
