"""Whose client a caller passed, told without importing any of them."""

from __future__ import annotations

__all__ = ("check_free", "is_http_client", "is_of")


def is_of(client: object, package: str, name: str = "") -> bool:
    """Tell whether it is an object of the package, or of a subclass; of that class, if named."""
    return any(
        f"{kind.__module__}.".startswith(f"{package}.") and name in ("", kind.__name__)
        for kind in type(client).__mro__
    )


def is_http_client(client: object) -> bool:
    """Tell whether it is an asynchronous client like that of httpx2 or httpx."""
    return hasattr(client, "stream") and hasattr(client, "aclose")


def check_free(**given: object) -> None:
    """Refuse options that a client already has of its own, and that would be ignored."""
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} is the affair of the client that you passed; set it there")
