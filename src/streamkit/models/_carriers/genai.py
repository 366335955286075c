"""The carrier of `google.genai.Client`, whichever transport it chose for itself.

The `aclose()` of its streams leaves the socket open until somebody collects what is inside. So
closing looks for the answer in the frames of the SDK, closes that, and then asks for one more chunk
in a cancelled scope: the error, or the cancellation, goes through all that was reading.

Tried on google-genai 3.4 to 3.6. `test_sdk_frames.py` fails when a version keeps it elsewhere.
"""

from __future__ import annotations

__all__ = ("GenAICarrier",)

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyio import CancelScope

from ..._feeding.closing import close
from ..._upstream.clients import is_of
from ..._upstream.request import MAX_BODY, is_of_transport
from ...errors import UpstreamCut, UpstreamStatus, UpstreamUnreachable
from .._errors import InvalidChunk

# That it has already read; for more it has to wait, and is cancelled there. But on uvloop a wait
# that is over at once is not, so a flood has to have an end here.
MAX_CHUNKS = 1000


class GenAICarrier:
    """Read `generate_content_stream`, each chunk as the JSON that it was on the wire."""

    complete = False

    def __init__(self, client: Any, model: str, body: Mapping[str, Any]) -> None:
        """`body` is the request as it would be on the wire."""
        self._client, self._model, self._body = client, model, body
        self._stream: AsyncIterator[Any] | None = None
        self._first: list[object] | None = None
        self._answers: dict[int, Any] = {}  # what is being read, or could not be

    @property
    def secrets(self) -> Sequence[str]:
        return [str(getattr(getattr(self._client, "_api_client", None), "api_key", None) or "")]

    async def open(self) -> None:
        """Ask, and wait for the first chunk: only then the answer's status is known."""
        contents = self._body["contents"]
        rest = {name: value for name, value in self._body.items() if name != "contents"}
        # As they are on the wire, so that the same options serve whoever carries them.
        config = {"http_options": {"extra_body": rest}} if rest else None
        asked = self._client.aio.models.generate_content_stream(
            model=self._model, contents=contents, config=config
        )
        try:
            self._stream = aiter(await asked)
            self._first = await self._next()
        except Exception as error:
            self._answers |= _in_traceback(error)
            failure = _failure(error, began=False)
            if failure is None and self._answers:  # it stumbled over what it was told
                failure = InvalidChunk()
            if failure is None:
                raise
        else:
            return
        raise failure

    async def read(self) -> Sequence[object] | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first or None
        try:
            return await self._next() or None
        except Exception as error:
            self._answers |= _in_traceback(error)
            if (failure := _failure(error, began=True)) is None:
                raise
        raise failure

    async def close(self) -> None:
        """Cancel the stream, which closes its connection at once."""
        stream, self._stream = self._stream, None
        for answer in {**self._answers, **_in_generator(stream)}.values():
            await close(answer.response_stream)
            with suppress(Exception):
                await anext(answer, None)
        if stream is None:
            return
        with suppress(Exception), CancelScope() as scope:
            scope.cancel()
            for _ in range(MAX_CHUNKS):
                if await anext(stream, None) is None:
                    break
        await close(stream)

    async def _next(self) -> list[object]:
        assert self._stream is not None  # noqa: S101 - it is open
        chunk = await anext(self._stream, None)
        if chunk is None:
            return []
        return [chunk.model_dump(mode="json", by_alias=True, exclude_none=True)]


def _failure(error: Exception, *, began: bool) -> Exception | None:
    """Return our error for one of the SDK; its own may repeat what was sent."""
    if is_of(error, "google.genai", "UnknownApiResponseError"):
        return InvalidChunk()
    if is_of(error, "google.genai", "APIError"):
        told: Any = error
        body = told.details if isinstance(told.details, str) else json.dumps(told.details)
        return UpstreamStatus(told.code or 500, body[:MAX_BODY])
    # With aiohttp installed the SDK uses it, unless it was given another client.
    if (
        is_of_transport(error)
        or is_of(error, "aiohttp", "ClientError")
        or isinstance(error, OSError)
    ):
        return UpstreamCut() if began else UpstreamUnreachable()
    return None


def _in_traceback(error: Exception) -> dict[int, Any]:
    """Return the answers that were being read where the error was raised, by their identity."""
    found: dict[int, Any] = {}
    traceback = error.__traceback__
    while traceback is not None:
        found |= _in_locals(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
    return found


def _in_generator(stream: Any) -> dict[int, Any]:
    """Return the answers that a generator reads from, or another one inside it."""
    frame = getattr(stream, "ag_frame", None)
    found = {} if frame is None else _in_locals(frame.f_locals)
    if frame is not None:
        for value in list(frame.f_locals.values()):
            found |= _in_generator(value)
    return found


def _in_locals(values: Mapping[str, Any]) -> dict[int, Any]:
    return {
        id(value): value
        for value in list(values.values())
        if is_of(value, "google.genai._api_client", "HttpResponse")
        and hasattr(value.response_stream, "close")
    }
