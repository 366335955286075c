"""`accumulate`: the events of an answer, folded into the whole of it."""

from __future__ import annotations

__all__ = ("Answer", "accumulate")

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from ._events import (
    Citation,
    Data,
    Error,
    Finish,
    ModelEvent,
    Sources,
    Start,
    Text,
    ToolCall,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """All of an answer, as `accumulate` folds it. `finish` is None when its events were cut.

    `parts` has each text part whole, with its tone and signature, and the calls, in their order:
    what a provider wants to see of its answer in the next question.
    """

    start: Start
    text: str
    reasoning: str
    refusal: str
    parts: tuple[Text | ToolCall, ...]
    tool_calls: tuple[ToolCall, ...]
    sources: tuple[Citation, ...]
    usage: Usage
    data: tuple[Data, ...]
    error: Error | None
    finish: Finish | None


def accumulate(events: Iterable[ModelEvent]) -> Answer:
    """Fold the events of one answer into the whole of it.

    Example:
        async def ask(question):
            return accumulate([event async for event in stream_gpt(question)])
    """
    parts: dict[object, list[Text] | ToolCall] = {}
    sources: list[Citation] = []
    data: list[Data] = []
    last: dict[type[ModelEvent], Any] = {}  # of what comes once
    for event in events:
        if isinstance(event, Text):
            cast("list[Text]", parts.setdefault((event.part, event.tone), [])).append(event)
        elif isinstance(event, ToolCall):
            parts[len(parts)] = event
        elif isinstance(event, Sources):
            sources += event.items
        elif isinstance(event, Data):
            data.append(event)
        else:
            last[type(event)] = event
    whole = tuple(_joined(part) if isinstance(part, list) else part for part in parts.values())
    texts = [part for part in whole if isinstance(part, Text)]
    return Answer(
        start=last.get(Start, Start()),
        text="".join(part.text for part in texts if part.tone == "text"),
        reasoning="".join(part.text for part in texts if part.tone == "reasoning"),
        refusal="".join(part.text for part in texts if part.tone == "refusal"),
        parts=whole,
        tool_calls=tuple(part for part in whole if isinstance(part, ToolCall)),
        sources=tuple(sources),
        usage=last.get(Usage, Usage()),
        data=tuple(data),
        error=last.get(Error),
        finish=last.get(Finish),
    )


def _joined(pieces: list[Text]) -> Text:
    text = "".join([piece.text for piece in pieces])
    signatures = [piece.signature for piece in pieces if piece.signature]
    return replace(pieces[0], text=text, signature=signatures[-1] if signatures else "")
