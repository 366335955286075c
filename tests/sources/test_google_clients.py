"""What Google's packages may do besides what a server makes them do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streamkit import open_source
from streamkit.models import ModelFailed, accumulate
from streamkit.sources.gemini import stream_gemini

from ._model_server import SAYINGS, outcome

CHUNKS = SAYINGS["gemini"]["text"]

ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Model:
    """A `GenerativeModel` whose clients yield what they are told, and then raise."""

    __module__ = "google.generativeai.fake"
    model_name = "models/m1"

    def __init__(
        self, *chunks: Any, error: Exception | None = None, asynchronous: bool = False
    ) -> None:
        self.cancelled = 0
        self._chunks, self._error = chunks, error
        self._client = None if asynchronous else _InPlace(self)
        self._async_client = self if asynchronous else None

    def _prepare_request(self, **request: Any) -> Any:
        return request

    async def stream_generate_content(self, request: Any) -> _Answer:
        return _Answer(self)

    def items(self) -> Iterator[Any]:
        yield from self._chunks
        if self._error is not None:
            raise self._error


class _Answer:
    def __init__(self, model: Model) -> None:
        self._model, self._items = model, model.items()

    def __iter__(self) -> Iterator[Any]:
        return self._items

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._items:
            yield item

    def cancel(self) -> None:
        self._model.cancelled += 1


class _InPlace:
    def __init__(self, model: Model) -> None:
        self._model = model

    def stream_generate_content(self, request: Any) -> _Answer:
        return _Answer(self._model)


class Client:
    """A `google.genai.Client` that yields what it is told, and then raises."""

    __module__ = "google.genai.fake"

    def __init__(self, *chunks: Any, error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error
        self.aio = self.models = self

    async def generate_content_stream(self, **request: Any) -> AsyncIterator[Any]:
        return self._items()

    async def _items(self) -> AsyncIterator[Any]:
        for chunk in self._chunks:
            yield _Dumped(chunk)
        if self._error is not None:
            raise self._error


class _Dumped:
    def __init__(self, chunk: Any) -> None:
        self._chunk = chunk

    def model_dump(self, **options: Any) -> Any:
        return self._chunk


def named(module: str, name: str, base: type[Exception] = Exception) -> Exception:
    made: Exception = type(name, (base,), {"__module__": module})("what it was sent")
    return made


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package's settings without the package's defaults."""
    manager = sys.modules["google.generativeai.client"]._client_manager
    monkeypatch.setattr(manager, "client_config", {"transport": "rest"})


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(lambda: Client(*CHUNKS), id="genai"),
        pytest.param(lambda: Model(*CHUNKS), id="generativeai in place"),
    ],
)
async def test_they_are_read_to_the_end(client: Callable[[], Any]) -> None:
    events, failure = await outcome(stream_gemini("Hi", client=client()))
    assert failure is None
    assert accumulate(events).text == "Hello"


@ON_ASYNCIO
async def test_the_asynchronous_client_is_read_to_the_end() -> None:
    model = Model(*CHUNKS, asynchronous=True)
    events, failure = await outcome(stream_gemini("Hi", client=model))
    assert failure is None
    assert accumulate(events).text == "Hello"


@ON_ASYNCIO
async def test_leaving_ends_the_call_of_the_asynchronous_client() -> None:
    model = Model(*CHUNKS, asynchronous=True)
    async with open_source(stream_gemini("Hi", client=model)) as events:
        await anext(events)
    assert model.cancelled == 1


@pytest.mark.parametrize("client", [Client, Model])
async def test_an_answer_without_a_chunk_is_truncated(client: Callable[[], Any]) -> None:
    events, failure = await outcome(stream_gemini("Hi", client=client()))
    assert events == []
    assert failure is not None
    assert failure.error.code == "truncated"


@pytest.mark.parametrize("client", [Client, Model])
async def test_an_error_that_nobody_knows_is_raised_as_it_is_before_the_answer(
    client: Callable[..., Any],
) -> None:
    with pytest.raises(LookupError, match="mine"):
        await outcome(stream_gemini("Hi", client=client(error=LookupError("mine"))))


@pytest.mark.parametrize("client", [Client, Model])
async def test_an_error_that_nobody_knows_fails_the_answer(client: Callable[..., Any]) -> None:
    made = client(CHUNKS[0], error=LookupError("mine"))
    events, failure = await outcome(stream_gemini("Hi", client=made))
    assert "".join(map(str, events)) == "Hel"
    assert isinstance(failure, ModelFailed)
    assert failure.error.code == "client-failed"
    assert "mine" not in repr(failure.error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (named("google.auth.exceptions", "TransportError"), "truncated"),
        (named("google.protobuf.json_format", "ParseError"), "invalid-chunk"),
        (ValueError("Unfinished stream: {"), "truncated"),
        (ConnectionResetError(), "truncated"),
    ],
)
async def test_an_error_of_the_deprecated_package_is_one_of_ours(
    error: Exception, code: str
) -> None:
    events, failure = await outcome(stream_gemini("Hi", client=Model(CHUNKS[0], error=error)))
    assert "".join(map(str, events)) == "Hel"
    assert failure is not None
    assert failure.error.code == code
