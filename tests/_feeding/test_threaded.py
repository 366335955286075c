"""A synchronous source runs in a thread of its own, is bounded, and is always closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, move_on_after, to_thread, wait_all_tasks_blocked

from streamkit import Format, SourceError, as_bytes, as_text, open_source
from streamkit._feeding.handover import Handover
from streamkit._feeding.threaded import MAX_BYTES, MAX_ITEMS, Chunks, Threaded
from streamkit.errors import CleanupTimeout


class Letters:
    """A generator that records in which threads it ran and was closed, and can be held."""

    def __init__(self, *items: Any, endless: bool = False) -> None:
        self.items = items
        self.endless = endless
        self.threads: set[int] = set()
        self.made = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                for item in self.items:
                    self.threads.add(threading.get_ident())
                    self.made += 1
                    yield item
                if not self.endless:
                    break
        finally:
            self.threads.add(threading.get_ident())
            self.closed.set()


def streamkit_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamkit-source"]


async def wait_for(condition: Any) -> None:
    with fail_after(5):
        while not condition():
            await to_thread.run_sync(lambda: threading.Event().wait(0.001))


async def test_its_whole_life_is_in_one_thread_that_is_not_ours() -> None:
    others = set(streamkit_threads())  # of other tests, which gave theirs up
    letters = Letters("a", "b", "c")
    async with open_source(letters) as items:
        assert [item async for item in items] == ["a", "b", "c"]
    assert len(letters.threads) == 1
    assert threading.get_ident() not in letters.threads
    await wait_for(lambda: set(streamkit_threads()) <= others)


async def test_it_is_closed_in_its_thread_when_left() -> None:
    others = set(streamkit_threads())
    letters = Letters("a", endless=True)
    async with open_source(letters) as items:
        await anext(items)
    assert letters.closed.is_set()
    assert len(letters.threads) == 1
    await wait_for(lambda: set(streamkit_threads()) <= others)


async def test_it_is_closed_when_the_feeder_is_left() -> None:
    letters = Letters("a" * 1000, endless=True)
    hand = Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, letters, as_text.encoder())
        await hand.take()
        hand.leave()
    assert letters.closed.is_set()


@pytest.mark.parametrize(
    ("item", "most"),
    [
        pytest.param({"n": 1}, MAX_ITEMS, id="values by number"),
        pytest.param("x" * (MAX_BYTES // 4), 4, id="text by size"),
        pytest.param(b"x" * (MAX_BYTES // 4), 4, id="bytes by size"),
    ],
)
async def test_it_is_not_far_ahead_of_its_reader(item: Any, most: int) -> None:
    letters = Letters(item, endless=True)
    source = Threaded(letters)
    batches = source.batches()
    await anext(batches)
    await wait_for(lambda: len(source._ready) == most)
    before = letters.made
    await wait_all_tasks_blocked()
    assert letters.made == before
    await batches.aclose()
    await source.aclose()


async def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[str]:
        yield "a"
        yield "b"
        raise ValueError("now")

    received = []
    async with open_source(failing()) as items:
        with pytest.raises(ValueError, match="now"):
            async for item in items:
                received.append(item)  # noqa: PERF401 - the error comes in the middle
    assert received == ["a", "b"]


async def test_an_error_while_it_is_closed_reaches_who_closes_it() -> None:
    def failing() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        async with open_source(failing()) as items:
            await anext(items)


async def test_what_cannot_be_iterated_after_all_fails_where_it_is_read() -> None:
    class Broken:
        def __iter__(self) -> Iterator[str]:
            raise OSError("no such table")

    async with open_source(Broken()) as items:
        with pytest.raises(OSError, match="no such table"):
            await anext(items)


async def test_what_a_generator_fills_again_arrives_as_it_was_when_it_was_yielded() -> None:
    def progress() -> Iterator[dict[str, int]]:
        status = {"done": 0}
        for done in range(3):
            status["done"] = done
            yield status

    def blocks() -> Iterator[memoryview]:
        buffer = bytearray(1)
        for letter in b"abc":
            buffer[0] = letter
            yield memoryview(buffer)

    cases: list[tuple[Iterator[Any], Format[Any], bytes]] = [
        (progress(), as_text, b'{"done":0}\n{"done":1}\n{"done":2}\n'),
        (blocks(), as_bytes, b"abc"),
    ]
    for source, format, sent in cases:
        hand, received = Handover(), b""
        async with create_task_group() as tasks:
            tasks.start_soon(hand.feed, source, format.encoder())
            await wait_for(lambda: hand.ended or hand._ready)  # noqa: B023 - waited for here
            while batch := await hand.take():
                received += batch
        assert received == sent
        assert hand.count == 3


async def test_large_values_are_bounded_by_what_they_are_when_written() -> None:
    letters = Letters({"x": "y" * 100_000}, endless=True)
    source, hand = Threaded(letters), Handover()
    async with create_task_group() as tasks:
        tasks.start_soon(hand.feed, source, as_text.encoder())
        await wait_all_tasks_blocked()
        await wait_for(lambda: source._bytes >= MAX_BYTES)
        made = letters.made
        hand.leave()
    assert made < 40


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_what_would_stop_a_program_stops_only_the_stream(kind: type[BaseException]) -> None:
    def leaving() -> Iterator[str]:
        yield "a"
        raise kind

    async with open_source(leaving()) as items:
        assert await anext(items) == "a"
        with pytest.raises(SourceError) as caught:
            await anext(items)
    assert isinstance(caught.value.__cause__, kind)


async def test_a_thread_that_cannot_be_started_is_the_error_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    letters = Letters("a")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        async with open_source(letters) as items:
            await anext(items)


async def test_an_iterable_that_is_not_its_own_iterator_is_closed_as_well() -> None:
    class Response:
        closed = False

        def __iter__(self) -> Iterator[str]:
            yield "a"

        def close(self) -> None:
            self.closed = True

    response = Response()
    async with open_source(response) as items:
        assert [item async for item in items] == ["a"]
    assert response.closed


async def test_it_sees_a_copy_of_the_context() -> None:
    user: ContextVar[str] = ContextVar("user")
    user.set("ada")

    def who() -> Iterator[str]:
        yield user.get()
        user.set("bob")

    async with open_source(who()) as items:
        assert [item async for item in items] == ["ada"]
    assert user.get() == "ada"


async def test_a_cancelled_wait_loses_nothing() -> None:
    go = threading.Event()

    def waiting() -> Iterator[str]:
        go.wait(5)
        yield "a"

    source = Threaded(waiting())
    batches = source.batches()
    with move_on_after(0.001):
        await anext(source)
    go.set()
    assert await anext(batches) == ["a"]
    await batches.aclose()
    await source.aclose()


async def test_one_that_does_not_return_is_given_up_and_its_thread_ends_when_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Threaded, "close_timeout", 0.02)
    go = threading.Event()

    def blocked() -> Iterator[str]:
        yield "a"
        go.wait(5)
        yield "b"

    source = Threaded(blocked())
    assert await anext(source) == "a"
    with pytest.raises(CleanupTimeout):
        await source.aclose()
    thread = source._thread
    assert thread is not None
    assert thread.daemon
    go.set()
    await wait_for(lambda: not thread.is_alive())


async def test_closing_is_shielded_from_the_cancellation_that_caused_it() -> None:
    letters = Letters("a", endless=True)
    async with create_task_group() as tasks:
        source = Threaded(letters)
        await anext(source)
        tasks.cancel_scope.cancel()
        await source.aclose()
    assert letters.closed.is_set()


async def test_one_that_was_never_started_is_closed_without_a_thread() -> None:
    generator = iter(Letters("a"))
    source = Threaded(generator)
    await source.aclose()
    assert list(generator) == []
    assert source._thread is None
    await Threaded(["a"]).aclose()


async def test_it_may_be_closed_twice_and_then_it_has_ended() -> None:
    source = Threaded(iter(Letters("a", endless=True)))
    await anext(source)
    await source.aclose()
    await source.aclose()
    with pytest.raises(StopAsyncIteration):
        while True:
            await anext(source)


def test_a_thread_outlives_the_event_loop_without_a_complaint() -> None:
    go = threading.Event()

    def blocked() -> Iterator[str]:
        yield "a"
        go.wait(5)
        yield "b"

    async def abandon() -> Threaded[str]:
        source = Threaded(blocked())
        await anext(source)
        with move_on_after(0.001):
            await anext(source)
        return source

    source = anyio.run(abandon)
    thread = source._thread
    assert thread is not None
    go.set()
    thread.join(5)
    assert not thread.is_alive()
    assert source._ended


def test_a_pipe_is_read_as_it_comes() -> None:
    class Pipe:
        closed = False

        def read1(self, size: int) -> bytes:
            return next(self.parts)

        def read(self, size: int) -> bytes:
            raise AssertionError("read waits for a whole chunk")

        def close(self) -> None:
            self.closed = True

        parts = iter([b"a", b"b", b""])

    pipe = Pipe()
    assert list(Chunks(pipe)) == [b"a", b"b"]  # type: ignore[arg-type]  # all that is used of a file
