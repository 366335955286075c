"""`Format` and its `Encoder`: how items become the bytes of one media type."""

from __future__ import annotations

__all__ = ("Encoder", "Format")

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .stored import StoredEvent, stored_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .event import Event

T_contra = TypeVar("T_contra", contravariant=True)


class Encoder(Generic[T_contra]):
    """Turn the items of one response into bytes. Subclass it, write `one`, and keep the rest.

    An empty result sends nothing. A raised exception is the stream's error.

    Example:
        class Shout(Encoder[str]):
            def one(self, item: str) -> bytes:
                return item.upper().encode()
    """

    keep_alive: bytes = b""
    """Sent when the stream has been silent for a while; empty for formats without comments."""

    def begin(self) -> bytes:
        """Return what is sent before the first item."""
        return b""

    def one(self, item: T_contra, /) -> bytes:
        """Return one item as bytes."""
        raise NotImplementedError

    def batch(self, items: Sequence[T_contra], /) -> Iterable[bytes]:
        """Return each item as bytes, lazily: items before a refused one are still delivered."""
        # Not `map`, which would end early if `one` raised StopIteration.
        return (self.one(item) for item in items)

    def end(self, count: int) -> bytes:  # noqa: ARG002 - for formats that report the count
        """Return the bytes that say that the stream is complete, after `count` items."""
        return b""

    def error(self, code: str, message: str) -> bytes | None:  # noqa: ARG002 - some formats use them
        """Return the bytes that say that the stream failed; None to cut the connection instead."""
        return None

    # The methods below are for streams that are followed.

    def kept(self, line: bytes, id: str) -> bytes:
        """Return a kept event as bytes, given its line in the store and its id."""
        return self.one(cast("T_contra", stored_event(line, id)))

    def notice(self, event: Event) -> bytes | None:  # noqa: ARG002 - some formats use it
        """Return a gap or a reset as bytes; None to cut the connection instead."""
        return None

    def last(self, event: StoredEvent) -> bytes | None:
        """Return how the stream ended, as bytes; None to cut the connection instead."""
        facts = cast("dict[str, Any]", event.data)
        if event.type == "end":
            return self.end(facts["count"])
        if event.type == "error":
            return self.error(facts["code"], facts["message"])
        return None

    def come_back(self, retry: int) -> bytes:  # noqa: ARG002 - some formats use it
        """Return the bytes that ask a client to wait `retry` milliseconds before it reconnects."""
        return b""


@dataclass(frozen=True, slots=True)
class Format(Generic[T_contra]):
    """Name a media type, and create an encoder for each response.

    Example:
        as_shout = Format("as_shout", "text/plain; charset=utf-8", Shout)
    """

    name: str
    media_type: str
    encoder: Callable[[], Encoder[T_contra]]
    shared: bool = False
    """Whether the encoder writes a kept event the same way whatever came before it. If so, each
    event is encoded once for all followers. Create such a format once, not for each request."""

    def __repr__(self) -> str:
        """Return the name that the format is imported by."""
        return self.name
