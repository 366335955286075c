"""A worker runs what gathered, in groups, in a thread of its own, and tells each caller alone."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, move_on_after, to_thread, wait_all_tasks_blocked

from streamkit._loop import call_soon
from streamkit._store import worker as worker_module
from streamkit._store.worker import Asked, Worker
from streamkit.errors import CleanupTimeout, UsageError

NAME = "streamkit-test-worker"


class Kitchen:
    """A server that writes down what it did, and in which thread."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.threads = {threading.get_ident()}
        self.idled = threading.Event()
        self.closed = threading.Event()

    def serve(self, calls: Sequence[Asked[Kitchen]]) -> None:
        self.groups.append(len(calls))
        self.threads.add(threading.get_ident())
        for asked in calls:
            try:
                asked.run(self)
            except ValueError as error:
                asked.fail(error)

    def idle(self) -> None:
        self.idled.set()

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


def make_worker(**options: Any) -> tuple[Worker[Kitchen], list[Kitchen]]:
    made: list[Kitchen] = []

    def make() -> Kitchen:
        made.append(Kitchen())
        return made[-1]

    return Worker(NAME, make, **options), made


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


async def hold(worker: Worker[Kitchen], go: threading.Event) -> None:
    """Keep the thread busy until `go`."""
    started = threading.Event()

    def wait(_: Kitchen) -> None:
        started.set()
        go.wait(5)

    async with create_task_group() as tasks:
        tasks.start_soon(worker.call, wait)
        await to_thread.run_sync(started.wait, 5)
        tasks.cancel_scope.cancel()  # nobody waits for it any more; it goes on in the thread


async def test_what_gathers_while_a_group_runs_is_the_next_group() -> None:
    worker, made = make_worker()
    go = threading.Event()
    await hold(worker, go)
    results: list[int] = []

    async def ask(number: int) -> None:
        results.append(await worker.call(lambda _: number))

    async with create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, number)
        await wait_all_tasks_blocked()
        go.set()
    assert sorted(results) == list(range(20))
    assert made[0].groups == [1, 20]
    await worker.aclose()


async def test_a_group_has_a_largest_size() -> None:
    worker, made = make_worker()
    worker.max_group = 3
    go = threading.Event()
    await hold(worker, go)
    async with create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(worker.call, id)
        await wait_all_tasks_blocked()
        go.set()
    assert made[0].groups == [1, 3, 3, 1]
    await worker.aclose()


async def test_each_event_loop_is_woken_once_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[object] = []

    def count(*args: Any) -> None:
        woken.append(args)
        call_soon(*args)

    monkeypatch.setattr(worker_module, "call_soon", count)
    worker, _ = make_worker()
    go = threading.Event()
    await hold(worker, go)
    async with create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(worker.call, id)
        await wait_all_tasks_blocked()
        go.set()
    assert len(woken) == 2  # one for the call that held it
    await worker.aclose()


async def test_a_call_that_fails_fails_alone() -> None:
    worker, _ = make_worker()
    results: list[int | str] = []

    async def ask(text: str) -> None:
        try:
            results.append(await worker.call(lambda _: int(text)))
        except ValueError:
            results.append(text)

    async with create_task_group() as tasks:
        for text in ("1", "mine", "2"):
            tasks.start_soon(ask, text)
    assert set(results) == {1, "mine", 2}
    await worker.aclose()


async def test_a_server_that_raises_fails_its_group_and_goes_on() -> None:
    worker, _ = make_worker()
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda _: 1 // 0)
    assert await worker.call(lambda _: 1) == 1
    await worker.aclose()


async def test_a_cancelled_call_is_run_all_the_same() -> None:
    worker, _ = make_worker()
    go, ran = threading.Event(), threading.Event()
    await hold(worker, go)
    with move_on_after(0):
        await worker.call(lambda _: ran.set())
    go.set()
    await worker.call(lambda _: None)
    assert ran.is_set()
    await worker.aclose()


