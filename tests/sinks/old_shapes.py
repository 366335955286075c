"""What a client of a format gets, in a request and from a stream that is followed."""

from __future__ import annotations

from typing import Any

from anyio import create_task_group

from streamkit import Following, Format
from streamkit._feeding.handover import Handover
from streamkit.errors._base import public_words

from .._streams.fakes import answered, rest


async def requested(source: Any, format: Format[Any]) -> bytes:
    """Return the body of a response to a request."""
    hand, encoder = Handover(), format.encoder()
    sent = encoder.begin()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, encoder)
        try:
            while batch := await hand.take():
                sent += batch
        except Exception as error:
            return sent + (encoder.error(*public_words(error)) or b"")
    return sent + encoder.end(hand.count)


async def followed(following: Following, format: Format[Any]) -> bytes:
    """Return the body of a response that follows a stream to its end."""
    follower = await answered(following, format)
    sent = follower.encoder.begin() + await rest(follower)
    assert follower.last is not None
    last = follower.encoder.last(follower.last)
    assert last is not None
    return sent + last


def without_ids(data: bytes) -> bytes:
    """Return the event and data lines; ids, `retry` and comments may stand beside them."""
    lines = data.split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith((b"id:", b"retry:", b":")))
