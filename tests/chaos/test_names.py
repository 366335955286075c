"""Several want the same name, or the same end, at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from threading import Barrier
from typing import TypeVar

from ._follower import Follower
from ._history import Sight, check_all, check_one
from ._workers import LONG, Pair, eventually

T = TypeVar("T")

STREAMS = 20 if LONG else 8


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Call them in threads of their own, at the same moment; return what they return."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_of_two_producers_for_one_name_one_writes(pair: Pair, draw: Random) -> None:
    for number in range(STREAMS):
        name, query = f"n{number}", {"total": 20, "rate": draw.choice([0, 200])}

        answers = at_once(
            *(
                partial(worker.ask, "POST", f"/start/{name}", mark=worker.name, **query)
                for worker in pair.both
            )
        )

        statuses = [status for status, _ in answers]
        assert sorted(statuses) == [201, 409]
        sights = [Follower(name, [worker]).done() for worker in pair.both]
        check_all(sights, last="end")
        won = pair.both[statuses.index(201)]
        assert {block.data["mark"] for block in sights[0].of("message")} == {won.name}


def test_when_two_restart_a_name_all_end_with_the_same_life(pair: Pair, draw: Random) -> None:
    for number in range(STREAMS // 4):
        name = f"n{number}"
        pair.one.begin(name, rate=200, mark="first")
        followers = [Follower(name, [worker]) for worker in pair.both]
        pair.other.wait_for(name, draw.randint(1, 20))

        query = {"total": 100, "rate": 400, "restart": ""}
        at_once(*(partial(worker.begin, name, mark=worker.name, **query) for worker in pair.both))

        sights = [follower.done() for follower in followers]
        late = Follower(name, [pair.one]).done()
        # Two lives began, and each follower may have seen the first of them or not.
        check_all([*sights, late], last="end", resets=2)
        assert len({sight.blocks[-1].id for sight in [*sights, late]}) == 1
        assert all(sight.of("reset") for sight in sights)
    assert eventually(pair.one.is_idle)
    assert eventually(pair.other.is_idle)


def test_a_follower_of_a_name_that_is_used_again_never_mixes_two_lives(
    pair: Pair, draw: Random
) -> None:
    lives = 6
    pair.one.begin("a", rate=300, mark="life 0")
    followers = [
        Follower("a", draw.sample(pair.both, 2), cut=lambda: draw.choice([None, 500, 5000]))
        for _ in range(4)
    ]
    for life in range(1, lives):
        pair.one.wait_for("a", draw.randint(1, 60))
        worker, last = draw.choice(pair.both), life == lives - 1
        query = {"rate": 300, "mark": f"life {life}", "total": 200 if last else 0}
        if draw.random() < 0.5:
            worker.begin("a", **query, restart="")
        else:
            draw.choice(pair.both).ask("POST", "/delete/a")
            worker.begin("a", **query)

    sights = [follower.done() for follower in followers]
    check_all(sights, last="end", resets=2 * lives)
    for sight in sights:
        marks = [block.data["mark"] for block in sight.of("message")]
        assert marks == sorted(marks), "an older life came back"
        assert marks[-200:] == [f"life {lives - 1}"] * 200


def test_a_cancel_that_races_the_end_leaves_one_end(pair: Pair, draw: Random) -> None:
    seen: set[str] = set()
    for number in range(STREAMS):
        name = f"n{number}"
        early = number == 0  # of one of them the end is far, however busy the machine is
        pair.one.begin(name, total=10, rate=10 if early else 300)
        followers = [Follower(name, [worker]) for worker in pair.both]
        pair.one.wait_for(name, 1 if early else draw.randint(1, 11))

        status, answer = draw.choice(pair.both).ask("POST", f"/cancel/{name}")

        sights = [follower.done() for follower in followers]
        check_all(sights)
        seen.add(last := the_end(sights))
        assert pair.other.status(name)["state"] == {"end": "done"}.get(last, last)
        assert status == 200
        assert answer["state"] in ("open", "done" if last == "end" else last)
    assert seen <= {"end", "cancelled"}
    assert "cancelled" in seen


def the_end(sights: list[Sight]) -> str:
    for sight in sights:
        check_one(sight, last=sights[0].last)
    return sights[0].last
