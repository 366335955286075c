"""`write_source`: send a source to one client, within one request."""

from __future__ import annotations

__all__ = ("write_source",)

import logging
from collections.abc import Awaitable
from math import inf
from typing import Any, TypeVar

from anyio import CancelScope, create_task_group, current_time, move_on_after

from .._feeding.closing import close
from .._feeding.handover import Handover
from .._feeding.source import Source
from .._items.format import Encoder, Format
from ..errors import ServerStopping
from ..errors._base import public_words
from .client import GONE, Client, Left, Timing, end, wait_until_gone

T = TypeVar("T")

logger = logging.getLogger("streamkit")


async def write_source(
    client: Client, source: Source[T], format: Format[T], timing: Timing
) -> None:
    """Send the source to the client, and close the source on every way out.

    The first batch is awaited before the headers are sent: if the source fails before that, the
    error is raised here and nothing was sent. A later failure is written as the format's error. If
    the format has none, the connection is cut and the failure is raised here. Raises `Left` if the
    client left or was given up. When this returns or raises, the source is closed.
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
        except Exception as error:  # noqa: BLE001 - raised below: the task group would wrap it
            failure = error
        finally:
            writing.hand.leave()
        tasks.cancel_scope.cancel()
    left = failure is None or isinstance(failure, Left)
    await end(
        client,
        timing.send_timeout,
        complete=writing.complete,
        stuck=left and not writing.gone,
        failure=None if left else failure,
    )


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
        """Leave when the client leaves, and on every other way out.

        The writing task calls `leave` too. It is also called here because a server may shield its
        `send`: then only this task notices that the send timeout has passed.
        """
        try:
            await wait_until_gone(self.client)
            self.gone = True
        finally:
            self.hand.leave()
        self.scope.cancel()

    async def write_all(self) -> None:
        """Write the headers, the batches, and the end or the error."""
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
        """Return the next batch, or b"" at the end. Meanwhile keep the connection alive."""
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
        # This is the deadline of the response's whole task group: it also ends the watching task.
        self.scope.deadline = current_time() + self.timing.send_timeout
        self.broken = True
        try:
            await sending
        except GONE as error:
            if not self.scope.cancel_called:  # else the client was given up before it left
                self.gone = True
            raise Left from error
        self.broken = False
        self.scope.deadline = inf
