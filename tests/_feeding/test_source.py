"""What may be a source, how it is opened outside a response, and what is refused."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import pytest
from anyio import get_current_task
from anyio.lowlevel import checkpoint
from pydantic import BaseModel

from streamkit import Event, open_source, step
from streamkit._feeding.closing import close
from streamkit._feeding.source import check_source
from streamkit._feeding.step import Step
from streamkit.errors import NotASource

from ..fakes import Fountain, nested, upper


class Model(BaseModel):
    x: int = 1


async def words() -> AsyncGenerator[str, None]:
    yield "a"
    yield "b"


class SdkStream:
    """An SDK's stream: its own context manager, iterable once, and it wants to be left."""

    def __init__(self) -> None:
        self.entered = self.left = False

    async def __aenter__(self) -> Self:
        self.entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await checkpoint()
        self.left = True

    def __aiter__(self) -> AsyncIterator[str]:
        return words()


@asynccontextmanager
async def connection(given: object) -> AsyncIterator[Any]:
    yield given


async def everything(source: Any) -> list[Any]:
    async with open_source(source) as items:
        return [item async for item in items]


KINDS = [
    pytest.param(words, id="async generator"),
    pytest.param(lambda: Fountain("a", "b"), id="async iterator"),
    pytest.param(lambda: nested(words()), id="step"),
    pytest.param(lambda: ["a", "b"], id="list"),
    pytest.param(lambda: (letter for letter in "ab"), id="generator"),
    pytest.param(lambda: iter(("a", "b")), id="iterator"),
    pytest.param(lambda: io.StringIO("ab"), id="text file"),
    pytest.param(lambda: connection(words()), id="context manager of an async generator"),
    pytest.param(lambda: connection(["a", "b"]), id="context manager of a list"),
    pytest.param(lambda: connection(connection(words())), id="context manager of another"),
    pytest.param(SdkStream, id="iterable that is its own context manager"),
    pytest.param(lambda: connection(SdkStream()), id="context manager of an SDK's stream"),
]


@pytest.mark.parametrize("make", KINDS)
async def test_any_kind_of_source_can_be_opened(make: Any) -> None:
    assert "".join(await everything(make())).lower() == "ab"


async def test_a_binary_file_comes_in_chunks_not_in_lines() -> None:
    file = io.BytesIO(b"a\n" * 300_000)
    chunks = await everything(file)
    assert b"".join(chunks) == b"a\n" * 300_000
    assert len(chunks) == 3
    assert file.closed


async def test_a_binary_file_that_nobody_reads_is_closed() -> None:
    file = io.BytesIO(b"a")
    async with open_source(file):
        pass
    assert file.closed


async def coroutine() -> str:
    return "a"


REFUSED = [
    pytest.param("text", "a str is one item, not a source; write [text]", id="str"),
    pytest.param(b"data", "bytes is one item, not a source; write [data]", id="bytes"),
    pytest.param({"a": 1}, "dict is one item, not a source; write [item]", id="dict"),
    pytest.param(Model(), "Model is one item, not a source; write [item]", id="pydantic model"),
    pytest.param(Event(), "Event is one item, not a source; write [item]", id="event"),
    pytest.param(
        words, "words is not a source, but what it returns may be: call it", id="function"
    ),
    pytest.param(list, "list is not a source, but what it returns may be: call it", id="class"),
    pytest.param(None, "NoneType is not a source: neither iterable nor async iterable", id="None"),
    pytest.param(3, "int is not a source: neither iterable nor async iterable", id="int"),
]


@pytest.mark.parametrize(("wrong", "sentence"), REFUSED)
async def test_what_is_no_source_is_refused_with_the_mend(wrong: Any, sentence: str) -> None:
    with pytest.raises(NotASource) as caught:
        await everything(wrong)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, TypeError)
    with pytest.raises(NotASource):
        await everything(connection(wrong))


def test_a_refused_coroutine_is_closed_so_that_python_does_not_warn() -> None:
    with pytest.raises(NotASource, match="await it, or write an async generator with yield"):
        check_source(coroutine())


async def used_up(items: Any) -> Any:
    async with open_source(items) as opened:
        async for _ in opened:
            pass
    return items


@pytest.mark.parametrize(
    "make", [words, lambda: (letter for letter in "ab"), lambda: nested(words())]
)
async def test_a_source_that_was_used_up_is_refused_instead_of_ending_well(make: Any) -> None:
    source = await used_up(make())
    with pytest.raises(NotASource, match="is used up; make a new one for each stream"):
        await everything(source)


async def test_a_file_that_has_to_be_awaited_is_refused() -> None:
    class UploadFile:
        async def read(self, size: int = -1) -> bytes:
            return b""

    with pytest.raises(NotASource, match="UploadFile has to be awaited; pass the plain file"):
        await everything(UploadFile())


async def test_a_step_has_to_be_an_async_generator() -> None:
    def plain() -> Iterator[str]:
        yield "a"

    for function in (plain, coroutine):
        with pytest.raises(NotASource, match=f"async generators; {function.__name__} is none"):
            step(function)()  # type: ignore[arg-type]  # that is the point


