"""The carrier of an event stream: the bytes of a client of HTTP, decoded here.

Only a request that has no answer yet is sent again: a model that has begun would begin once more,
and be paid for twice.
"""

from __future__ import annotations

__all__ = ("MAX_EVENT_BYTES", "EventStreamCarrier")

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeAlias

from anyio import current_effective_deadline, current_time, sleep

from ..._feeding.closing import feeding_now
from ..._upstream.events import EventReader
from ..._upstream.reconnect import Reconnect, may_pass
from ..._upstream.request import Response
from ...errors import UpstreamStatus, UpstreamUnreachable
from .._errors import InvalidChunk

# A picture as base64 fits; the SDKs of the providers have no bound at all.
MAX_EVENT_BYTES = 8 << 20

Begin: TypeAlias = Callable[[], AbstractAsyncContextManager[Response]]


class EventStreamCarrier:
    """Read an event stream whose data is JSON, and `[DONE]` at its end for some."""

    # With the jitter, half a second at most before the first one and 8 s before the last.
    retry = Reconnect(first=0.375, max_delay=6.0, jitter=1 / 3)

    def __init__(
        self,
        begin: Begin,
        secrets: Callable[[], Sequence[str]],
        *,
        retries: int = 0,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """`begin` sends the request, each time that it is called."""
        self.complete = False
        self._begin, self._secrets = begin, secrets
        self._retry = replace(self.retry, max_attempts=max(retries, 0))
        self._events = EventReader(max_event_bytes=max_event_bytes)
        self._broken = False

    @property
    def secrets(self) -> Sequence[str]:
        """Return the keys that the request was sent with."""
        return self._secrets()

    async def open(self) -> None:
        """Send the request, again if the provider asks for patience or could not be reached."""
        delays = self._retry.delays(lambda: None)
        while True:
            try:
                if not await self._events.open(self._begin()):
                    raise UpstreamStatus(204)
            except (UpstreamStatus, UpstreamUnreachable) as error:
                await self._events.close()
                delay = _delay(error, next(delays, None))
                feeding = feeding_now.get()
                if (
                    delay is None
                    or current_time() + delay > current_effective_deadline()
                    # The one cancellation may have met a timeout of the client.
                    or (feeding is not None and feeding.left)
                ):
                    raise
            else:
                return
            await sleep(delay)

    async def read(self) -> Sequence[object] | None:
        if self._broken:
            raise InvalidChunk
        events = None if self.complete else await self._events.read()
        if events is None:
            return None
        values: list[object] = []
        for event in events:
            data = str(event.data).strip()
            if data == "[DONE]":
                self.complete = True
                break
            try:
                if data:
                    values.append(_value(json.loads(data), event.type))
            except (ValueError, RecursionError):
                self._broken = True  # what came before it is told first
                break
        if self._broken and not values:
            raise InvalidChunk
        return values

    async def close(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        await self._events.close()


def _value(value: object, type: str) -> object:
    """Return the value; one that only its event's name calls an error, as an error."""
    if type == "error" and isinstance(value, dict) and "error" not in value:
        return {"error": value}
    return value


def _delay(error: UpstreamStatus | UpstreamUnreachable, delay: float | None) -> float | None:
    """Return for how long to wait before the next try; None when it would be refused too."""
    if delay is None or not isinstance(error, UpstreamStatus):
        return delay
    if not may_pass(error.upstream_status):
        return None
    return delay if error.retry_after is None else error.retry_after
