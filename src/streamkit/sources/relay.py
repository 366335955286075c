"""`relayed`: the answer of another chat service, as events of a model.

Its items are `{"event", "data"}`, as an event stream has them or as JSON of their own. What is
known becomes text and sources; the rest is passed on as it is.
"""

from __future__ import annotations

__all__ = ("relayed",)

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from .._feeding.source import Source, open_source
from .._feeding.step import step
from .._items.event import RESERVED_TYPES, Event
from .._items.json import from_json, to_json
from ..errors import UpstreamFailed
from ..models import Citation, ModelEvent, Sources, Text

logger = logging.getLogger("streamkit")

# Enough of what is not known to find it; the rest may be long, and is somebody's conversation.
LOGGED = 100


@step
async def relayed(
    items: Source[Event | ModelEvent | str | Mapping[str, Any]],
) -> AsyncGenerator[ModelEvent | dict[str, Any], None]:
    """Read the items of another chat service: a step over `stream_sse`, or over what it yields.

    - `{"type": "content", "content": …}` is `Text`, `{"type": "sources", "sources": […]}` is
      `Sources`; of each source `id`, `title`, `content` and `url` are kept.
    - `{"type": "end"}`, or an event of this name, is the end; an `error` raises `UpstreamFailed`.
    - A `start` is left out: a reader knows that it has begun. Events of a model stay as they are.
    - Another item with an event and data is passed on as `{"event", "data"}`.
    - Anything else, broken JSON too, is passed on as `{"event": "message", "data": …}`, raw. The
      first of them is logged.

    Example:
        StreamResponse(relayed(stream_sse(url, json={"question": "Who?"})), as_relay)
    """
    logged = False
    async with open_source(items) as opened:
        async for item in opened:
            if isinstance(item, ModelEvent):
                yield item
                continue
            event, data, known = _event_of(item)
            value = _value_of(data)
            match event, value:
                case ("end", _) | ("message", {"type": "end"}):
                    return
                case "start", _:
                    pass  # that it has begun; `as_relay` says so itself
                case "error", _:
                    raise UpstreamFailed(_raw(data))
                case "message", {"type": "content", "content": str(text)}:
                    yield Text(text)
                case (("message" | "sources"), {"type": "sources", "sources": [*sources]}):
                    yield Sources(tuple(map(_citation, sources)))
                case _ if known:
                    yield {"event": event, "data": data}
                case _:
                    if not logged:
                        logged = True
                        logger.warning("an upstream's item is not known: %.*r", LOGGED, _raw(data))
                    yield {"event": "message", "data": _raw(data)}


def _event_of(item: object) -> tuple[str, Any, bool]:
    """Return the event and its data, and whether it may be passed on as such."""
    if isinstance(item, Event):
        if item.type != "message":
            return item.type, item.data, item.type not in RESERVED_TYPES
        item = item.data
    match _value_of(item):
        case {"event": str(event), "data": data, **rest} if not rest and _may_be_named(event):
            return event, data, True
    return "message", item, False


def _may_be_named(event: str) -> bool:
    ours = event in RESERVED_TYPES and event not in ("end", "error")
    return event != "" and event.isprintable() and not ours


def _value_of(data: object) -> object:
    if not isinstance(data, str):
        return data
    try:
        return from_json(data.encode())
    except (ValueError, RecursionError):  # UnicodeEncodeError is one, too
        return None


def _raw(data: object) -> str:
    return data if isinstance(data, str) else to_json(data).decode()


def _citation(source: object) -> Citation:
    if not isinstance(source, Mapping):
        return Citation(id=_raw(source))
    id, title, url, content = (
        "" if source.get(name) is None else _raw(source[name])
        for name in ("id", "title", "url", "content")
    )
    return Citation(id, title, url, content)
