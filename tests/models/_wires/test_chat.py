"""Chunks of chat completions, as OpenAI and the servers that are compatible with it send them."""

from __future__ import annotations

from typing import Any

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
from streamkit.models._wires.chat import ChatWire

START = Start("chatcmpl-1", "gpt-test", "openai")
STOP = Finish("stop", "stop")
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 0},
}


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1794000000,
        "model": "gpt-test",
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": [choice],
        "usage": None,
        "obfuscation": "x7Ff",
        **fields,
    }


def piece(index: int | None, id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": id, "type": "function", "function": function}
    return {name: value for name, value in call.items() if value is not None}


def calls(*pieces: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(pieces)})


def mapped(*chunks: dict[str, Any], **options: bool) -> list[ModelEvent]:
    wire = ChatWire()
    return [*(event for each in chunks for event in wire.feed(each)), *wire.end(**options)]


FIRST = chunk({"role": "assistant", "content": "", "refusal": None})
ENDED = chunk(finish="stop")

TABLE = [
    pytest.param(
        [FIRST, chunk({"content": "Hel"}), chunk({"content": "lo"}), ENDED],
        [Text("Hel"), Text("lo"), PartEnd("0"), STOP],
        id="text",
    ),
    pytest.param(
        [chunk({"content": "Hi"}), ENDED, chunk(choices=[], usage=USAGE)],
        [Text("Hi"), PartEnd("0"), Usage(9, 12, 21, 4, 7), STOP],
        id="usage comes after the finish",
    ),
    pytest.param(
        [
            chunk({"content": "Hi"}, usage={"prompt_tokens": 9, "completion_tokens": 1}),
            chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2}),
        ],
        [Text("Hi"), PartEnd("0"), Usage(9, 2, 11), STOP],
        id="usage on every chunk is told once",
    ),
    pytest.param(
        [ENDED, chunk(choices=[], usage={"prompt_tokens": 9, "prompt_cache_hit_tokens": 8})],
        [Usage(9, 0, 9, 8), STOP],
        id="what DeepSeek calls cached",
    ),
    pytest.param(
        [
            chunk({"reasoning_content": "Hm", "content": None}),
            chunk({"reasoning_content": "m.", "content": None}),
            chunk({"content": "Yes"}),
            ENDED,
        ],
        [
            Text("Hm", "reasoning"),
            Text("m.", "reasoning"),
            PartEnd("0"),
            Text("Yes", part="1"),
            PartEnd("1"),
            STOP,
        ],
        id="reasoning_content, as of DeepSeek and vLLM",
    ),
    pytest.param(
        [chunk({"reasoning": "Hm", "content": ""}), chunk({"content": "Yes"}), ENDED],
        [Text("Hm", "reasoning"), PartEnd("0"), Text("Yes", part="1"), PartEnd("1"), STOP],
        id="reasoning, as of OpenRouter",
    ),
    pytest.param(
        [chunk({"reasoning": "Hm", "reasoning_content": "Hm"}), ENDED],
        [Text("Hm", "reasoning"), PartEnd("0"), STOP],
        id="the same thought under both names",
    ),
    pytest.param(
        [
            chunk(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                        {"type": "text", "text": "Yes"},
                        {"type": "reference", "reference_ids": [1]},
                    ]
                }
            ),
            ENDED,
        ],
        [
            Text("Hm", "reasoning"),
            PartEnd("0"),
            Text("Yes", part="1"),
            Data("content", {"type": "reference", "reference_ids": [1]}),
            PartEnd("1"),
            STOP,
        ],
        id="content as a list, as of Mistral",
    ),
    pytest.param(
        [chunk({"refusal": "I can"}), chunk({"refusal": "not."}), ENDED],
        [Text("I can", "refusal"), Text("not.", "refusal"), PartEnd("0"), STOP],
        id="refusal",
    ),
    pytest.param(
        [
            chunk({"content": "Look: "}),
            calls(piece(0, "call_a", "weather", "")),
            calls(piece(0, None, None, '{"ci')),
            calls(piece(1, "call_b", "time", "")),
            calls(piece(0, None, None, 'ty":"Rom"}'), piece(1, None, None, "{}")),
            chunk(finish="tool_calls"),
        ],
        [
            Text("Look: "),
            PartEnd("0"),
            ToolCallDelta("call_a", "weather", ""),
            ToolCallDelta("call_a", "weather", '{"ci'),
            ToolCallDelta("call_b", "time", ""),
            ToolCallDelta("call_a", "weather", 'ty":"Rom"}'),
            ToolCallDelta("call_b", "time", "{}"),
            ToolCall("call_a", "weather", '{"city":"Rom"}'),
            ToolCall("call_b", "time", "{}"),
            Finish("tool-calls", "tool_calls"),
        ],
        id="two tool calls, their pieces mixed",
    ),
    pytest.param(
        [
            calls(piece(0, "a", "add", '{"x":1}')),
            calls(piece(0, "b", "add", '{"x":2}')),
            calls(piece(0, "c", "add", '{"x":3}')),
            ENDED,
        ],
        [
            ToolCallDelta("a", "add", '{"x":1}'),
            ToolCallDelta("b", "add", '{"x":2}'),
            ToolCallDelta("c", "add", '{"x":3}'),
            ToolCall("a", "add", '{"x":1}'),
            ToolCall("b", "add", '{"x":2}'),
            ToolCall("c", "add", '{"x":3}'),
            Finish("tool-calls", "stop"),
        ],
        id="all calls at index 0 and a finish of stop, as of Google's compatible server",
    ),
    pytest.param(
        [calls(piece(0, "x1", "add", "")), calls(piece(0, "x2", None, "{}")), ENDED],
        [
            ToolCallDelta("x1", "add", ""),
            ToolCallDelta("x1", "add", "{}"),
            ToolCall("x1", "add", "{}"),
            Finish("tool-calls", "stop"),
        ],
        id="another id on each piece, as of an old vLLM",
    ),
    pytest.param(
        [calls(piece(None, None, "add", {"x": 1}), piece(None, None, "now", None)), ENDED],
        [
            ToolCallDelta("call-1", "add", '{"x":1}'),
            ToolCallDelta("call-2", "now", ""),
            ToolCall("call-1", "add", '{"x":1}'),
            ToolCall("call-2", "now", "{}"),
            Finish("tool-calls", "stop"),
        ],
        id="no index, no id, arguments as an object, or none",
    ),
    pytest.param(
        [calls(piece(0, "a", "add", '{"x": 1,}')), chunk(finish="tool_calls")],
        [
            ToolCallDelta("a", "add", '{"x": 1,}'),
            ToolCall("a", "add", '{"x": 1,}'),
            Finish("tool-calls", "tool_calls"),
        ],
        id="broken JSON in arguments is passed on as it is",
    ),
    pytest.param(
        [
            calls(piece(0, "a", "add", '{"x":1}')),
            calls(piece(1, "b", "add", '{"x"')),
            calls(piece(2, "c", "add", "")),
            chunk(finish="length"),
        ],
        [
            ToolCallDelta("a", "add", '{"x":1}'),
            ToolCallDelta("b", "add", '{"x"'),
            ToolCallDelta("c", "add", ""),
            ToolCall("a", "add", '{"x":1}'),
            Finish("length", "length"),
        ],
        id="a call that the limit cut is none",
    ),
    pytest.param(
        [calls(piece(0, "a", "add", 5)), ENDED],
        [Data("tool_call", piece(0, "a", "add", 5)), STOP],
        id="arguments that are none",
    ),
    pytest.param(
        [
            chunk({"function_call": {"name": "add", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk(finish="function_call"),
        ],
        [
            ToolCallDelta("call-1", "add", ""),
            ToolCallDelta("call-1", "add", "{}"),
            ToolCall("call-1", "add", "{}"),
            Finish("tool-calls", "function_call"),
        ],
        id="the old function_call",
    ),
    pytest.param(
        [
            chunk({"content": "Hi"}),
            chunk(choices=[{"index": 1, "delta": {"content": "Yo"}, "finish_reason": None}]),
            chunk(choices=[{"index": 1, "delta": {}, "finish_reason": "length"}]),
            ENDED,
        ],
        [
            Text("Hi"),
            Data("choice", {"index": 1, "delta": {"content": "Yo"}, "finish_reason": None}),
            Data("choice", {"index": 1, "delta": {}, "finish_reason": "length"}),
            PartEnd("0"),
            STOP,
        ],
        id="only the first choice is the answer",
    ),
    pytest.param(
        [
            chunk(
                {
                    "content": "See.",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://example.org/",
                                "title": "Example",
                                "start_index": 0,
                                "end_index": 3,
                            },
                        },
                        {"type": "other"},
                    ],
                }
            ),
            ENDED,
        ],
        [
            Text("See."),
            Sources((Citation("1", "Example", "https://example.org/", start=0, end=3),)),
            Data("annotation", {"type": "other"}),
            PartEnd("0"),
            STOP,
        ],
        id="annotations are sources",
    ),
    pytest.param(
        [
            chunk({"audio": {"id": "audio_1", "data": "AAAA"}}),
            chunk(choices=[{"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": []}}]),
            chunk(choices=[], moderation={"output": {}}),
            ENDED,
        ],
        [
            Data("audio", {"id": "audio_1", "data": "AAAA"}),
            Text("Hi"),
            Data("logprobs", {"content": []}),
            Data("moderation", {"output": {}}),
            PartEnd("0"),
            STOP,
        ],
        id="audio, logprobs and moderation are data",
    ),
    pytest.param(
        [chunk(finish="content_filter")],
        [Finish("content-filter", "content_filter")],
        id="content filter",
    ),
    pytest.param([chunk(finish="eos")], [Finish("other", "eos")], id="an unknown finish"),
    pytest.param(
        [calls(piece(0, "a", "now", "{}")), chunk(finish="eos")],
        [
            ToolCallDelta("a", "now", "{}"),
            ToolCall("a", "now", "{}"),
            Finish("tool-calls", "eos"),
        ],
        id="an unknown finish after a call",
    ),
]


