"""Several faults in any order, with several streams at once."""

from __future__ import annotations

from random import Random

import pytest

from ._follower import Follower
from ._history import check_all
from ._workers import LONG, Pair, Worker, pause

# A round of the long form has more of them.
pytestmark = pytest.mark.timeout(120)

LEASE = 0.8


class Story:
    """One stream, who follows it, and how often it was started again."""

    def __init__(self, pair: Pair, draw: Random, name: str) -> None:
        self.name, self.restarts = name, 0
        self.begin(draw.choice(pair.both), draw)
        self.followers = [
            Follower(
                name, draw.sample(pair.both, 2), cut=lambda: draw.choice([None, 3_000, 10_000])
            )
            for _ in range(3)
        ]

    def begin(self, worker: Worker, draw: Random, **query: object) -> None:
        total, mark = draw.randint(50, 400 if LONG else 150), f"life {self.restarts}"
        worker.begin(self.name, total=total, rate=100, size=300, lease=LEASE, mark=mark, **query)

    def check(self, pair: Pair) -> None:
        late = [Follower(self.name, [worker]) for worker in pair.both]
        sights = [follower.done() for follower in (*self.followers, *late)]
        last = sights[-1].last
        # Who has seen the end of a life does not come back for the next one.
        whole = [sight for sight in sights if sight.blocks[-1].id == sights[-1].blocks[-1].id]
        assert last in ("end", "orphaned", "cancelled")
        check_all(sights, resets=self.restarts)
        check_all(whole, last=last, resets=self.restarts)
        assert len(whole) >= 2
        assert self.restarts or len(whole) == len(sights)


def test_whatever_happens_each_stream_has_one_story_and_one_end(pair: Pair, draw: Random) -> None:
    stories = [Story(pair, draw, f"n{number}") for number in range(6)]
    for _ in range(12 if LONG else 3):
        worker, story = draw.choice(pair.both), draw.choice(stories)
        match draw.choice(["kill", "stop", "cancel", "restart"]):
            case "kill":
                worker.kill()
                pause(draw.choice([0, 0, LEASE]))
                pair.start()
            case "stop":
                worker.stop()
                pause(draw.uniform(0, 2 * LEASE))
                worker.go_on()
            case "cancel":
                assert worker.ask("POST", f"/cancel/{story.name}")[0] == 200
            case "restart":
                story.restarts += 1
                story.begin(worker, draw, restart="")
        pause(draw.uniform(0, 0.6))
    for story in stories:
        story.check(pair)
