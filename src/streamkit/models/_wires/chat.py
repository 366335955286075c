"""`ChatWire`: the chunks of OpenAI's chat completions, and of the many servers that speak them too.

Only the first choice is the answer; chunks of the others are `Data("choice")`. Reasoning is not in
OpenAI's schema, but comes as `reasoning_content` or `reasoning`. Usage comes after the finish.
"""

from __future__ import annotations

__all__ = ("ChatWire",)

from typing import Any, ClassVar

from .._events import Citation, FinishReason, Tone, Usage
from .errors import provider_error
from .reading import json_of, list_of, number_of, object_of, place_of, text_of
from .wire import Call, Wire

# Fields of a delta that are told as something else, or say nothing.
_KNOWN = frozenset(
    {"annotations", "content", "function_call", "reasoning", "reasoning_content", "refusal"}
    | {"role", "tool_calls"}
)


class ChatWire(Wire):
    """Map `chat.completion.chunk` objects."""

    provider = "openai"
    reasons: ClassVar[dict[str, FinishReason]] = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool-calls",
        "function_call": "tool-calls",
        "content_filter": "content-filter",
    }

    def _map(self, chunk: dict[str, Any]) -> None:
        # In the middle of a stream it stands alone, or beside a choice; vLLM's is flat.
        if chunk.get("error") or "error" in (chunk.get("object"), chunk.get("type")):
            self._note_usage(chunk.get("usage"))
            self._tell_error(provider_error(chunk))
            return
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._map_choice(choice)
        elif not chunk.get("usage"):
            self._tell_data(text_of(chunk.get("object")) or "unknown", chunk)
        self._note_usage(chunk.get("usage"))
        if chunk.get("moderation"):
            self._tell_data("moderation", chunk["moderation"])

    def _map_choice(self, choice: object) -> None:
        if not isinstance(choice, dict) or choice.get("index"):
            self._tell_data("choice", choice)
            return
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._map_delta(delta)
        if choice.get("logprobs"):
            self._tell_data("logprobs", choice["logprobs"])
        native = choice.get("finish_reason")
        if native == "error":  # without one beside the choices
            self._tell_error(provider_error(choice))
        elif native and isinstance(native, str):
            self._native = native

    def _map_delta(self, delta: dict[str, Any]) -> None:
        # Some servers send the same thought under both names.
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought:
            self._map_text(thought, "reasoning")
        if delta.get("content"):
            self._map_text(delta["content"], "text")
        if delta.get("refusal"):
            self._map_text(delta["refusal"], "refusal")
        for index, piece in enumerate(list_of(delta.get("tool_calls"))):
            self._map_call(object_of(piece), index)
        if delta.get("function_call"):  # what tool calls were before there could be several
            self._map_call({"index": "function", "function": delta["function_call"]}, 0)
        for annotation in list_of(delta.get("annotations")):
            self._map_annotation(annotation)
        for name, value in delta.items():
            if name not in _KNOWN and value:
                self._tell_data(name, value)

    def _map_text(self, content: object, tone: Tone) -> None:
        if isinstance(content, str):
            self._say(content, tone)
            return
        for part in list_of(content) or [content]:  # Mistral's: pieces of either tone
            pieces = list_of(object_of(part).get("thinking"))
            thought = "".join([text_of(object_of(piece).get("text")) for piece in pieces])
            if thought:
                self._say(thought, "reasoning")
            elif text := text_of(object_of(part).get("text")):
                self._say(text, tone)
            else:
                self._tell_data("content", part)

    def _map_call(self, piece: dict[str, Any], position: int) -> None:
        function = object_of(piece.get("function"))
        arguments = function.get("arguments") or ""
        if isinstance(arguments, dict):  # Ollama's own shape leaks through some proxies
            arguments = json_of(arguments)
        if not isinstance(arguments, str):
            self._tell_data("tool_call", piece)
            return
        call = self._call_of(piece, position, text_of(function.get("name")))
        self._write_call(call, arguments)

    def _call_of(self, piece: dict[str, Any], position: int, name: str) -> Call:
        """Find the call that a piece continues. Its id and name come with its first piece only."""
        index, id = piece.get("index"), text_of(piece.get("id"))
        key = ("call", index if isinstance(index, int | str) else position)
        call = self._calls.get(key)
        if call is None:
            self._close_parts()
        elif id and id != call.id and name:
            # Google's compatible server gives all calls the index 0. (A new id without a name is
            # none: an old vLLM gives each piece another one.)
            self._calls[(*key, call.id)] = self._calls.pop(key)
        else:
            call.name = call.name or name
            return call
        return self._open_call(key, id, name)

    def _map_annotation(self, annotation: object) -> None:
        told = object_of(annotation)
        cited = object_of(told.get("url_citation"))
        if not cited:
            self._tell_data("annotation", annotation)
            return
        self._cite(_url_citation(cited))

    def _usage_of(self, told: dict[str, Any]) -> Usage:
        read = number_of(told.get("prompt_tokens"))
        written = number_of(told.get("completion_tokens"))
        details = object_of(told.get("completion_tokens_details"))
        cached = object_of(told.get("prompt_tokens_details")).get("cached_tokens")
        return Usage(
            input=read,
            output=written,
            total=number_of(told.get("total_tokens")) or read + written,
            cached=number_of(cached) or number_of(told.get("prompt_cache_hit_tokens")),  # DeepSeek
            reasoning=number_of(details.get("reasoning_tokens")),
        )


def _url_citation(cited: dict[str, Any]) -> Citation:
    return Citation(
        id="",
        title=text_of(cited.get("title")),
        url=text_of(cited.get("url")),
        content=text_of(cited.get("content")),
        start=place_of(cited.get("start_index")),
        end=place_of(cited.get("end_index")),
    )
