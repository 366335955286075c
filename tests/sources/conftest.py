"""Every test on three event loops, and nothing left after any of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep
from uuid import uuid4

import pytest
import uvloop

from ._model_server import can_ask
from .process._commands import BACKENDS, is_running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what cannot be: a carrier of asyncio on trio."""
    items[:] = [item for item in items if can_ask(item)]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run every async test on asyncio, on uvloop and on trio."""
    return request.param


@pytest.fixture(scope="session")
def libuv_has_what_it_keeps() -> None:
    """Let it open a pipe with its first loop, and start threads with its first look-up of a host.

    They are for all that will follow in this process.
    """
    loop = uvloop.new_event_loop()
    loop.run_until_complete(loop.getaddrinfo("localhost", 80))
    loop.close()


@pytest.fixture(autouse=True)
def nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, libuv_has_what_it_keeps: None
) -> Iterator[None]:
    """See that each process, thread and descriptor of a test is gone when it ends."""
    mark = str(uuid4())
    monkeypatch.setenv("MARK_OF_THE_TEST", mark)
    threads, files, others = _threads(), _open_files(), _processes()
    yield
    left = [pid for pid in _processes() - others if _has_mark(pid, mark) and is_running(int(pid))]
    assert not left, "a process is left"
    with pytest.raises(ChildProcessError):  # as there is none, not even a zombie
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    deadline = monotonic() + 1.0
    while not _threads() <= threads and monotonic() < deadline:
        sleep(0.001)  # one that has ended is there until the kernel has noticed
    assert _threads() <= threads, "a thread is left"
    assert _open_files() <= files, f"left open: {_open_files() - files}"


def _processes() -> set[str]:
    return set(filter(str.isdigit, os.listdir("/proc")))


def _has_mark(pid: str, mark: str) -> bool:
    """Tell whether a process inherited the mark, also where it is no child any more."""
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environ:
        return mark.encode() in environ.read()
    return False


def _threads() -> set[str]:
    """Return the threads of this process as the kernel knows them, also those without a name."""
    # Trio keeps idle workers for 10 s, for whoever needs one next.
    idle = {str(each.native_id) for each in threading.enumerate() if each.name.startswith("Trio")}
    return set(os.listdir("/proc/self/task")) - idle


def _open_files() -> set[str]:
    links = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile, as the listing's own is
            links.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return links
