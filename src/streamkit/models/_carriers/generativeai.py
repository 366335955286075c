"""The carrier of `google.generativeai.GenerativeModel`, a package that Google has deprecated.

Over REST it only reads in place, so it does that in a thread, which is woken by closing what it
reads from: that is looked up in the thread's frames. Over gRPC it has a client for asyncio. Its own
response objects are not used: they hold back each chunk until the next one is there, and join all
of them again each time.

Tried on google-generativeai 0.8.6, the last one, with requests 2.34 and grpcio 1.85.
`test_sdk_frames.py` fails when a version keeps the socket elsewhere.
"""

from __future__ import annotations

__all__ = ("GenerativeModelCarrier",)

import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any

from anyio import create_task_group, get_cancelled_exc_class, sleep

from ..._feeding.closing import close
from ..._feeding.threaded import Threaded
from ..._upstream.clients import is_of
from ..._upstream.request import MAX_BODY
from ...errors import UpstreamCut, UpstreamStatus, UpstreamUnreachable
from .._errors import InvalidChunk

# Between two looks at a thread that does not end.
LOOK = 0.02


class GenerativeModelCarrier:
    """Ask as the model would, and read its chunks as the JSON that they are on the wire."""

    complete = False

    def __init__(self, model: Any, body: Mapping[str, Any]) -> None:
        """`body` is the request as it would be on the wire; the model has the rest."""
        if body.keys() - {"contents"}:
            raise TypeError("a GenerativeModel has its own system_instruction; set it there")
        self.model = str(model.model_name)
        self._request = model._prepare_request(  # noqa: SLF001 - the package is frozen
            contents=body["contents"], tools=None, tool_config=None
        )
        self._asked = model
        self._reading: AsyncIterator[Any] | None = None
        self._call: Any = None
        self._thread: int | None = None  # the one that reads, if one does
        self._first: Sequence[object] = ()

    @property
    def secrets(self) -> Sequence[str]:
        """Return the key that the package was configured with."""
        options = _manager().client_config.get("client_options")
        return [str(getattr(options, "api_key", None) or "")]

    async def open(self) -> None:
        """Ask, and wait for the first chunk: only then the answer's status is known."""
        try:
            if _reads_in_place(self._asked):
                self._reading = Threaded(self._chunks())
            else:
                self._call = await self._called()
                self._reading = aiter(self._call)
            self._first = await self._next()
        except Exception as error:
            if (failure := _failure(error, began=False)) is None:
                raise
        else:
            return
        raise failure

    async def read(self) -> Sequence[object] | None:
        if self._first:
            first, self._first = self._first, ()
            return first
        try:
            return await self._next() or None
        except Exception as error:
            if (failure := _failure(error, began=True)) is None:
                raise
        raise failure

    async def close(self) -> None:
        """Stop the call; a thread that reads is woken by closing what it reads from."""
        reading, self._reading = self._reading, None
        if isinstance(reading, Threaded):
            async with create_task_group() as tasks:
                tasks.start_soon(self._wake)
                with suppress(Exception):  # what it raises when it is woken
                    await reading.aclose()
                tasks.cancel_scope.cancel()
        elif self._call is not None:
            self._call.cancel()
            if reading is not None:
                await close(reading)

    async def _next(self) -> list[object]:
        assert self._reading is not None  # noqa: S101 - it is open
        chunk = await anext(self._reading, None)
        return [] if chunk is None else [chunk if isinstance(chunk, dict) else _json_of(chunk)]

    async def _called(self) -> Any:
        client = self._asked._async_client  # noqa: SLF001 - the package is frozen
        if client is None:
            client = _manager().get_default_client("generative_async")
        return await client.stream_generate_content(self._request)

    def _chunks(self) -> Iterator[dict[str, Any]]:
        """Read in place; this runs in a thread of its own."""
        self._thread = get_ident()
        client = self._asked._client  # noqa: SLF001 - the package is frozen
        if client is None:
            client = _manager().get_default_client("generative")
        answer = client.stream_generate_content(self._request)
        if hasattr(answer, "_ready_objs"):  # REST: it takes an error for an empty chunk
            grab = answer._grab  # noqa: SLF001 - the package is frozen
            answer._grab = lambda: _grabbed(answer, grab)  # noqa: SLF001 - this answer is ours
        try:
            for chunk in answer:
                yield chunk if isinstance(chunk, dict) else _json_of(chunk)
        finally:
            answer.cancel()

    async def _wake(self) -> None:
        while True:
            if self._thread is not None:
                _interrupt(self._thread, self)
            await sleep(LOOK)


def _interrupt(thread: int, reader: GenerativeModelCarrier) -> None:
    """Close what a thread waits for, wherever in the package it does.

    Before the head of an answer is there, neither the package nor `requests` keeps its socket where
    we could ask for it. The frames of the thread have it.
    """
    frames: list[Any] = []
    frame: Any = sys._current_frames().get(thread)  # noqa: SLF001 - documented
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    # The number of a thread that has ended is given to the next one, which is none of ours.
    if not any(each.f_locals.get("self") is reader for each in frames):
        return
    for value in [value for each in frames for value in list(each.f_locals.values())]:
        if isinstance(value, socket.SocketIO):
            value = value._sock  # type: ignore[attr-defined]  # noqa: PLW2901, SLF001
        if isinstance(value, socket.socket):
            with suppress(OSError):
                value.shutdown(socket.SHUT_RDWR)
            return
        if is_of(value, "grpc") and hasattr(value, "cancel"):
            value.cancel()
            return


def _manager() -> Any:
    return sys.modules["google.generativeai.client"]._client_manager  # noqa: SLF001 - frozen


def _reads_in_place(model: Any) -> bool:
    client = model._client  # noqa: SLF001 - the package is frozen
    kind = getattr(getattr(client, "transport", None), "kind", None)
    if model._async_client is not None:  # noqa: SLF001 - the package is frozen
        kind = "grpc_asyncio"
    elif kind is None:
        kind = _manager().client_config.get("transport")
    return kind == "rest" or not get_cancelled_exc_class().__module__.startswith("asyncio")


def _json_of(message: Any) -> dict[str, Any]:
    told: dict[str, Any] = type(message).to_dict(
        message,
        use_integers_for_enums=False,
        preserving_proto_field_name=False,
        always_print_fields_with_no_presence=False,
    )
    return told


def _grabbed(answer: Any, grab: Any) -> Any:
    text = answer._ready_objs[0]  # noqa: SLF001 - the package is frozen
    if text.startswith('{"error"'):
        answer._ready_objs.popleft()  # noqa: SLF001 - the package is frozen
        return json.loads(text)
    return grab()


def _failure(error: Exception, *, began: bool) -> Exception | None:
    """Return our error for one of the package; its own may repeat what was sent."""
    if is_of(error, "google.api_core", "GoogleAPICallError"):
        told: Any = error
        body = json.dumps({"error": {"message": str(told.message)}})
        return UpstreamStatus(int(told.code or 502), body[:MAX_BODY])
    if isinstance(error, OSError) or is_of(error, "google.auth", "TransportError"):
        return UpstreamCut() if began else UpstreamUnreachable()
    if isinstance(error, ValueError) and str(error).startswith("Unfinished stream"):
        return UpstreamCut()
    if isinstance(error, ValueError) or is_of(error, "google.protobuf", "ParseError"):
        return InvalidChunk()
    return None
