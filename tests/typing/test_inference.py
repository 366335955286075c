"""What a type checker says of user code. An expected error that goes away fails mypy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import assert_type

import pytest

from streamkit import Encoder, Format, Source, as_bytes, as_sse, as_text, open_source, step
from streamkit._feeding.step import Step
from streamkit.adapters.starlette import StreamResponse
from streamkit.sources.tick import stream_every


class Upper(Encoder[str]):
    def one(self, item: str) -> bytes:
        return item.upper().encode()


as_upper = Format("as_upper", "text/plain", Upper)


async def rows() -> AsyncGenerator[dict[str, int], None]:
    yield {"n": 1}


async def words() -> AsyncIterator[str]:
    yield "a"


def numbers() -> list[int]:
    return [1]


async def connection() -> AbstractAsyncContextManager[AsyncIterable[str]]:
    return open_source(words())


async def test_a_source_fits_the_formats_that_take_its_items() -> None:
    StreamResponse(rows(), as_sse)
    StreamResponse(numbers(), as_text)
    StreamResponse(words(), as_bytes)
    StreamResponse(words(), as_upper)
    StreamResponse(await connection(), as_upper)
    with Path(__file__).open("rb") as file:
        StreamResponse(file, as_bytes)


def test_a_source_of_other_items_is_a_type_error() -> None:
    StreamResponse(rows(), as_bytes)  # type: ignore[misc]
    StreamResponse(numbers(), as_bytes)  # type: ignore[misc]
    StreamResponse(rows(), as_upper)  # type: ignore[misc]
    StreamResponse(stream_every(1, lambda: {"n": 1}), as_upper)  # type: ignore[misc]


def test_a_response_without_a_format_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        StreamResponse([])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'sse' is not a format; pass as_sse, as_text"):
        StreamResponse([], "sse")  # type: ignore[arg-type]


async def number() -> int:
    return 1


def test_stream_every_yields_what_the_call_returns_or_gives_when_awaited() -> None:
    assert_type(stream_every(1, number), Step[int])
    assert_type(stream_every(1, lambda: 1), Step[int])


@step
async def upper(lines: Source[str]) -> AsyncIterator[str]:
    async with open_source(lines) as opened:
        async for line in opened:
            yield line.upper()


def test_a_step_keeps_its_parameters_and_its_items() -> None:
    assert_type(upper(words()), Step[str])
    upper(rows())  # type: ignore[arg-type]


async def test_an_opened_source_gives_its_items() -> None:
    async with open_source(rows()) as items:
        assert_type(await anext(items), dict[str, int])
