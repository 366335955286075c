"""`ResponsesWire`: the events of OpenAI's Responses.

Texts, thoughts, refusals and the calls of the user's functions have events of their own. The tools
that run at OpenAI (search, code, images, MCP) come as `Data`, named after the provider's event.
"""

from __future__ import annotations

__all__ = ("ResponsesWire",)

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, TypeAlias

from .._events import Citation, FinishReason, Tone, Usage
from .errors import provider_error
from .reading import list_of, number_of, object_of, place_of, text_of
from .wire import Call, Wire

_Chunk: TypeAlias = dict[str, Any]

# The stem of an event's type: what tone its text has, and the field that counts its parts.
_TONES: dict[str, tuple[Tone, str]] = {
    "response.output_text": ("text", "content_index"),
    "response.refusal": ("refusal", "content_index"),
    "response.reasoning_text": ("reasoning", "content_index"),
    "response.reasoning_summary_text": ("reasoning", "summary_index"),
}

# The items that call a function of the user, and the field that has the arguments.
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}

_SAY_NOTHING = frozenset(
    {
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.created",
        "response.in_progress",
        "response.queued",
    }
)


class ResponsesWire(Wire):
    """Map the events of `/v1/responses`."""

    provider = "openai"
    reasons: ClassVar[dict[str, FinishReason]] = {
        "completed": "stop",
        "max_output_tokens": "length",
        "content_filter": "content-filter",
        "cancelled": "cancelled",
        "incomplete": "other",
    }

    def __init__(self, *, model: str = "", provider: str = "") -> None:
        super().__init__(model=model, provider=provider)
        self._whole: set[Hashable] = set()  # parts that are told to their end

    def _identity(self, chunk: _Chunk) -> tuple[str, str]:
        return super()._identity(object_of(chunk.get("response")))

    def _map(self, chunk: _Chunk) -> None:
        type = text_of(chunk.get("type"))
        if mapper := self._mappers.get(type):
            mapper(self, chunk)
        elif type == "error" or (not type and chunk.get("error")):
            self._tell_error(provider_error(chunk))
        elif type not in _SAY_NOTHING:
            self._tell_data(type or "unknown", chunk)

    # Texts: each item of the output has parts, each part has pieces, and at last the whole.

    def _text(self, chunk: _Chunk) -> None:
        stem = chunk["type"].removesuffix(".delta")
        tone, index = _TONES[stem]
        if text := text_of(chunk.get("delta")):
            self._say(text, tone, _key(chunk, stem, chunk.get(index)))

    def _text_done(self, chunk: _Chunk) -> None:
        stem = chunk["type"].removesuffix(".done")
        tone, index = _TONES[stem]
        key = _key(chunk, stem, chunk.get(index))
        whole = text_of(chunk.get("text")) or text_of(chunk.get("refusal"))
        # Some servers do not stream the pieces.
        if whole and key not in self._parts and key not in self._whole:
            self._say(whole, tone, key)
        self._whole.add(key)
        self._close_part(key)

    def _part_done(self, chunk: _Chunk) -> None:
        self._cite_part(chunk.get("part"))

    def _cite_part(self, part: object) -> None:
        told = [_citation(object_of(each)) for each in list_of(object_of(part).get("annotations"))]
        self._cite(*[citation for citation in told if citation is not None])

    def _annotation_added(self, chunk: _Chunk) -> None:
        citation = _citation(object_of(chunk.get("annotation")))
        if citation is None:
            self._tell_data("annotation", chunk.get("annotation"))
        else:
            self._cite(citation)

    # Calls of the user's functions.

    def _item_added(self, chunk: _Chunk) -> None:
        item = object_of(chunk.get("item"))
        type = text_of(item.get("type"))
        if type in _CALLS:
            self._call(chunk, item)
        elif type not in ("message", "reasoning"):
            self._tell_data(chunk["type"], chunk)

    def _arguments(self, chunk: _Chunk) -> None:
        self._write_call(self._call(chunk, chunk), text_of(chunk.get("delta")))

    def _arguments_done(self, chunk: _Chunk) -> None:
        call = self._call(chunk, chunk)
        whole = text_of(chunk.get("arguments")) or text_of(chunk.get("input"))
        call.pieces = [whole] if whole else call.pieces

    def _item_done(self, chunk: _Chunk) -> None:
        item = object_of(chunk.get("item"))
        type = text_of(item.get("type"))
        if type in _CALLS:
            self._call_done(chunk, item)
        elif type == "reasoning":
            self._thought_done(chunk, item)
        elif type == "message":
            for part in list_of(item.get("content")):
                self._cite_part(part)
        else:
            self._tell_data(chunk["type"], chunk)

    def _call(self, chunk: _Chunk, item: _Chunk) -> Call:
        key = _key(chunk, "call", 0)
        if (call := self._calls.get(key)) is not None:
            return call
        blank = "" if "custom_tool" in text_of(item.get("type")) else "{}"
        id = text_of(item.get("call_id")) or text_of(item.get("item_id"))
        call = self._open_call(key, id, text_of(item.get("name")), blank)
        if item is not chunk:  # the item itself: a page that shows calls waits for its name
            self._write_call(call, text_of(item.get(_CALLS[item["type"]])))
        return call

    def _call_done(self, chunk: _Chunk, item: _Chunk) -> None:
        key = _key(chunk, "call", 0)
        if item.get("status") == "incomplete":
            self._calls.pop(key, None)
            return
        call = self._call(chunk, item)
        call.id = text_of(item.get("call_id")) or call.id
        call.name = text_of(item.get("name")) or call.name
        whole = text_of(item.get(_CALLS[item["type"]]))
        call.pieces = [whole] if whole else call.pieces
        self._finish_call(key)

    def _thought_done(self, chunk: _Chunk, item: _Chunk) -> None:
        if signature := text_of(item.get("encrypted_content")):
            key = _key(chunk, "signature", 0)
            self._say("", "reasoning", key, signature)
            self._close_part(key)

    # The end.

    def _complete(self, chunk: _Chunk) -> None:
        response = object_of(chunk.get("response"))
        self._note_usage(response.get("usage"))
        status = text_of(response.get("status")) or chunk["type"].rpartition(".")[2]
        why = text_of(object_of(response.get("incomplete_details")).get("reason"))
        if status == "failed" or response.get("error"):
            self._tell_error(provider_error(response))
        else:
            self._native = why or status

    def _usage_of(self, told: _Chunk) -> Usage:
        read, written = number_of(told.get("input_tokens")), number_of(told.get("output_tokens"))
        thought = object_of(told.get("output_tokens_details")).get("reasoning_tokens")
        cached = object_of(told.get("input_tokens_details")).get("cached_tokens")
        return Usage(
            input=read,
            output=written,
            total=number_of(told.get("total_tokens")) or read + written,
            cached=number_of(cached),
            reasoning=number_of(thought),
        )

    # What becomes of which event.

    _mappers: ClassVar[dict[str, Callable[[ResponsesWire, _Chunk], None]]] = {
        **dict.fromkeys([f"{stem}.delta" for stem in _TONES], _text),
        **dict.fromkeys([f"{stem}.done" for stem in _TONES], _text_done),
        "response.content_part.done": _part_done,
        "response.output_text.annotation.added": _annotation_added,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.function_call_arguments.delta": _arguments,
        "response.function_call_arguments.done": _arguments_done,
        "response.custom_tool_call_input.delta": _arguments,
        "response.custom_tool_call_input.done": _arguments_done,
        "response.completed": _complete,
        "response.incomplete": _complete,
        "response.failed": _complete,
        "response.cancelled": _complete,
    }


def _key(chunk: _Chunk, what: str, index: object) -> Hashable:
    """Name what a piece belongs to. Not by `item_id`: some servers give each event another one."""
    place = chunk.get("output_index", chunk.get("item_id"))
    return what, _plain(place), _plain(index)


def _plain(place: object) -> int | str:
    return place if isinstance(place, int | str) else ""


def _citation(told: _Chunk) -> Citation | None:
    title, url = text_of(told.get("title")), text_of(told.get("url"))
    match told.get("type"):
        case "url_citation":
            id = ""
        case "file_citation" | "container_file_citation" | "file_path":
            id, title = text_of(told.get("file_id")), text_of(told.get("filename"))
        case _:
            return None
    # Of a file, OpenAI tells the one place where the citation belongs.
    place = told.get("index") if told.get("type") == "file_citation" else None
    start, end = told.get("start_index", place), told.get("end_index", place)
    return Citation(id, title, url, start=place_of(start), end=place_of(end))
