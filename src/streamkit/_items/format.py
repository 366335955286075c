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
    """Turn the items of one response into bytes. Subclass it, write `one`, keep what fits.

    An empty result sends nothing. A raised exception is the stream's error.

    Example:
        class Shout(Encoder[str]):
            def one(self, item: str) -> bytes:
                return item.upper().encode()
    """

    keep_alive: bytes = b""
    """Sent when the stream was silent for a while; empty for formats without comments."""

    def begin(self) -> bytes:
        """Return what stands before the first item."""
        return b""

    def one(self, item: T_contra, /) -> bytes:
        """Return one item as bytes."""
        raise NotImplementedError

    def batch(self, items: Sequence[T_contra], /) -> Iterable[bytes]:
        """Return each item as bytes, lazily: those before a refused one are still delivered."""
        # Not `map`, which would take a StopIteration out of `one` for its own end.
        return (self.one(item) for item in items)

    def end(self, count: int) -> bytes:  # noqa: ARG002 - for formats that tell how many
        """Return what says that the stream is complete, after `count` items."""
        return b""

    def error(self, code: str, message: str) -> bytes | None:  # noqa: ARG002 - for formats that tell
        """Return what says that the stream failed; None when only a cut connection can."""
        return None

    # For a stream that is followed.

    def kept(self, line: bytes, id: str) -> bytes:
        """Return a kept event: the line that the store has of it, and its id."""
        return self.one(cast("T_contra", stored_event(line, id)))

    def notice(self, event: Event) -> bytes | None:  # noqa: ARG002 - for formats that tell
        """Return a gap, or a reset; None when only a cut connection can tell."""
        return None

    def last(self, event: StoredEvent) -> bytes | None:
        """Return how the stream ended; None when only a cut connection can tell."""
        facts = cast("dict[str, Any]", event.data)
        if event.type == "end":
            return self.end(facts["count"])
        if event.type == "error":
            return self.error(facts["code"], facts["message"])
        return None

    def come_back(self, retry: int) -> bytes:  # noqa: ARG002 - for formats that tell
        """Return the wish that a client that loses the connection waits `retry` milliseconds."""
        return b""


@dataclass(frozen=True, slots=True)
class Format(Generic[T_contra]):
    """Name a media type and make an encoder for each response of it.

    Example:
        as_shout = Format("as_shout", "text/plain; charset=utf-8", Shout)
    """

    name: str
    media_type: str
    encoder: Callable[[], Encoder[T_contra]]
    shared: bool = False
    """Whether its encoder makes the same of a kept event whatever came before, so that an event is
    encoded once for all who follow. Make such a format once, not for each request."""

    def __repr__(self) -> str:
        """Return the name under which it is imported."""
        return self.name