@pytest.mark.parametrize(("chunks", "events"), TABLE)
def test_chunks_become_events(chunks: list[dict[str, Any]], events: list[ModelEvent]) -> None:
    assert mapped(*chunks) == [START, *events]


FAILURES = [
    pytest.param(
        [chunk({"content": "Hi"}), {"error": {"message": "Oops.", "type": "server_error"}}],
        [
            Text("Hi"),
            PartEnd("0"),
            Error(
                "server_error",
                "The provider reported an error.",
                None,
                retryable=True,
                detail="Oops.",
            ),
        ],
        id="an error alone",
    ),
    pytest.param(
        [
            chunk({"content": "Hi"}),
            chunk({"content": ""}, "error", error={"code": 502, "message": "Gone."}, usage=USAGE),
        ],
        [
            Text("Hi"),
            PartEnd("0"),
            Usage(9, 12, 21, 4, 7),
            Error(
                "provider-error",
                "The provider reported an error.",
                502,
                retryable=True,
                detail="Gone.",
            ),
        ],
        id="an error beside a choice, as of OpenRouter",
    ),
    pytest.param(
        [chunk({"content": "Hi"}, "error"), chunk({"content": " more"})],
        [Text("Hi"), PartEnd("0"), Error("provider-error", "The provider reported an error.")],
        id="a finish that is an error",
    ),
    pytest.param(
        [
            chunk(
                choices=[{"index": 0, "finish_reason": "error"}, {"index": 1}], moderation={"a": 1}
            ),
        ],
        [Error("provider-error", "The provider reported an error.")],
        id="nothing is told after an error",
    ),
    pytest.param(
        [FIRST, {"object": "error", "message": "Bad.", "type": "BadRequestError", "code": 400}],
        [Error("BadRequestError", "The provider refused the request.", 400, detail="Bad.")],
        id="a flat error, as of vLLM",
    ),
]


