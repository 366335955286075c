"""Whose client a caller passed, told without importing any of them."""

from __future__ import annotations

__all__ = ("check_free", "is_http_client", "is_of", "key_of", "keys_in")

import os

from ..models._errors import MissingKey


def is_of(client: object, package: str, name: str = "") -> bool:
    """Tell whether it is an object of the package, or of a subclass; of that class, if named."""
    return any(
        f"{kind.__module__}.".startswith(f"{package}.") and name in ("", kind.__name__)
        for kind in type(client).__mro__
    )


def is_http_client(client: object) -> bool:
    """Tell whether it is an asynchronous client like that of httpx2 or httpx."""
    return hasattr(client, "stream") and hasattr(client, "aclose")


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


def check_free(**given: object) -> None:
    """Refuse options that a client already has of its own, and that would be ignored."""
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} is the affair of the client that you passed; set it there")
