"""A process dies, or is stopped for longer than its lease. The other goes on."""

from __future__ import annotations

from random import Random
from time import monotonic

import pytest

from ._follower import Follower, request, status_of
from ._history import check_all
from ._workers import SWEEP, Pair, eventually, file_of, pause

# For streams whose producer is to be missed soon.
LEASE = 0.6

# What a busy machine may add to a lease and a sweep.
SLACK = 1.5


def test_a_stream_whose_producer_was_killed_is_orphaned_within_lease_and_sweep(
    pair: Pair, draw: Random
) -> None:
    pair.one.begin("a", rate=draw.choice([20, 200, 0]), size=100, lease=LEASE, max_events=10_000)
    followers = [Follower("a", [pair.other]), Follower("a", [pair.one, pair.other])]
    pair.other.wait_for("a", draw.randint(5, 30))

    pair.one.kill()
    killed = monotonic()
    assert eventually(lambda: pair.other.status("a")["state"] == "orphaned")

    assert monotonic() - killed < LEASE + SWEEP + SLACK
    sights = [follower.done() for follower in followers]
    late = Follower("a", [pair.other]).done()
    check_all([*sights, late], last="orphaned", gaps=True)
    assert late.seq == pair.other.status("a")["tail"]


def test_followers_of_a_killed_worker_resume_on_the_other(pair: Pair, draw: Random) -> None:
    total, rate = 200, 400
    pair.other.begin("a", total=total, rate=rate, size=draw.randint(0, 2000))
    moved = [Follower("a", [pair.one, pair.other]) for _ in range(4)]
    stayed = Follower("a", [pair.other])
    pair.other.wait_for("a", draw.randint(1, total // 2))
    assert eventually(lambda: all(follower.cursor for follower in moved))

    pair.one.kill()

    sights = [follower.done() for follower in moved]
    assert all(sight.connections >= 2 for sight in sights)
    check_all([*sights, stayed.done()], last="end")
    assert stayed.sight.seq == total + 1


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "fenced"])
def test_nobody_was_shown_what_was_not_yet_stored(pair: Pair, draw: Random, dies: bool) -> None:
    pair.one.begin("a", rate=draw.choice([50, 500]), lease=LEASE)
    followers = [Follower("a", draw.sample(pair.both, 2)) for _ in range(3)]
    followers.append(Follower("a", [pair.one, pair.other]))
    pair.other.wait_for("a", draw.randint(2, 20))
    assert eventually(lambda: all(follower.cursor for follower in followers))

    with file_of(pair.path) as sql:
        sql.execute("BEGIN IMMEDIATE")  # from here on the producer waits for the file
        pause(draw.uniform(0.1, 0.3))
        if dies:
            pair.one.kill()
        else:
            pair.one.freeze()
        sql.execute("ROLLBACK")
    if not dies:
        assert eventually(lambda: pair.other.status("a")["state"] == "orphaned")
        pair.one.go_on()

    check_all([follower.done() for follower in followers], last="orphaned")


def test_a_producer_that_wakes_after_its_lease_is_fenced(pair: Pair, draw: Random) -> None:
    pair.one.begin("a", rate=draw.choice([5, 100, 1000]), lease=LEASE)
    held, other = Follower("a", [pair.one]), Follower("a", [pair.other])
    pair.other.wait_for("a", draw.randint(2, 5))

    pair.one.stop()
    check_all([other.done()], last="orphaned")
    tail = pair.other.status("a")["tail"]
    pair.one.go_on()

    # Its followers have seen nothing that is not in the log, and are told the same end.
    check_all([held.done(), other.sight], last="orphaned")
    assert eventually(pair.one.is_idle), "the source of the fenced stream goes on"
    assert "cannot be written any more: another process has taken it over" in pair.one.log()
    assert pair.other.status("a")["tail"] == tail


def test_who_has_seen_the_end_is_not_told_another_story_by_a_producer_that_wakes(
    pair: Pair, draw: Random
) -> None:
    pair.one.begin("a", rate=draw.choice([5, 100]), lease=LEASE)
    other = Follower("a", [pair.other])
    pair.other.wait_for("a", 3)

    pair.one.stop()
    check_all([other.done()], last="orphaned")
    waiting = request(pair.one, "a", other.cursor)  # the kernel takes it
    pair.one.go_on()

    assert status_of(waiting) == 204


def test_when_all_workers_were_stopped_living_producers_go_on(pair: Pair, draw: Random) -> None:
    """A machine that was suspended: nobody died, and nobody could take over meanwhile."""
    total = 100
    pair.one.begin("a", total=total, rate=50, lease=LEASE)
    followers = [Follower("a", [worker]) for worker in pair.both]
    pair.other.wait_for("a", draw.randint(2, 20))

    pair.one.stop()
    pair.other.stop()
    pause(2 * LEASE)
    for worker in draw.sample(pair.both, 2):
        worker.go_on()

    check_all([follower.done() for follower in followers], last="end")
    assert followers[0].sight.seq == total + 1
