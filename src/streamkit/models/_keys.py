"""API keys: from the caller, from the environment, or in a client of the caller's."""

from __future__ import annotations

__all__ = ("key_of", "keys_in")

import os

from ._errors import MissingKey


def key_of(api_key: str | None, variable: str) -> str:
    """Return the key, or the one in the environment; "" was passed for a server that wants none."""
    key = (os.environ.get(variable, "") if api_key is None else api_key).strip()
    # Whoever refuses a header shows what was in it.
    if (not key and api_key is None) or not (key.isascii() and key.isprintable()):
        raise MissingKey(variable)
    return key


def keys_in(client: object) -> list[str]:
    """Return the keys that a client of HTTP sends with each request of its own accord."""
    headers = getattr(client, "headers", None) or {}
    return [str(headers.get(name, "")).removeprefix("Bearer ") for name in _KEY_HEADERS]


_KEY_HEADERS = ("authorization", "api-key", "x-goog-api-key")
