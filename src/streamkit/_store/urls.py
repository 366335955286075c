"""Find the store that a URL names. A store is imported only when its URL is used."""

from __future__ import annotations

__all__ = ("store_of",)

import importlib
from typing import cast
from urllib.parse import unquote, urlsplit

from ..errors import InvalidStoreURL, UnknownStore
from .contract import Store

STORES = {
    "memory": "streamkit.sinks.memory:MemoryStore",
    "sqlite": "streamkit.sinks.sqlite:SQLiteStore",
}


def store_of(url: str) -> Store:
    """Create the store that a URL names, without opening anything."""
    parts = urlsplit(url)
    if parts.scheme not in STORES:
        raise UnknownStore(parts.scheme, tuple(STORES))
    path = unquote(parts.path.removeprefix("/"))
    wanted = parts.scheme == "sqlite"
    if parts.netloc or parts.query or parts.fragment or bool(path) is not wanted:
        raise InvalidStoreURL
    module, _, name = STORES[parts.scheme].partition(":")
    make = getattr(importlib.import_module(module), name)
    return cast("Store", make(path) if wanted else make())
