"""The two workers, which all tests here share; and the rounds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from random import Random, randrange

import pytest

from ._workers import LONG, Pair

REPEATED = os.environ.get("STREAMKIT_CHAOS_ROUND", "")
ROUNDS = int(os.environ.get("STREAMKIT_CHAOS_ROUNDS") or 10)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once, always alike; or, in the long form, in so many rounds of their own."""
    if "draw" in metafunc.fixturenames:
        numbers = [int(REPEATED)] if REPEATED else [1]
        if LONG and not REPEATED:
            numbers = [randrange(1_000_000) for _ in range(ROUNDS)]
        ids = [f"round {number}" for number in numbers]
        metafunc.parametrize("draw", numbers, ids=ids, indirect=True)


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Random:
    """Draw the moments and sizes of this round."""
    number: int = request.param
    sys.stdout.write(f"to repeat this round: STREAMKIT_CHAOS_ROUND={number} make chaos\n")
    return Random(number)


@pytest.fixture(scope="package")  # not longer: other tests look for processes that are left
def _workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("chaos"))
    yield pair
    for worker in pair.both:
        if worker.port:
            worker.end()


@pytest.fixture
def pair(_workers: Pair) -> Iterator[Pair]:
    """Two running workers without a stream, and none after it."""
    _workers.start()
    before = {worker: len(worker.log()) for worker in _workers.both}
    yield _workers
    for worker, length in before.items():
        sys.stdout.write(f"worker {worker.name} logged:\n{worker.log()[length:]}\n")
    _workers.tidy()
    for worker, length in before.items():
        assert "Traceback" not in worker.log()[length:], f"worker {worker.name} failed, see above"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those with workers: they wait for processes and for leases."""
    for item in items:
        if "_workers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