async def test_a_future_is_not_taken_for_an_iterable() -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(NotASource, match="Future is not a source; await it"):
            check_source(loop.create_future())
    finally:
        loop.close()


async def test_a_source_left_in_the_middle_is_closed_in_the_callers_task() -> None:
    source = Fountain("a", "b", wait=True)
    async with open_source(upper(source)) as lines:
        async for line in lines:
            assert line == "A"
            break
    assert source.closed_in == [source.iterated_in] == [get_current_task().id]


async def test_an_error_of_the_source_is_raised_where_its_item_was_awaited() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "a"
        raise ValueError("now")

    async with open_source(failing()) as items:
        assert await anext(items) == "a"
        with pytest.raises(ValueError, match="now"):
            await anext(items)


async def test_an_error_in_the_block_closes_the_source_and_is_passed_on() -> None:
    source = Fountain("a", wait=True)
    with pytest.raises(KeyError):
        async with open_source(nested(source)) as items:
            await anext(items)
            raise KeyError
    assert source.closed


async def test_a_context_manager_is_left_after_its_source_was_closed() -> None:
    order: list[str] = []

    async def inside() -> AsyncGenerator[str, None]:
        try:
            yield "a"
        finally:
            order.append("source")

    @asynccontextmanager
    async def outside() -> AsyncIterator[AsyncGenerator[str, None]]:
        try:
            yield inside()
        finally:
            order.append("connection")

    async with open_source(outside()) as items:
        await anext(items)
    assert order == ["source", "connection"]


async def test_an_sdk_stream_is_entered_and_left() -> None:
    stream = SdkStream()
    await everything(stream)
    assert stream.entered
    assert stream.left


async def test_an_iterable_whose_iterator_is_a_generator_has_that_closed() -> None:
    closed = False

    class Lines:
        async def __aiter__(self) -> AsyncGenerator[str, None]:
            nonlocal closed
            try:
                yield "a"
                yield "b"
            finally:
                closed = True

    async with open_source(Lines()) as items:
        await anext(items)
    assert closed


async def test_sources_opened_inside_a_generator_do_not_mix_with_the_callers() -> None:
    inner, other = Fountain("a", "b", wait=True), Fountain("x", wait=True)

    async def opens() -> AsyncGenerator[str, None]:
        async with open_source(upper(inner)) as lines:
            async for line in lines:
                yield line

    generator = opens()
    assert await anext(generator) == "A"
    # The caller iterates a source of its own between two items of the generator.
    assert await anext(other) == "x"
    await generator.aclose()
    assert inner.closed
    assert not other.closed


async def test_a_source_opened_by_a_forgotten_generator_is_closed_by_the_outer_opening() -> None:
    source = Fountain("a", wait=True)

    async def opens(lines: Any) -> AsyncGenerator[str, None]:
        async with open_source(lines) as opened:
            async for line in opened:
                yield line

    inner = opens(source)

    async def outer() -> AsyncGenerator[str, None]:
        async for line in inner:
            yield line

    async with open_source(outer()) as items:
        await anext(items)
    assert source.closed
    await inner.aclose()


async def test_a_step_is_an_iterator_too() -> None:
    @step
    async def letters() -> AsyncGenerator[str, None]:
        """Say letters."""
        yield "a"
        yield "b"

    assert letters.__doc__ == "Say letters."
    stepping = letters()
    assert isinstance(stepping, Step)
    assert await anext(stepping) == "a"
    assert [letter async for letter in stepping] == ["b"]
    assert stepping.closed


async def test_a_step_driven_by_anext_registers_once() -> None:
    source = Fountain("a", "b", "c", wait=True)

    async def by_hand() -> AsyncGenerator[str, None]:
        inner = nested(source)
        while True:
            yield await anext(inner)

    async with open_source(by_hand()) as items:
        assert [await anext(items), await anext(items)] == ["A", "B"]
    assert source.closed


class Closable:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class AsyncClosable(Closable):
    async def close(self) -> None:  # type: ignore[override]  # as some SDKs do
        self.closed += 1


class ByAclose(Closable):
    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("kind", [Closable, AsyncClosable, ByAclose])
async def test_a_discarded_source_is_closed_whichever_way_it_has(kind: type[Closable]) -> None:
    source = kind()
    await close(source)
    assert source.closed == 1


async def test_discarding_what_cannot_be_closed_does_nothing() -> None:
    await close(["a"])


async def test_a_generator_of_the_sync_kind_is_closed_when_left() -> None:
    closed = threading.Event()

    def letters() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.set()

    async with open_source(letters()) as items:
        assert await anext(items) == "a"
    assert closed.is_set()


@dataclass
class Row:
    name: str


async def test_a_plain_object_that_is_no_iterable_is_refused() -> None:
    with pytest.raises(NotASource, match="Row is not a source"):
        await everything(Row("a"))
