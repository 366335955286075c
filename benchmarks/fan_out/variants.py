"""The tables of what is compared, and of what is asked of it."""

from __future__ import annotations

__all__ = ("BUSY", "CELLS", "CROWD", "FULL_100", "FULL_1000", "IDLE", "PEERS", "VARIANTS", "Cell")

from dataclasses import dataclass

from benchmarks.variants import Variant

PEERS = ("buffered-logger", "queue-sse-starlette", "broadcaster")

_ALL = (
    Variant("buffered-logger", "peers.buffered_logger:app"),
    Variant("queue-sse-starlette", "peers.queue_sse_starlette:app"),
    Variant("broadcaster", "peers.broadcaster:app"),
    Variant("streamkit", "streamkit_apps:in_memory"),
    Variant("streamkit-sqlite", "streamkit_apps:in_sqlite"),
    # Without Starlette's layers around the response: only held idle.
    Variant("queue-sse-starlette-bare", "peers.queue_sse_starlette:bare_app"),
    Variant("streamkit-bare", "streamkit_apps:in_memory_bare"),
)

VARIANTS = {variant.name: variant for variant in _ALL}


@dataclass(frozen=True, slots=True)
class Cell:
    """So many followers, so many events a second (0: at full speed), so many events from each."""

    name: str
    followers: int
    rate: int
    events: dict[str, int]
    seconds: int = 5  # after which the client counts what has come


# At full speed a sample takes about 1 s with ours, 2 to 5 s with the peers.
FULL_100 = Cell(
    "full speed, 100 followers",
    followers=100,
    rate=0,
    events={
        "buffered-logger": 320,
        "queue-sse-starlette": 1_600,
        "broadcaster": 1_600,
        "streamkit": 60_000,
        "streamkit-sqlite": 90_000,
    },
)
FULL_1000 = Cell(
    "full speed, 1,000 followers",
    followers=1000,
    rate=0,
    events={
        "buffered-logger": 64,
        "queue-sse-starlette": 192,
        "broadcaster": 192,
        "streamkit": 4_000,
        "streamkit-sqlite": 20_000,
    },
)
BUSY = Cell(
    "1,000 events/s to 100 followers",
    followers=100,
    rate=1000,
    events=dict.fromkeys((*PEERS, "streamkit", "streamkit-sqlite"), 3_000),
)
# Of the peers the first is enough: none of them delivers a fifth of it.
CROWD = Cell(
    "400 events/s to 1,000 followers",
    followers=1000,
    rate=400,
    events=dict.fromkeys(("queue-sse-starlette", "streamkit", "streamkit-sqlite"), 1_200),
)
CELLS = (FULL_100, FULL_1000, BUSY, CROWD)

# Who is held idle. All send a keep-alive every 15 s.
IDLE = ("queue-sse-starlette", "streamkit", "queue-sse-starlette-bare", "streamkit-bare")
