"""Followers are cut, vanish, stall or crawl. Nothing is lost for them, and nobody else notices."""

from __future__ import annotations

import socket
from contextlib import closing
from random import Random
from threading import Event, Thread
from time import monotonic

from ._follower import Follower, leave_abruptly, request
from ._history import check_all
from ._workers import LONG, Pair, eventually

# A worker has the newest events of a stream at hand, also those that are no longer kept.
IN_MEMORY = 1 << 19

# What the memory of a worker may vary by, as it works.
GROWTH = 4 << 20


def test_a_follower_cut_200_times_anywhere_sees_each_event_once(pair: Pair, draw: Random) -> None:
    total, cuts, size = 400, 200, draw.choice([0, 50, 1000])
    pair.one.begin("a", total=total, rate=200, size=size)

    def few() -> int | None:
        nonlocal cuts
        cuts -= 1  # the followers share it: it may be cut once or twice more
        return draw.randint(1, 10 * (size + 100)) if cuts >= 0 else None

    followers = [Follower("a", draw.sample(pair.both, 2), cut=few) for _ in range(6)]
    whole = Follower("a", [pair.other])

    sights = [follower.done() for follower in followers]
    check_all([*sights, whole.done()], last="end")
    assert cuts < 0
    assert whole.sight.seq == total + 1


def test_who_is_overtaken_by_the_trimming_is_told_how_much_is_missing(
    pair: Pair, draw: Random
) -> None:
    total, kept, size = 1000, 20, draw.randint(1000, 2000)
    pair.one.begin("a", total=total, rate=750, size=size, max_events=kept)
    cut = Follower("a", draw.sample(pair.both, 2), cut=lambda: draw.randint(1, 5000))
    whole = [Follower("a", [worker]) for worker in pair.both]
    away = Follower("a", [pair.other], until=draw.randint(1, 100))
    sight = away.done()
    pair.one.wait_for("a", sight.seq + IN_MEMORY // size + kept)

    back = Follower("a", [pair.other], back=away)
    sights = [back.done(), cut.done(), *(follower.done() for follower in whole)]
    check_all(sights, last="end", gaps=True)
    assert sight.of("gap")
    assert sight.seq == total + 1
    assert pair.one.status("a")["first"] == total + 1 - kept + 1


def test_who_stalls_while_connected_is_told_how_much_is_missing(pair: Pair, draw: Random) -> None:
    total, go_on = 1000, Event()
    size = draw.randint(8_000, 12_000)  # more than the buffers of two kernels take
    pair.one.begin("a", total=total, rate=1000, size=size, max_events=20)
    stalled = [Follower("a", [worker], stalled=go_on) for worker in pair.both]
    quick = [Follower("a", [worker]) for worker in pair.both]

    sights = [follower.done() for follower in quick]
    go_on.set()

    check_all([*sights, *(follower.done() for follower in stalled)], last="end", gaps=True)
    assert all(follower.sight.of("gap") for follower in stalled)
    assert all(follower.sight.connections == 2 for follower in stalled), "it was cut"


def test_100_abrupt_disconnects_leave_nothing_behind(pair: Pair, draw: Random) -> None:
    pair.one.begin("a", rate=100, size=100)
    pair.other.begin("idle", rate=0.001)
    connections: list[socket.socket] = []
    for number in range(100):
        worker = draw.choice(pair.both)
        connection = request(worker, draw.choice(["a", "idle"]), "")
        connections.append(connection)
        if number % 3:  # the others leave before they have an answer
            connection.recv(draw.randint(1, 2000))
        if number % 5 == 0:
            leave_abruptly(connections.pop(draw.randrange(len(connections))))
    draw.shuffle(connections)
    for connection in connections:
        if draw.random() < 0.5:
            connection.close()
        else:
            leave_abruptly(connection)

    left = [[0, 1, 0], [0, 1, 0]]  # one producer each; nobody follows, nothing is read for nobody
    assert eventually(lambda: statistics(pair) == left), statistics(pair)


def test_a_reader_of_1_kib_per_second_costs_no_memory_and_slows_nobody(
    pair: Pair, draw: Random
) -> None:
    seconds = 20.0 if LONG else 2.5
    rate = 500
    pair.one.begin("a", rate=rate, size=2000, max_bytes=2 << 20)
    quick = [Follower("a", [worker]) for worker in pair.both]
    stop = Event()
    with closing(request(pair.one, "a", "")) as first, closing(request(pair.other, "a", "")) as two:
        slow = [Thread(target=crawl, args=(each, stop)) for each in (first, two)]
        for thread in slow:
            thread.start()
        pair.one.wait_for("a", 400)  # each worker holds what it ever holds of a stream
        memory, seen, began = measured(pair), [each.sight.seq for each in quick], monotonic()
        assert eventually(lambda: monotonic() - began > seconds, seconds + 1)
        took = monotonic() - began
        grown = [now - before for now, before in zip(measured(pair), memory, strict=True)]
        passed = [each.sight.seq - before for each, before in zip(quick, seen, strict=True)]
        stop.set()
        for thread in slow:
            thread.join()
    check_all([follower.leave() for follower in quick])
    assert max(grown) < GROWTH, grown
    assert min(passed) > 0.8 * rate * took, passed


def statistics(pair: Pair) -> list[list[int]]:
    return [worker.statistics() for worker in pair.both]


def measured(pair: Pair) -> list[int]:
    return [worker.resident_bytes() for worker in pair.both]


def crawl(connection: socket.socket, stop: Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not stop.wait(0.1):
        connection.recv(102)
