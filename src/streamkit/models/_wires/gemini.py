"""`GeminiWire`: the chunks of Gemini's `streamGenerateContent`, in the camel case of its JSON.

Only the first candidate is the answer; chunks of the others are `Data("candidate")`. A function
call comes whole. (Vertex can stream its arguments, if asked to; those pieces are `Data`.) Usage is
cumulative and on every chunk, so it is told once, at the end.
"""

from __future__ import annotations

__all__ = ("GeminiWire",)

from typing import Any, ClassVar

from .._events import Citation, FinishReason, ToolCall, Usage
from .errors import provider_error
from .reading import (
    json_of,
    list_of,
    number_of,
    object_of,
    place_of,
    text_of,
)
from .wire import Wire

_CONTINUATION = "CONTINUATION"

_BLOCKED = frozenset(
    {"BLOCKLIST", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_SAFETY", "SAFETY"}
    | {"MODEL_ARMOR", "PROHIBITED_CONTENT", "RECITATION", "SPII"}
)

_OTHER = frozenset(
    {_CONTINUATION, "ESCALATION", "IMAGE_OTHER", "LANGUAGE", "MALFORMED_FUNCTION_CALL"}
    | {"MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE", "OTHER"}
    | {"TOO_MANY_TOOL_CALLS", "UNEXPECTED_TOOL_CALL"}
)

# What a part has beside the thing that it is.
_MARKS = frozenset({"partMetadata", "text", "thought", "thoughtSignature"})

# What is told as it is: some of it has to be shown (Google's search suggestions, by its terms).
_DATA = ("groundingMetadata", "urlContextMetadata", "logprobsResult", "finishMessage")

# A chunk without any of these is not of an answer.
_KNOWN = frozenset({"candidates", "modelVersion", "promptFeedback", "responseId", "usageMetadata"})


class GeminiWire(Wire):
    """Map `GenerateContentResponse` objects."""

    provider = "gemini"
    reasons: ClassVar[dict[str, FinishReason]] = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        **dict.fromkeys(_BLOCKED, "content-filter"),
        **dict.fromkeys(_OTHER, "other"),
    }

    def __init__(self, *, model: str = "", provider: str = "") -> None:
        super().__init__(model=model, provider=provider)
        self._token = ""
        self._told: dict[str, str | None] = {}
        self._blocked = False

    def _identity(self, chunk: dict[str, Any]) -> tuple[str, str]:
        return text_of(chunk.get("responseId")), text_of(chunk.get("modelVersion"))

    def _map(self, chunk: dict[str, Any]) -> None:
        self._note_usage(chunk.get("usageMetadata"))
        if chunk.get("error"):
            self._tell_error(provider_error(chunk))
        elif chunk.keys() & _KNOWN:
            self._map_answer(chunk)
        else:
            self._tell_data("unknown", chunk)

    def _map_answer(self, chunk: dict[str, Any]) -> None:
        for candidate in list_of(chunk.get("candidates")):
            if not isinstance(candidate, dict) or candidate.get("index"):
                self._tell_data("candidate", candidate)
            else:
                self._map_candidate(candidate)
        feedback = object_of(chunk.get("promptFeedback"))
        if native := _said(feedback.get("blockReason")):
            self._tell_data("promptFeedback", feedback)
            self._native, self._blocked = native, True

    def _map_candidate(self, candidate: dict[str, Any]) -> None:
        for part in list_of(object_of(candidate.get("content")).get("parts")):
            self._map_part(object_of(part))
        self._cite(*_citations(candidate), *_grounding(candidate))
        for name in _DATA:
            if candidate.get(name) and (told := json_of(candidate[name])) != self._told.get(name):
                self._told[name] = told
                self._tell_data(name, candidate[name])
        self._token = text_of(candidate.get("continuationToken")) or self._token
        self._native = _said(candidate.get("finishReason")) or self._native

    def _map_part(self, part: dict[str, Any]) -> None:
        text, signature = text_of(part.get("text")), text_of(part.get("thoughtSignature"))
        others = [name for name in part if name not in _MARKS]
        if text or (signature and not others):
            self._say(text, "reasoning" if part.get("thought") else "text", None, signature)
        if others and not self._call(object_of(part.get("functionCall")), signature):
            self._tell_data(others[0], part)

    def _call(self, call: dict[str, Any], signature: str) -> bool:
        """Tell a call; False for one that is not whole."""
        name, arguments = text_of(call.get("name")), json_of(object_of(call.get("args")))
        if not name or arguments is None or call.get("willContinue") or call.get("partialArgs"):
            return False
        self._close_parts()
        self._called = True
        id = text_of(call.get("id")) or self._new_call_id()
        self._out.append(ToolCall(id, name, arguments, signature))
        return True

    def _usage_of(self, told: dict[str, Any]) -> Usage:
        thoughts = number_of(told.get("thoughtsTokenCount"))
        read = number_of(told.get("promptTokenCount"))
        read += number_of(told.get("toolUsePromptTokenCount"))
        written = number_of(told.get("candidatesTokenCount")) + thoughts  # apart, at Google
        return Usage(
            input=read,
            output=written,
            total=number_of(told.get("totalTokenCount")) or read + written,
            cached=number_of(told.get("cachedContentTokenCount")),
            reasoning=thoughts,
        )

    def _reason(self) -> FinishReason:
        # Whatever they call it: a prompt that is blocked has no answer.
        return "content-filter" if self._blocked else super()._reason()

    def _tell_rest(self) -> None:
        super()._tell_rest()
        if self._token and self._native == _CONTINUATION:
            self._tell_data("continuation", {"token": self._token})


def _said(reason: object) -> str:
    reason = text_of(reason)
    return "" if reason.endswith("_UNSPECIFIED") else reason


def _citations(candidate: dict[str, Any]) -> list[Citation]:
    """Return the sources that the text quotes."""
    metadata = object_of(candidate.get("citationMetadata"))
    told = list_of(metadata.get("citations")) or list_of(metadata.get("citationSources"))
    return [
        Citation(
            id="",
            title=text_of(cited.get("title")),
            url=text_of(cited.get("uri")),
            start=place_of(cited.get("startIndex")),
            end=place_of(cited.get("endIndex")),
        )
        for cited in map(object_of, told)
    ]


def _grounding(candidate: dict[str, Any]) -> list[Citation]:
    """Return the sources that the answer rests on: pages, places, images, files."""
    chunks = list_of(object_of(candidate.get("groundingMetadata")).get("groundingChunks"))
    sources = [object_of(source) for chunk in chunks for source in object_of(chunk).values()]
    return [
        Citation(
            id="",
            title=text_of(source.get("title")),
            url=text_of(source.get("uri")) or text_of(source.get("sourceUri")),
            content=text_of(source.get("text")),
        )
        for source in sources
        if source
    ]
