"""Several processes have one file: they see each other, exclude each other, and may die."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from anyio import fail_after, to_thread

from streamkit import Claim
from streamkit.sinks.sqlite import SQLiteStore

from ..makers import claim_of
from .child import EVENT
from .files import run_child, sql, start_child

pytestmark = pytest.mark.slow  # a process takes half a second to start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


async def test_one_reads_what_another_wrote_and_hears_of_it(path: Path) -> None:
    lines = [b'{"data":1}', b"2", b'"\xc3\xa4"']
    async with SQLiteStore(path) as store, store.bells() as bells:
        await store.claim(claim_of("source"), "nothing")
        await store.append(claim_of("source"), 0, lines)
        await to_thread.run_sync(run_child, "copy", path, "source", "target")
        with fail_after(5):
            while await anext(bells) != "target":
                pass
        page = await store.read("target", 0, 10)
        assert page is not None
        assert page.events == lines
        assert page.head.state == "done"


async def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        with start_child("append_for_ever", path, "a") as child:
            assert child.stdout is not None
            for _ in range(20):
                acknowledged = int(child.stdout.readline())
            child.kill()
            rest = child.stdout.read().splitlines()
            acknowledged = int(rest[-1]) if rest else acknowledged
        assert sql(path, "PRAGMA integrity_check") == [("ok",)]
        async with SQLiteStore(path) as store:
            page = await store.read("a", 0, 100_000)
            assert page is not None
            assert page.head.tail >= acknowledged >= 60
            assert page.events == [EVENT % number for number in range(1, page.head.tail + 1)]
            await store.delete("a")


@pytest.mark.parametrize("what", ["claim_all", "take_over_all"])
def test_of_claims_of_two_processes_exactly_one_wins(path: Path, what: str) -> None:
    if what == "take_over_all":
        anyio.run(make_lapsed, path)
    children = [start_child(what, path, name) for name in ("scalar", "two")]  # both make the file
    won: list[int] = []
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        with child:
            output, _ = child.communicate(timeout=30)
            assert child.returncode == 0
            won += map(int, output.split())
    assert sorted(won) == list(range(50))


async def make_lapsed(path: Path) -> None:
    async with SQLiteStore(path) as store:
        for number in range(50):
            await store.claim(Claim(f"n{number}", "life1", 1, "token1", 0, 100.0), "nothing")
