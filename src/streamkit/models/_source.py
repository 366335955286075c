"""`ModelSource`: what carries an answer, and what maps it, as one source of model events.

A carrier asks the provider and gives decoded JSON; a wire makes events of it. Here they meet time
and failure. Nothing ends silently: a failure before the first event is raised, so that a response
still has its status; a later one is told, `Error` and `Finish("error")`, and then raised.
"""

from __future__ import annotations

__all__ = ("ModelSource",)

from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from typing import TypeVar

from anyio import CancelScope, current_time
from anyio.lowlevel import checkpoint_if_cancelled

from .._feeding.batched import Batched
from .._feeding.closing import closing_within, register
from ..errors import UpstreamError, UpstreamSilent
from ._carriers.carrier import Carrier
from ._errors import InvalidChunk, ModelFailed
from ._events import Error, Finish, ModelEvent, Start
from ._failures import failure_of, raised, without_secrets
from ._wires.errors import TRUNCATED
from ._wires.wire import Wire

T = TypeVar("T")

# To close a connection takes milliseconds; a thread that reads needs a moment more.
CLOSE_TIMEOUT = 3.0


class ModelSource(Batched[ModelEvent]):
    """The answer of a model; `stream_gpt` and `stream_gemini` make it.

    The request is sent when the first event is asked for. Leaving closes the connection: use it in
    a response or in a stream, which do that, or with `open_source`; a bare `break` closes nothing.
    """

    # After the provider said that the answer is complete: for usage, and for the end of the bytes.
    linger = 2.0

    def __init__(
        self,
        carrier: Carrier,
        wire: Wire,
        *,
        first_timeout: float | None,
        idle_timeout: float | None,
        finish_required: bool,
    ) -> None:
        super().__init__()
        self._carrier, self._wire = carrier, wire
        self._first_timeout, self._idle_timeout = first_timeout, idle_timeout
        self._finish_required = finish_required
        self._deadline = inf  # for the first event
        self._opened = self._told = self._ended = self._closed = False
        self._late: list[ModelEvent] = []  # and after them the error
        self._error: ModelFailed | None = None

    async def open(self) -> None:
        """Send the request, and return when an answer has begun."""
        if self._opened or self._ended:
            return
        self._opened = True
        register(self)
        if self._first_timeout is not None:
            self._deadline = current_time() + self._first_timeout
        try:
            await self._in_time(self._carrier.open)
        except (UpstreamError, InvalidChunk) as error:
            raise await self._failure(error) from error
        except BaseException as error:
            await self._close()
            self._tear(error)
            raise

    @property
    def closed(self) -> bool:
        """Tell whether nothing is left to close."""
        return self._closed or not self._opened

    async def aclose(self) -> None:
        """Close the connection, so that the provider stops writing."""
        self._taken.clear()
        self._late, self._error = [], None
        await self._close()

    async def _close(self) -> None:
        self._ended = True
        if self.closed:
            return
        self._closed = True
        with closing_within(CLOSE_TIMEOUT):
            await self._carrier.close()

    async def read(self) -> list[ModelEvent]:
        """Return what the next bytes of the answer say."""
        if self._ended:
            late, self._late = self._late, []
            if late:
                return late
            error, self._error = self._error, None
            if error is not None:
                raise error
            return []
        await self.open()
        try:
            while True:
                if events := await self._next():
                    if not self._told:
                        self._told, self._deadline = True, inf
                    return events
        except BaseException as error:
            await self._close()
            self._tear(error)
            raise

    def _tear(self, error: BaseException) -> None:
        """Remember that a call was cancelled: what it had read is lost, and that is no end."""
        if isinstance(error, Exception):
            return
        if self._wire.done and self._wire.error is None:  # only its usage is lost
            self._late = self._wire.end()
            return
        torn = replace(TRUNCATED, retryable=True)
        self._late = self._wire.fail(torn) if self._told else []
        self._error = ModelFailed(torn)

    async def _next(self) -> list[ModelEvent]:
        try:
            chunks = await self._in_time(self._carrier.read)
        except Exception as error:  # noqa: BLE001 - whatever a client raises ends the answer
            if self._wire.done:
                return await self._last(self._wire.end())
            failure = await self._failure(error)
            return await self._last(self._wire.fail(failure.error), failure)
        if chunks is None:
            required = self._finish_required and not self._carrier.complete
            return await self._last(self._wire.end(finish_required=required))
        events: list[ModelEvent] = []
        for chunk in chunks:
            events += self._wire.feed(chunk)
            if self._wire.error is not None:
                return await self._last(events + self._wire.end())
        return events

    async def _last(
        self, events: list[ModelEvent], failure: ModelFailed | None = None
    ) -> list[ModelEvent]:
        await self._close()
        if self._wire.error is None:
            return events
        error = without_secrets(self._wire.error, self._carrier.secrets)
        failure = failure or raised(error)
        if not self._told and all(isinstance(event, Start | Error | Finish) for event in events):
            raise failure
        self._error = failure
        return [error if isinstance(event, Error) else event for event in events]

    async def _in_time(self, wait: Callable[[], Awaitable[T]]) -> T:
        limit, deadline = self._first_timeout, self._deadline
        if self._told:
            limit = self._idle_timeout
            deadline = inf if limit is None else current_time() + limit
            if self._wire.done:
                self._deadline = min(self._deadline, current_time() + self.linger)
                deadline = self._deadline
        # On uvloop a wait that is over at once is never cancelled: a flood could not be left.
        await checkpoint_if_cancelled()
        with CancelScope(deadline=deadline):
            return await wait()
        raise UpstreamSilent(limit or 0.0)

    async def _failure(self, error: Exception) -> ModelFailed:
        await self._close()
        return failure_of(error, self._carrier.secrets)
