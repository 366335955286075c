"""`answer`: respond to a request for a stream, the same way for every framework.

An adapter supplies a `Client`, what was `Asked`, and a response without a body.
"""

from __future__ import annotations

__all__ = ("answer",)

from typing import TYPE_CHECKING, TypeVar, cast

from .._feeding.closing import close
from .._feeding.source import Followed, Source
from .._items.format import Format
from .client import Asked, Client, Left, Timing
from .head import GONE_STATUS, seen_the_end
from .write_source import write_source

if TYPE_CHECKING:
    from .._following.following import Following

T = TypeVar("T")


async def answer(
    client: Client, source: Source[T], format: Format[T], timing: Timing, asked: Asked
) -> int | None:
    """Write the response, or return the status of an empty response to send instead.

    Returns None if the response was written, as far as the client stayed connected. On every way
    out the source is closed.
    """
    if isinstance(source, Followed):
        return await _answer_following(client, cast("Following", source), format, timing, asked)
    if asked.head or seen_the_end(format, asked.last_event_id):
        await close(source)
        return asked.status if asked.head else 204
    try:
        await write_source(client, source, format, timing)
    except Left:
        return _unless_started(client)
    return None


async def _answer_following(
    client: Client, following: Following, format: Format[T], timing: Timing, asked: Asked
) -> int | None:
    # A response within one request needs neither of these.
    from .place import place_of  # noqa: PLC0415
    from .write_following import write_following  # noqa: PLC0415

    if asked.head:
        return 204 if await place_of(following, format, asked) is None else asked.status
    try:
        return None if await write_following(client, following, format, timing, asked) else 204
    except Left:
        return _unless_started(client)


def _unless_started(client: Client) -> int | None:
    """Return a status for a client that left: nobody reads it, but middleware expects one."""
    return None if client.started else GONE_STATUS
