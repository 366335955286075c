"""The table of what is compared: ours and the peers, in the order in which they run."""

from __future__ import annotations

__all__ = ("VARIANTS", "EventsVariant")

from dataclasses import dataclass

from benchmarks.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsVariant(Variant):
    """One server, and how many events make a sample of 0.3 to 1 s."""

    events: int


_ALL = (
    EventsVariant("fastapi-sse", "peers.fastapi_sse:app", events=12_000),
    EventsVariant("sse-starlette", "peers.sse_starlette:app", events=40_000),
    EventsVariant("starlette-by-hand", "peers.starlette_by_hand:app", events=80_000),
    EventsVariant("asgi-one-send-per-event", "peers.asgi_one_send:app", events=150_000),
    EventsVariant("asgi-by-hand-coalescing", "peers.asgi_coalescing:app", events=1_000_000),
    EventsVariant("streamkit", "streamkit_apps:starlette_app", events=800_000),
    EventsVariant(
        "streamkit-stdlib-json", "streamkit_apps:starlette_app", events=250_000, json="stdlib"
    ),
    EventsVariant("aiohttp-sse", "peers.aiohttp_sse:app", events=30_000, server="aiohttp"),
    EventsVariant(
        "streamkit-aiohttp", "streamkit_apps:aiohttp_app", events=500_000, server="aiohttp"
    ),
)

VARIANTS = {variant.name: variant for variant in _ALL}
