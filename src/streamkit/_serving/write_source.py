"""`write_source`: the one loop behind every adapter."""

from __future__ import annotations

__all__ = ("GONE", "Client", "Left", "Stuck", "Timing", "write_source")

import logging
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeVar

from anyio import (
    BrokenResourceError,
    CancelScope,
    ClosedResourceError,
    create_task_group,
    current_time,
    move_on_after,
    sleep_forever,
)

from .._feeding.handover import Handover
from .._feeding.source import Source, close
from .._items.format import Encoder, Format
from ..errors._base import ServerStopping, public_words

T = TypeVar("T")

logger = logging.getLogger("streamkit")

# What a server, or a middleware in between, raises when nobody is there to write to.
GONE = (OSError, BrokenResourceError, ClosedResourceError)


class Client(Protocol):
    """One HTTP exchange, as an adapter binds it to its framework. An `OSError` means: gone."""

    @property
    def started(self) -> bool:
        """Whether the status may have been sent, so that another one is out of the question."""
        ...

    async def start(self) -> None:
        """Send the status and the headers."""

    async def write(self, data: bytes) -> None:
        """Send a part of the body, and wait while the client does not read."""

    async def finish(self) -> None:
        """Say that the body is complete."""

    async def cut(self, error: Exception) -> None:
        """End the connection in a way that nobody takes the body for complete."""

    async def gone(self) -> None:
        """Return when the client has left; it is cancelled otherwise."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a response waits, in seconds: for its first batch, when idle, for the client."""

    first_wait: float = 2.0
    keep_alive: float | None = 15.0
    send_timeout: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what would spin or never send."""
        # Written so that NaN, which compares with nothing, is refused too.
        if not self.first_wait >= 0:
            raise ValueError(f"first_wait is a time of 0 s or more, not {self.first_wait}")
        if self.keep_alive is not None and not self.keep_alive > 0:
            raise ValueError(f"keep_alive is a time above 0 s, or None, not {self.keep_alive}")
        if not self.send_timeout > 0:
            raise ValueError(f"send_timeout is a time above 0 s, not {self.send_timeout}")


class Left(Exception):
    """The client went before the end."""


class Stuck(Left):
    """The client took nothing for too long and was given up."""


async def write_source(
    client: Client, source: Source[T], format: Format[T], timing: Timing
) -> None:
    """Send the source to the client, and close the source on every way out.

    The first batch is awaited before the headers are sent: a source that fails until then raises
    here, and nothing was sent. A failure after that is written as the format's error; when the
    format has none, the connection is cut, and it is raised here. Raises `Left` when the client
    went, or was given up. When this returns or raises, the source was closed.
    """
    try:
        encoder = format.encoder()
    except BaseException:
        await close(source)
        raise
    writing = _Writing(client, encoder, timing)
    failure: Exception | None = None
    async with create_task_group() as tasks:
        writing.scope = tasks.cancel_scope
        tasks.start_soon(writing.watch)
        tasks.start_soon(writing.hand.feed, source, encoder)
        try:
            await writing.write_all()
            writing.complete = True
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            failure = error
        finally:
            writing.hand.leave()
        tasks.cancel_scope.cancel()
    if writing.complete:
        with move_on_after(timing.send_timeout), suppress(*GONE):
            await client.finish()
    elif failure is not None and not isinstance(failure, Left):
        if client.started:
            with move_on_after(timing.send_timeout):
                await client.cut(failure)
        raise failure
    elif writing.gone:
        raise Left
    else:
        logger.warning("a client took nothing for %g s and was given up", timing.send_timeout)
        raise Stuck


class _Writing:
    """One response while it is being written."""

    scope: CancelScope

    def __init__(self, client: Client, encoder: Encoder[Any], timing: Timing) -> None:
        self.client = client
        self.encoder = encoder
        self.timing = timing
        self.hand = Handover()
        self.complete = False
        self.gone = False
        self.broken = False

    async def watch(self) -> None:
        """Leave when the client goes, and on every other way out.

        The rule to leave is kept here as well as in the writing task, because a server may shield
        its `send`: then only this task notices that the send timeout has passed.
        """
        try:
            await self.client.gone()
            self.gone = True
        except Exception as error:  # noqa: BLE001 - the stream goes on; a write will notice
            logger.warning("a client's leaving will be noticed late: %r", error)
            await sleep_forever()
        finally:
            self.hand.leave()
        self.scope.cancel()

    async def write_all(self) -> None:
        """Write headers, batches and the end, or the error."""
        try:
            begin = self.encoder.begin()
            batch = await self._first()
            await self._sent(self.client.start())
            if batch is None:
                await self._put(begin)
                batch = await self._next()
            elif begin:
                batch = begin + batch
            while batch:
                await self._put(batch)
                batch = await self._next()
            if not self.hand.ended:
                raise ServerStopping
            last = self.encoder.end(self.hand.count)
        except Exception as error:
            if self.hand.left:
                raise Left from error
            if self.broken or not self.client.started:
                raise
            await self._put_error(error)
        else:
            await self._put(last)

    async def _first(self) -> bytes | None:
        with move_on_after(self.timing.first_wait):
            return await self.hand.take()
        return None

    async def _next(self) -> bytes:
        """Return the next batch, b"" at the end; meanwhile keep the connection alive."""
        if not self.encoder.keep_alive or self.timing.keep_alive is None:
            return await self.hand.take()
        while True:
            with move_on_after(self.timing.keep_alive):
                return await self.hand.take()
            await self._put(self.encoder.keep_alive)

    async def _put_error(self, error: Exception) -> None:
        code, message = public_words(error)
        data = self.encoder.error(code, message)
        if data is None:
            raise error
        if not isinstance(error, ServerStopping):
            logger.error("a source failed: %s", code, exc_info=error)
        await self._put(data)

    async def _put(self, data: bytes) -> None:
        if data:
            await self._sent(self.client.write(data))

    async def _sent(self, sending: Awaitable[None]) -> None:
        # The deadline is that of the response's whole group: it also ends the watching task.
        self.scope.deadline = current_time() + self.timing.send_timeout
        self.broken = True
        try:
            await sending
        except GONE as error:
            if not self.scope.cancel_called:  # or it was given up before it went
                self.gone = True
            raise Left from error
        self.broken = False
        self.scope.deadline = inf