async def test_its_server_lives_in_one_thread_that_is_not_ours() -> None:
    worker, made = make_worker()
    assert not threads()
    await worker.call(lambda _: None)
    await worker.call(lambda _: None)
    assert len(threads()) == 1
    await worker.aclose()
    assert not threads()
    assert made[0].closed.is_set()
    assert len(made[0].threads) == 1
    assert threading.get_ident() not in made[0].threads


async def test_closing_does_first_what_was_asked_for_even_when_cancelled() -> None:
    worker, _ = make_worker()
    go, ran = threading.Event(), threading.Event()
    await hold(worker, go)
    async with create_task_group() as tasks:
        tasks.start_soon(worker.call, lambda _: ran.set())
        await wait_all_tasks_blocked()
        tasks.start_soon(worker.aclose)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()  # closing is shielded
        go.set()
    assert ran.is_set()
    assert not threads()


async def test_a_closed_one_starts_again_with_the_next_call_and_closes_twice() -> None:
    worker, made = make_worker()
    await worker.aclose()
    assert await worker.call(lambda _: 1) == 1
    await worker.aclose()
    await worker.aclose()
    assert await worker.call(lambda _: 2) == 2
    await worker.aclose()
    assert len(made) == 2


async def test_one_that_does_not_end_is_left_to_end_by_itself() -> None:
    worker, made = make_worker()
    worker.close_timeout = 0.02
    go = threading.Event()
    await hold(worker, go)
    (thread,) = threads()
    assert thread.daemon
    with pytest.raises(CleanupTimeout):
        await worker.aclose()
    go.set()
    await to_thread.run_sync(thread.join, 5)
    assert made[0].closed.is_set()


async def test_an_idle_thread_holds_nothing_of_what_it_did() -> None:
    def eat(large: threading.Event, _: Kitchen) -> None:
        large.set()

    worker, _ = make_worker()
    large = threading.Event()
    held = weakref.ref(large)
    await worker.call(partial(eat, large))
    del large
    gc.collect()
    assert held() is None
    await worker.aclose()


async def test_it_is_idle_when_nothing_is_asked_for_in_a_while() -> None:
    worker, made = make_worker(every=0.001)
    await worker.call(lambda _: None)
    assert await to_thread.run_sync(made[0].idled.wait, 5)
    assert await worker.call(lambda _: 1) == 1
    await worker.aclose()


async def test_it_says_so_when_it_was_in_use_before_a_fork(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, _ = make_worker()
    await worker.call(lambda _: None)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        with pytest.raises(UsageError, match="before a fork"):
            await worker.call(lambda _: None)
        await worker.aclose()  # that is the affair of the other process
    assert await worker.call(lambda _: 1) == 1
    await worker.aclose()


def test_it_serves_several_event_loops() -> None:
    worker, _ = make_worker()
    results: list[int] = []
    both = threading.Barrier(2, timeout=5)

    async def ask(number: int) -> None:
        both.wait()
        with fail_after(5):
            results.extend([await worker.call(lambda _: number) for _ in range(100)])

    loops = [
        threading.Thread(target=anyio.run, args=(ask, number), kwargs={"backend": backend})
        for number, backend in enumerate(["asyncio", "trio"])
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(5)
    anyio.run(worker.aclose)
    assert sorted(results) == [0] * 100 + [1] * 100


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_outlives_an_event_loop_that_asked(backend: str) -> None:
    worker, _ = make_worker()
    go = threading.Event()

    async def leave() -> None:
        await hold(worker, go)
        with move_on_after(0):
            await worker.call(lambda _: None)

    async def come() -> int:
        with fail_after(5):
            result = await worker.call(lambda _: 1)
            await worker.aclose()
            return result

    anyio.run(leave, backend=backend)
    go.set()
    assert anyio.run(come, backend=backend) == 1
