"""Chunks of Gemini's `streamGenerateContent`, and of Vertex."""

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
    Usage,
)
from streamkit.models._wires.gemini import GeminiWire

START = Start("resp-1", "gemini-test", "gemini")
STOP = Finish("stop", "STOP")


def chunk(*parts: dict[str, Any], finish: str = "", **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    candidate |= fields
    return {"candidates": [candidate], "modelVersion": "gemini-test", "responseId": "resp-1"}


def using(sent: dict[str, Any], *counts: int) -> dict[str, Any]:
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    usage = dict(zip(names, counts, strict=False))
    return {**sent, "usageMetadata": {**usage, "totalTokenCount": sum(counts)}}


def mapped(*chunks: dict[str, Any], **options: bool) -> list[ModelEvent]:
    wire = GeminiWire()
    return [*(event for each in chunks for event in wire.feed(each)), *wire.end(**options)]


ENDED = chunk(finish="STOP")
CITED = {"startIndex": 2, "endIndex": 9, "uri": "https://example.org/a", "title": "A"}
GROUNDING = {
    "webSearchQueries": ["streams"],
    "searchEntryPoint": {"renderedContent": "<div></div>"},
    "groundingChunks": [
        {"web": {"uri": "https://example.org/b", "title": "example.org"}},
        {"retrievedContext": {"uri": "gs://c", "title": "C", "text": "quoted"}},
        {"image": {"sourceUri": "https://example.org/d", "imageUri": "https://example.org/d.png"}},
        {"web": {}},
    ],
    "groundingSupports": [
        {"segment": {"endIndex": 4, "text": "text"}, "groundingChunkIndices": [0]}
    ],
}

TABLE = [
    pytest.param(
        [
            using(chunk({"text": "Hel"}), 4),
            using(chunk({"text": "lo"}), 4, 2),
            using(chunk({"text": "!"}, finish="STOP"), 4, 3, 5),
        ],
        [Text("Hel"), Text("lo"), Text("!"), PartEnd("0"), Usage(4, 8, 12, 0, 5), STOP],
        id="text, with usage once",
    ),
    pytest.param(
        [
            chunk({"text": "Hm", "thought": True}),
            chunk({"text": "Yes", "thoughtSignature": "c2ln"}),
            chunk({"text": "", "thoughtSignature": "bGFzdA=="}),
            ENDED,
        ],
        [
            Text("Hm", "reasoning"),
            PartEnd("0"),
            Text("Yes", part="1", signature="c2ln"),
            Text("", part="1", signature="bGFzdA=="),
            PartEnd("1"),
            STOP,
        ],
        id="thoughts and signatures",
    ),
    pytest.param(
        [
            chunk({"text": "Look: "}),
            chunk(
                {
                    "functionCall": {"id": "fc-1", "name": "weather", "args": {"city": "Röm"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"name": "now"}},
            ),
            ENDED,
        ],
        [
            Text("Look: "),
            PartEnd("0"),
            ToolCall("fc-1", "weather", '{"city":"Röm"}', "c2ln"),
            ToolCall("call-1", "now", "{}"),
            Finish("tool-calls", "STOP"),
        ],
        id="function calls; that they are the finish is inferred",
    ),
    pytest.param(
        [
            chunk({"functionCall": {"name": "add", "willContinue": True}}),
            chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}}),
            chunk({"functionCall": {}}, finish="STOP"),
        ],
        [
            Data("functionCall", {"functionCall": {"name": "add", "willContinue": True}}),
            Data(
                "functionCall",
                {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}},
            ),
            Data("functionCall", {"functionCall": {}}),
            STOP,
        ],
        id="the pieces of a call that Vertex streams are data",
    ),
    pytest.param(
        [
            chunk({"executableCode": {"language": "PYTHON", "code": "1+1"}}),
            chunk({"inlineData": {"mimeType": "image/png", "data": "AA"}, "thoughtSignature": "c"}),
            ENDED,
        ],
        [
            Data("executableCode", {"executableCode": {"language": "PYTHON", "code": "1+1"}}),
            Data(
                "inlineData",
                {"inlineData": {"mimeType": "image/png", "data": "AA"}, "thoughtSignature": "c"},
            ),
            STOP,
        ],
        id="code and images are data",
    ),
    pytest.param(
        [
            chunk({"text": "A"}, citationMetadata={"citationSources": [CITED]}),
            chunk({"text": "B"}, citationMetadata={"citations": [CITED]}),
            chunk(groundingMetadata=GROUNDING),
            chunk(finish="STOP", groundingMetadata=GROUNDING),
        ],
        [
            Text("A"),
            Sources((Citation("1", "A", "https://example.org/a", start=2, end=9),)),
            Text("B"),
            Sources(
                (
                    Citation("2", "example.org", "https://example.org/b"),
                    Citation("3", "C", "gs://c", "quoted"),
                    Citation("4", "", "https://example.org/d"),
                )
            ),
            Data("groundingMetadata", GROUNDING),
            PartEnd("0"),
            STOP,
        ],
        id="citations and grounding are sources once",
    ),
    pytest.param(
        [
            chunk({"text": "Hi"}),
            chunk({"text": "Yo"}, index=1),
            chunk(finish="MAX_TOKENS", index=1),
            ENDED,
        ],
        [
            Text("Hi"),
            Data("candidate", chunk({"text": "Yo"}, index=1)["candidates"][0]),
            Data("candidate", chunk(finish="MAX_TOKENS", index=1)["candidates"][0]),
            PartEnd("0"),
            STOP,
        ],
        id="only the first candidate is the answer",
    ),
    pytest.param([chunk(finish="MAX_TOKENS")], [Finish("length", "MAX_TOKENS")], id="length"),
    pytest.param([chunk(finish="SAFETY")], [Finish("content-filter", "SAFETY")], id="safety"),
    pytest.param(
        [
            chunk({"functionCall": {"name": "now"}}),
            chunk(finish="MALFORMED_FUNCTION_CALL", finishMessage="Malformed: now("),
        ],
        [
            ToolCall("call-1", "now", "{}"),
            Data("finishMessage", "Malformed: now("),
            Finish("other", "MALFORMED_FUNCTION_CALL"),
        ],
        id="a finish that is known stands",
    ),
    pytest.param(
        [chunk({"functionCall": {"name": "now"}}, finish="BRAND_NEW")],
        [ToolCall("call-1", "now", "{}"), Finish("tool-calls", "BRAND_NEW")],
        id="an unknown finish after a call",
    ),
    pytest.param([chunk(finish="BRAND_NEW")], [Finish("other", "BRAND_NEW")], id="unknown finish"),
    pytest.param(
        [
            {
                "promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "No."},
                "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
                "modelVersion": "gemini-test",
                "responseId": "resp-1",
            }
        ],
        [
            Data("promptFeedback", {"blockReason": "OTHER", "blockReasonMessage": "No."}),
            Usage(4, 0, 4),
            Finish("content-filter", "OTHER"),
        ],
        id="a blocked prompt",
    ),
    pytest.param(
        [
            {**chunk({"text": "Hi"}), "promptFeedback": {"safetyRatings": []}},
            chunk(finish="FINISH_REASON_UNSPECIFIED"),
            ENDED,
        ],
        [Text("Hi"), PartEnd("0"), STOP],
        id="feedback and a finish that say nothing",
    ),
    pytest.param(
        [chunk({"text": "Hel"}, finish="CONTINUATION", continuationToken="dG9r")],
        [
            Text("Hel"),
            PartEnd("0"),
            Data("continuation", {"token": "dG9r"}),
            Finish("other", "CONTINUATION"),
        ],
        id="a part of an answer, and the token of the request for the rest",
    ),
]


