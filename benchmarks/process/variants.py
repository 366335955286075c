"""The table of what is compared: the peers, then ours, in the order in which they run."""

from __future__ import annotations

__all__ = ("PIPE", "VARIANTS", "Framing", "LinesVariant")

from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.one_connection.variants import EventsVariant

Framing: TypeAlias = Literal["text", "sse", "tagged"]

# `cat file | wc -l`, without a server: what the machine can do.
PIPE = "cat-wc"
PIPE_LINES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesVariant(EventsVariant):
    """One server; an event is a line, and `framing` is what the client has to undo."""

    framing: Framing = "text"


_ALL = (
    LinesVariant("popen-generator", "peers.popen_generator:app", events=8_000),
    LinesVariant("asyncio-readline", "peers.asyncio_readline:app", events=40_000),
    LinesVariant("streamkit-text", "streamkit_app:app", events=2_000_000),
    LinesVariant("streamkit-sse", "streamkit_app:app", events=2_000_000, framing="sse"),
    LinesVariant("streamkit-sse-tagged", "streamkit_app:app", events=200_000, framing="tagged"),
)

VARIANTS = {variant.name: variant for variant in _ALL}