@pytest.mark.parametrize(("chunks", "events"), FAILURES)
def test_an_error_is_told_and_ends_the_answer(
    chunks: list[dict[str, Any]], events: list[ModelEvent]
) -> None:
    assert mapped(*chunks) == [START, *events, Finish("error")]


def test_an_answer_without_a_finish_was_cut_and_its_calls_are_not_told() -> None:
    *events, error, finish = mapped(
        chunk({"content": "Hi"}), calls(piece(0, "a", "rm", "{}")), chunk(choices=[], usage=USAGE)
    )
    assert events == [
        START,
        Text("Hi"),
        PartEnd("0"),
        ToolCallDelta("a", "rm", "{}"),
        Usage(9, 12, 21, 4, 7),
    ]
    assert isinstance(error, Error)
    assert (error.code, finish) == ("truncated", Finish("error"))


def test_an_answer_without_a_finish_is_complete_if_you_say_so() -> None:
    events = mapped(
        chunk({"content": "Hi"}), calls(piece(0, "a", "now", "{}")), finish_required=False
    )
    assert events[-2:] == [ToolCall("a", "now", "{}"), Finish("tool-calls")]


def test_the_finish_is_seen_before_the_end() -> None:
    wire = ChatWire()
    assert not wire.done
    wire.feed(chunk({"content": "Hi"}, ""))
    assert not wire.done
    wire.feed(ENDED)
    assert wire.done


def test_the_first_chunk_of_azure_does_not_know_the_answer_yet() -> None:
    about_the_prompt = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    assert mapped(about_the_prompt, chunk({"content": "Hi"}), ENDED)[0] == START


def test_a_server_that_names_no_model_is_asked_for_one() -> None:
    wire = ChatWire(model="asked", provider="mine")
    unnamed = {"choices": [{"delta": {"content": "Hi"}}]}
    assert wire.feed(unnamed) == [Start("", "asked", "mine"), Text("Hi")]


@pytest.mark.parametrize(
    ("sent", "name"),
    [({"object": "ping"}, "ping"), ({}, "unknown"), ({"choices": None}, "unknown")],
)
def test_what_nobody_knows_is_data(sent: dict[str, Any], name: str) -> None:
    assert Data(name, sent) in mapped(sent)
