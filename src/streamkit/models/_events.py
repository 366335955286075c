"""The events of a model's answer, each of which becomes an `Event` and back without loss.

`models` has them for users, and says how they follow each other.
"""

# Annotations are evaluated here: `_FIELDS` reads them, as frameworks do to make schemas.

__all__ = (
    "Citation",
    "Data",
    "Error",
    "Finish",
    "FinishReason",
    "ModelEvent",
    "PartEnd",
    "Sources",
    "Start",
    "Text",
    "Tone",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "from_event",
)

from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_origin

from .._items.event import Event, Typed
from .._items.json import from_json, to_utf8
from ..errors import InvalidEvent

Tone: TypeAlias = Literal["text", "reasoning", "refusal"]
"""How a text is meant: the answer itself, what the model thought before it, or why it refuses."""

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool-calls", "content-filter", "error", "cancelled", "other"
]
"""Why an answer ended. What the provider called it is `Finish.native`."""


class ModelEvent(Typed):
    """One thing that a model said or did. `str(event)` is its text; empty for what is not text."""

    __slots__ = ()

    kind: ClassVar[str] = "model"

    def __str__(self) -> str:
        """Return the text of the event, so that `print(event, end="")` prints the answer."""
        return self.to_text()

    def to_text(self) -> str:
        """Return nothing: structure is not text."""
        return ""

    def to_event(self) -> Event:
        """Return a named event with all of it."""
        kind = type(self)
        return Event(_NAMES[kind], {name: getattr(self, name) for name in _FIELDS[kind]})


@dataclass(frozen=True, slots=True)
class Start(ModelEvent):
    """The answer begins: always first. What the provider does not tell is empty."""

    id: str = ""
    model: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Text(ModelEvent):
    """The next piece of a text; pieces of the same `part` belong together.

    `signature` proves a thought to the provider, which wants it back with the next question. A
    piece may have only that, and no text.
    """

    text: str
    tone: Tone = "text"
    part: str = "0"
    signature: str = ""

    def to_text(self) -> str:
        """Return the text; a thought is none of the answer."""
        return "" if self.tone == "reasoning" else self.text

    def to_event(self) -> Event:
        """Return an unnamed event, as `EventSource.onmessage` sees it; of a thought a named one.

        Only what differs from the default stands beside the text: most events are these.
        """
        data = {"text": self.text}
        if self.tone == "refusal":
            data["tone"] = "refusal"
        if self.part != "0":
            data["part"] = self.part
        if self.signature:
            data["signature"] = self.signature
        return Event("reasoning" if self.tone == "reasoning" else "message", data)


@dataclass(frozen=True, slots=True)
class PartEnd(ModelEvent):
    """No more text of this part comes."""

    part: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta(ModelEvent):
    """The next piece of the arguments that a model writes for a call, for pages that show it.

    The name is there from the first piece on, which may have no arguments yet.
    """

    call: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCall(ModelEvent):
    """The model wants a tool called. It comes once per call, and never for one that was cut.

    `arguments` is JSON as the model wrote it. A model may write broken JSON, and it is passed on as
    it is: be ready for that where you read it. (The input of OpenAI's custom tools is plain text.)
    `signature` as in `Text`.
    """

    call: str
    name: str
    arguments: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where something in the answer comes from.

    `id` names the source; two citations of one file share it. `start` and `end` are places in the
    text, counted as the provider counts.
    """

    id: str
    title: str = ""
    url: str = ""
    content: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Sources(ModelEvent):
    """Citations that were not told before."""

    items: tuple[Citation, ...]

    def to_event(self) -> Event:
        """Return `event: sources` with a list of them."""
        items = [{name: getattr(item, name) for name in _CITATION} for item in self.items]
        return Event("sources", {"items": items})


@dataclass(frozen=True, slots=True)
class Usage(ModelEvent):
    """What the answer cost in tokens: once, near its end, if the provider tells at all.

    `cached` is a part of `input`, `reasoning` a part of `output`.
    """

    input: int = 0
    output: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Data(ModelEvent):
    """Whatever else the provider sends: its name for it, and the JSON as it came."""

    name: str
    value: object


@dataclass(frozen=True, slots=True)
class Error(ModelEvent):
    """The answer failed. `code` is ours in kebab-case, such as `truncated`, or the provider's.

    `message` is a sentence that everybody may see. `detail` is what the provider said: it names
    limits, models, organisations, so it is for the log, and neither sent nor stored.
    """

    code: str
    message: str
    status: int | None = None
    retryable: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finish(ModelEvent):
    """The answer ended: always last, and exactly once."""

    reason: FinishReason
    native: str = ""


def from_event(event: Event) -> ModelEvent:
    """Return what became this event: the inverse of `to_event`.

    It takes the events of a stream that is followed, and of `SSEDecoder`, whose data is JSON text.
    Other events, a log record say, raise `InvalidEvent`.
    """
    kind, data = _TYPES.get(event.type), event.data
    if isinstance(data, str):
        data = _parsed(data)
    if kind is None or not isinstance(data, dict):
        raise _foreign(event)
    if event.type == "reasoning":
        data = {**data, "tone": "reasoning"}
    elif kind is Sources and isinstance(data.get("items"), list):
        data = {"items": tuple(_made(Citation, item, event) for item in data["items"])}
    return _made(kind, data, event)


T = TypeVar("T")


def _made(kind: type[T], data: object, event: Event) -> T:
    """Make one of JSON. A field that we do not know is of a newer release, and left out."""
    if not isinstance(data, dict):
        raise _foreign(event)
    known = {name: data[name] for name in _FIELDS[kind] if name in data}
    for name, value in known.items():
        if not isinstance(value, _FIELDS[kind][name]):
            raise _foreign(event)
    try:
        return kind(**known)
    except TypeError:  # a field is missing
        raise _foreign(event) from None


def _parsed(data: str) -> object:
    try:
        return from_json(to_utf8(data))
    except (ValueError, RecursionError):
        return None


def _foreign(event: Event) -> InvalidEvent:
    return InvalidEvent("type", event.type, "and data must be of a model's event")


_TYPES: dict[str, type[ModelEvent]] = {
    "start": Start,
    "message": Text,
    "reasoning": Text,
    "part-end": PartEnd,
    "tool-call-delta": ToolCallDelta,
    "tool-call": ToolCall,
    "sources": Sources,
    "usage": Usage,
    "data": Data,
    "model-error": Error,  # `error` is reserved for the end of a stream
    "finish": Finish,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}


def _kind_of(annotation: Any) -> type | UnionType:
    """Return what a field's value must be an instance of."""
    if isinstance(annotation, UnionType):
        return annotation
    if get_origin(annotation) is Literal:
        return str
    kind: type = get_origin(annotation) or annotation
    return kind


_FIELDS: dict[type, dict[str, type | UnionType]] = {
    kind: {field.name: _kind_of(field.type) for field in fields(kind)}
    for kind in (*_NAMES, Citation)
}
del _FIELDS[Error]["detail"]
_CITATION = tuple(_FIELDS[Citation])
