"""The scenarios whose sources have something to clean up."""

from __future__ import annotations

__all__ = ()

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import Lock, get_current_task, move_on_after, sleep, sleep_forever, to_thread

from streamkit import step

from ._run import Run
from ._scenarios import BLOCK, live, scenario


@scenario()
async def cleanup_that_awaits(run: Run) -> AsyncIterator[str]:
    with run.watched():
        try:
            yield "one"
            await sleep_forever()
        finally:
            await _clean_up(run)


@scenario()
async def cleanup_that_awaits_in_a_flood(run: Run) -> AsyncIterator[str]:
    with run.watched():
        try:
            while True:
                yield BLOCK
        finally:
            await _clean_up(run)


async def _clean_up(run: Run) -> None:
    async with Lock():
        await to_thread.run_sync(run.notes.append, "thread")
    with move_on_after(5):
        await sleep(0.01)
        run.notes.append("slept")
    with move_on_after(0.01):
        await sleep_forever()
    run.notes.append("cleaned")


@step
async def _library_source(run: Run) -> AsyncGenerator[str, None]:
    run.notes.append(get_current_task().id)
    with run.watched():
        try:
            yield "one"
            await run.turn()
            yield "two"
            await sleep_forever()
        finally:
            run.notes.append(get_current_task().id)


@scenario()
async def plain_step(run: Run) -> AsyncIterator[str]:
    async for word in _library_source(run):
        yield word.upper()


@scenario()
def two_steps(run: Run) -> Any:
    return _starred(_starred(_library_source(run)))


@step
async def _starred(words: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    async for word in words:
        yield f"*{word}"


@scenario()
@asynccontextmanager
async def context_manager(run: Run) -> AsyncIterator[AsyncIterator[str]]:
    with run.watched():
        run.given = Run("inside")
        yield live(run.given)
