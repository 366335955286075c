"""What the mappers of all wires share: one start, one finish, parts, calls, usage, errors.

A mapper takes the decoded JSON of one answer, object by object, and gives the model's events. It
does not trust what a provider sends: no shape of it raises, and an unknown one becomes `Data`.
Rule: no I/O here, and no clock.
"""

from __future__ import annotations

__all__ = ("Call", "Wire")

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from .._events import (
    Citation,
    Data,
    Error,
    Finish,
    FinishReason,
    ModelEvent,
    PartEnd,
    Sources,
    Start,
    Text,
    Tone,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from .errors import TOO_LARGE, TRUNCATED
from .reading import is_json, object_of, text_of


@dataclass(slots=True)
class Call:
    """A tool call that the model is writing."""

    id: str
    name: str
    # Some servers write nothing for a function without parameters.
    blank: str = "{}"
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces) or self.blank


class Wire(ABC):
    """Turn the JSON of one answer into its events; a subclass knows the provider's shapes.

    Exactly one `Start` comes first and one `Finish` last over any number of `feed` and then `end`,
    or `fail`; after that nothing comes any more.
    """

    provider: ClassVar[str]
    reasons: ClassVar[dict[str, FinishReason]]
    """What the provider's words for the end mean."""

    # Characters, of all calls of an answer together: they are held until a call is whole, and a
    # model that finds no end must not fill the memory. A file to write fits.
    max_arguments = 8 << 20

    def __init__(self, *, model: str = "", provider: str = "") -> None:
        """Take what `Start` says where the provider does not."""
        self._model, self._provider = model, provider or self.provider
        self._out: list[ModelEvent] = []
        self._started = self._ended = False
        self._parts: dict[Hashable, str] = {}
        self._part_count = 0
        self._calls: dict[Hashable, Call] = {}
        self._call_count = 0
        self._called = False
        self._arguments_size = 0
        self._cited: set[Citation] = set()
        self._usage: dict[str, Any] = {}  # the last that was told
        self._native: str | None = None  # the provider's word for the end
        self.error: Error | None = None
        """The error that was told, for `ModelFailed`."""

    @property
    def done(self) -> bool:
        """Tell whether the provider said that the answer is complete, or failed."""
        return self._native is not None or self.error is not None

    def feed(self, chunk: object) -> list[ModelEvent]:
        """Return the events of the next object; none after an error."""
        if self._ended or self.error is not None:
            return []
        if isinstance(chunk, dict):
            self._map(chunk)
        else:
            self._tell_data("unknown", chunk)
        self._cut_after_error()
        return self._taken(object_of(chunk))

    def end(self, *, finish_required: bool = True) -> list[ModelEvent]:
        """Return what is left when no more objects come; the last one is `Finish`.

        Without the provider's word that the answer is complete this is the error `truncated`,
        unless `finish_required` is False: some servers never say it. But half a call was cut.
        """
        if self._ended:
            return []
        if not self.done and (finish_required or self._is_within_call()):
            return self.fail(TRUNCATED)
        if self.error is not None:
            return self.fail(self.error)
        self._close_parts()
        self._tell_rest()
        self._tell_usage()
        return self._last(Finish(self._reason(), self._native or ""))

    def fail(self, error: Error) -> list[ModelEvent]:
        """Return what is left when the answer cannot go on, and why; `end` is not needed then.

        A call that is not complete does not come: half a call must not be run.
        """
        if self._ended:
            return []
        self._tell_error(error)
        return self._last(Finish("error"))

    # For the subclass.

    @abstractmethod
    def _map(self, chunk: dict[str, Any]) -> None:
        """Tell what the next object says."""

    def _identity(self, chunk: dict[str, Any]) -> tuple[str, str]:
        """Return the id and the model that the first object names."""
        return text_of(chunk.get("id")), text_of(chunk.get("model"))

    @abstractmethod
    def _usage_of(self, told: dict[str, Any]) -> Usage:
        """Return what the provider's last word on usage means; nothing, if there was none."""

    def _say(
        self, text: str, tone: Tone = "text", key: Hashable = None, signature: str = ""
    ) -> None:
        """Tell a piece of text. Without a key, a part lasts until something else is said."""
        part = self._parts.get(key or tone)
        if part is None:
            if key is None:
                self._close_parts()
            part = self._parts[key or tone] = str(self._part_count)
            self._part_count += 1
        self._out.append(Text(text, tone, part, signature))

    def _close_part(self, key: Hashable) -> None:
        if (part := self._parts.pop(key, None)) is not None:
            self._out.append(PartEnd(part))

    def _close_parts(self) -> None:
        for key in list(self._parts):
            self._close_part(key)

    def _open_call(self, key: Hashable, id: str, name: str, blank: str = "{}") -> Call:
        call = self._calls[key] = Call(id or self._new_call_id(), name, blank)
        return call

    def _new_call_id(self) -> str:
        self._call_count += 1
        return f"call-{self._call_count}"

    def _write_call(self, call: Call, arguments: str) -> None:
        self._arguments_size += len(arguments)
        if self._arguments_size > self.max_arguments:
            self._tell_error(TOO_LARGE)
            return
        call.pieces.append(arguments)
        self._out.append(ToolCallDelta(call.id, call.name, arguments))

    def _finish_call(self, key: Hashable) -> None:
        call = self._calls.pop(key)
        self._called = True
        self._out.append(ToolCall(call.id, call.name, call.arguments))

    def _tell_rest(self) -> None:
        """Tell what only the end shows: the calls that are whole."""
        cut = self._native is None or self._reason() in ("length", "content-filter", "cancelled")
        for key, call in list(self._calls.items()):
            if not cut or is_json("".join(call.pieces)):
                self._finish_call(key)

    def _cite(self, *citations: Citation) -> None:
        """Tell the citations that were not told yet; one without an id gets a number."""
        new: list[Citation] = []
        for citation in citations:
            if citation not in self._cited:
                self._cited.add(citation)
                new.append(citation if citation.id else replace(citation, id=str(len(self._cited))))
        if new:
            self._out.append(Sources(tuple(new)))

    def _note_usage(self, told: object) -> None:
        self._usage = object_of(told) or self._usage

    def _tell_data(self, name: str, value: object) -> None:
        self._out.append(Data(name, value))

    def _tell_error(self, error: Error) -> None:
        if self.error is None:
            self._close_parts()
            self._tell_usage()
            self.error = error
            self._out.append(error)

    # For itself.

    def _cut_after_error(self) -> None:
        """Leave out what the same object has beside its error: nothing is said after one."""
        if self.error is not None:
            del self._out[self._out.index(self.error) + 1 :]

    def _taken(self, chunk: dict[str, Any]) -> list[ModelEvent]:
        out, self._out = self._out, []
        if not self._started:
            id, model = self._identity(chunk)
            # Azure's first chunk is about the prompt, and does not know the answer's id yet.
            if out or id or model:
                self._started = True
                out.insert(0, Start(id, model or self._model, self._provider))
        return out

    def _is_within_call(self) -> bool:
        return not all(is_json("".join(call.pieces)) for call in self._calls.values())

    def _tell_usage(self) -> None:
        usage = self._usage_of(self._usage)
        if usage != Usage():
            self._out.append(usage)

    def _last(self, finish: Finish) -> list[ModelEvent]:
        self._ended = True
        self._out.append(finish)
        return self._taken({})

    def _reason(self) -> FinishReason:
        reason = "stop" if self._native is None else self.reasons.get(self._native)
        # Google and many small servers say STOP when the model waits for a tool, and a word that we
        # do not know may mean that too. One that is known to mean something else stands.
        if self._called and reason in ("stop", None):
            return "tool-calls"
        return reason or "other"