@pytest.mark.parametrize(("chunks", "events"), TABLE)
def test_chunks_become_events(chunks: list[dict[str, Any]], events: list[ModelEvent]) -> None:
    assert mapped(*chunks) == [START, *events]


def test_an_error_in_the_middle_ends_the_answer() -> None:
    error = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    assert mapped(using(chunk({"text": "Hi"}), 4, 1), error) == [
        START,
        Text("Hi"),
        PartEnd("0"),
        Usage(4, 1, 5),
        Error(
            "UNAVAILABLE",
            "The provider reported an error.",
            503,
            retryable=True,
            detail="Overloaded.",
        ),
        Finish("error"),
    ]


def test_an_answer_without_a_finish_was_cut() -> None:
    chunks = [chunk({"text": "Hi"})]
    error, finish = mapped(*chunks)[-2:]
    assert isinstance(error, Error)
    assert (error.code, finish) == ("truncated", Finish("error"))
    assert mapped(*chunks, finish_required=False)[-1] == Finish("stop")


def test_tokens_of_tools_and_of_the_cache_are_counted() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 8,
        "candidatesTokenCount": 2,
    }
    assert mapped({**ENDED, "usageMetadata": usage})[1] == Usage(15, 2, 17, 8)


def test_what_nobody_knows_is_data() -> None:
    assert Data("unknown", {"ping": 1}) in mapped({"ping": 1})
