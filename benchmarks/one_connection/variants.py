"""The table of what is compared: ours and the peers, in the order in which they run."""

from __future__ import annotations

__all__ = ("VARIANTS", "Variant")

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Variant:
    """One server: its app, what serves it, and how many events make a sample of 0.3 to 1 s."""

    name: str
    app: str  # "module:attribute", below this package
    events: int
    server: Literal["uvicorn", "aiohttp"] = "uvicorn"
    json: Literal["any", "stdlib"] = "any"  # "stdlib" hides orjson from the process


_ALL = (
    Variant("fastapi-sse", "peers.fastapi_sse:app", 12_000),
    Variant("sse-starlette", "peers.sse_starlette:app", 40_000),
    Variant("starlette-by-hand", "peers.starlette_by_hand:app", 80_000),
    Variant("asgi-one-send-per-event", "peers.asgi_one_send:app", 150_000),
    Variant("asgi-by-hand-coalescing", "peers.asgi_coalescing:app", 1_000_000),
    Variant("streamkit", "streamkit_apps:starlette_app", 800_000),
    Variant("streamkit-stdlib-json", "streamkit_apps:starlette_app", 250_000, json="stdlib"),
    Variant("aiohttp-sse", "peers.aiohttp_sse:app", 30_000, server="aiohttp"),
    Variant("streamkit-aiohttp", "streamkit_apps:aiohttp_app", 500_000, server="aiohttp"),
)

VARIANTS = {variant.name: variant for variant in _ALL}
