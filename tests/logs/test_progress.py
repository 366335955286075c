"""A tracker tells progress seldom enough, always the last value, and rates that can be believed."""

from __future__ import annotations

import threading
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest

from streamkit import Event, as_jsonl, as_sse, as_text
from streamkit.errors import Overflow, StreamEnded, StreamLost
from streamkit.logs import Progress, ProgressTracker


class Watched(ProgressTracker):
    """A tracker on a clock that stands still, and what it sent."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sent: list[Progress] = []
        self.error: Exception | None = None
        super().__init__(self._receive, clock=lambda: self.now)

    def _receive(self, progress: Progress) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(progress)

    @property
    def done(self) -> list[float]:
        return [progress.done for progress in self.sent]

    @property
    def last(self) -> Progress:
        return self.sent[-1]

    def after(self, seconds: float, done: float, **known: Any) -> Progress:
        """Let time pass, update, and return what was sent last."""
        self.now += seconds
        self.update(done, **known)
        return self.last


def test_progress_is_an_event_with_all_of_it() -> None:
    progress = Progress(3, 4, 75.0, 1.5, 0.7, "parsing")
    assert as_sse.encoder().one(progress) == (
        b"event: progress\n"
        b'data: {"done":3,"total":4,"percent":75.0,"rate":1.5,"eta":0.7,"message":"parsing"}\n\n'
    )
    assert as_sse.encoder().one(Progress(3)) == (
        b"event: progress\n"
        b'data: {"done":3,"total":null,"percent":null,"rate":null,"eta":null,"message":""}\n\n'
    )


def test_progress_is_neither_text_nor_a_record() -> None:
    assert as_text.encoder().one(Progress(3)) == b""
    assert as_jsonl.encoder().one(Progress(3)) == b""


def test_a_store_knows_progress_by_its_kind() -> None:
    assert Progress.kind == Progress(3).kind == "progress"
    assert isinstance(Progress(3).to_event(), Event)


def test_the_first_value_is_sent_at_once() -> None:
    tracker = Watched()
    assert tracker.due is None
    tracker.update(1, total=4, message="parsing")
    assert tracker.sent == [Progress(1, 4, 25.0, message="parsing")]


def test_what_is_left_out_stays_as_it_was() -> None:
    tracker = Watched()
    tracker.update(1, total=4, message="parsing")
    tracker.after(1, 2)
    assert (tracker.last.total, tracker.last.message) == (4, "parsing")
    tracker.now += 1
    tracker.update(message="")
    assert (tracker.last.done, tracker.last.message) == (2, "")


def test_a_value_that_comes_too_early_is_replaced_by_the_next() -> None:
    tracker = Watched()
    tracker.update(1)
    tracker.now += 0.09
    tracker.update(2)
    tracker.update(3)
    assert tracker.done == [1]
    tracker.now += 0.02
    tracker.update(4)
    assert tracker.done == [1, 4]


def test_ten_a_second_are_sent_and_then_the_last() -> None:
    tracker = Watched()
    for done in range(1000):
        tracker.update(done)
        tracker.now += 0.001
    assert 9 <= len(tracker.sent) <= 10
    tracker.flush()
    assert tracker.done[-1] == 999


def test_the_last_value_of_a_job_that_stops_is_sent_when_it_is_due() -> None:
    tracker = Watched()
    tracker.update(94)
    tracker.now += 0.05
    tracker.update(95)
    assert tracker.due == 1000.1
    tracker.flush_due(1000.09)
    assert tracker.done == [94]
    tracker.flush_due(1000.1)
    assert tracker.done == [94, 95]
    assert tracker.due == 1000.2  # what comes now waits again
    tracker.flush_due(1000.2)
    assert tracker.done == [94, 95]
    assert tracker.due is None  # and its owner may sleep for ever


def test_the_owner_that_is_woken_by_a_value_already_sees_when_to_look_again() -> None:
    seen: list[float | None] = []
    tracker = ProgressTracker(lambda _: seen.append(tracker.due), clock=lambda: 5.0)
    tracker.update(1)
    assert seen == [5.1]


def test_a_value_after_the_window_needs_nobody_to_close_it() -> None:
    tracker = Watched()
    tracker.update(1)
    assert tracker.after(0.2, 2).done == 2
    assert tracker.due == pytest.approx(1000.3)


def test_flush_sends_what_is_held_once() -> None:
    tracker = Watched()
    tracker.flush()
    assert tracker.sent == []
    tracker.update(1)
    tracker.update(2)
    tracker.flush()
    tracker.flush()
    assert tracker.done == [1, 2]


def test_a_value_for_which_there_is_no_room_is_tried_again() -> None:
    tracker = Watched()
    tracker.error = Overflow("a")
    tracker.update(1)
    tracker.flush()
    tracker.flush_due(1000.1)
    assert tracker.due == 1000.2
    tracker.error = None
    tracker.flush_due(1000.2)
    assert tracker.done == [1]
    tracker.flush()
    assert tracker.done == [1]


def test_a_long_time_without_room_does_not_disturb_the_rate() -> None:
    tracker = Watched()
    tracker.update(0)
    tracker.error = Overflow("a")
    tracker.now += 5
    tracker.update(10)
    for _ in range(200):
        tracker.now += 0.1
        tracker.flush_due(tracker.now)
    tracker.error = None
    tracker.flush()
    assert tracker.last.rate == 2.0


@pytest.mark.parametrize("error", [StreamEnded("a"), StreamLost("a", "it was deleted")])
def test_a_job_may_tell_progress_after_the_end_of_its_stream(error: Exception) -> None:
    tracker = Watched()
    tracker.update(1)
    tracker.error = error
    for done in range(3):
        tracker.now += 0.06
        tracker.update(done)
        tracker.flush()
    tracker.flush_due(tracker.now + 1)
    tracker.error = None
    tracker.flush()
    assert tracker.done == [1]


def test_another_failure_is_raised_and_loses_nothing() -> None:
    tracker = Watched()
    tracker.error = OSError("broken")
    with pytest.raises(OSError, match="broken"):
        tracker.update(1)
    tracker.error = None
    tracker.flush()
    assert tracker.done == [1]


def test_an_update_in_the_middle_of_another_is_not_lost() -> None:
    # As when Python collects, and so closes, a `track` there.
    seen: list[float] = []

    def send(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.done < 3:
            tracker.update(advance=1)

    tracker = ProgressTracker(send, clock=lambda: 5.0)
    tracker.update(1)
    assert seen == [1]
    tracker.flush()
    tracker.flush()
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [
        pytest.param(0, None, None, id="no total"),
        pytest.param(0, 0, 100.0, id="nothing to do"),
        pytest.param(0, 3, 0.0, id="not begun"),
        pytest.param(1, 3, 33.3, id="one decimal"),
        pytest.param(2, 3, 66.6, id="rounded down"),
        pytest.param(29, 100, 29.0, id="exact"),
        pytest.param(9999, 10_000, 99.9, id="almost is not all"),
        pytest.param(10**30 - 1, 10**30, 99.9, id="almost, far beyond a float"),
        pytest.param(0.1 + 0.2 - 2**-54, 0.1 + 0.2, 99.9, id="almost, in the last bit"),
        pytest.param(3, 3, 100.0, id="all"),
        pytest.param(4, 3, 100.0, id="more than all"),
        pytest.param(-1, 3, 0.0, id="less than nothing"),
        pytest.param(1.5, 2.5, 60.0, id="fractions"),
    ],
)
def test_percent_is_between_0_and_100(
    done: float, total: float | None, percent: float | None
) -> None:
    tracker = Watched()
    tracker.update(done, total=total)
    assert tracker.last.percent == percent


def test_rate_and_time_left_are_not_told_before_they_can_be_measured() -> None:
    tracker = Watched()
    tracker.update(0, total=100)
    assert (tracker.last.rate, tracker.last.eta) == (None, None)
    tracker.now += 0.05
    tracker.update(10)
    tracker.flush()
    assert (tracker.last.rate, tracker.last.eta) == (None, None)
    assert tracker.after(0.95, 20).rate == 20.0
    assert tracker.last.eta == 4.0


@pytest.mark.parametrize(
    ("done", "seconds", "rate", "eta"),
    [
        pytest.param(1, 3.0, 0.333, 297.3, id="three digits"),
        pytest.param(12345, 1.0, 12300.0, 0.0, id="three digits of a large one"),
        pytest.param(0, 1.0, 0.0, None, id="stands still"),
        pytest.param(100, 1.0, 100.0, 0.0, id="all is done"),
        pytest.param(1, 1e6, 1e-06, 99e6, id="very slow"),
    ],
)
def test_rate_and_time_left_have_sensible_digits(
    done: float, seconds: float, rate: float, eta: float | None
) -> None:
    tracker = Watched()
    tracker.update(0, total=100)
    tracker.after(seconds, done)
    assert (tracker.last.rate, tracker.last.eta) == (rate, eta)


def test_a_rate_needs_no_total() -> None:
    tracker = Watched()
    tracker.update(0)
    assert tracker.after(2, 10) == Progress(10, None, None, 5.0, None)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    tracker = Watched()
    for second in range(60):
        tracker.after(1, second * 100)
    for second in range(10):
        tracker.after(1, 5900 + second * 10)
    assert tracker.after(1, 6000).rate == pytest.approx(10, rel=0.1)


def test_the_rate_of_slow_items_is_that_of_the_last_ten() -> None:
    tracker = Watched()
    for minute in range(20):
        tracker.after(60, minute)
    tracker.after(6, 20)  # one quick item does not turn the time left upside down
    assert tracker.last.rate == pytest.approx(9 / (8 * 60 + 6), rel=0.01)


def test_a_value_that_is_sent_late_has_the_rate_of_when_it_was_reached() -> None:
    tracker = Watched()
    tracker.update(0)
    tracker.after(1, 10)
    tracker.now += 0.05
    tracker.update(11)
    tracker.now += 3600
    tracker.flush()
    assert tracker.last.rate == 10.5


def test_a_job_may_start_again() -> None:
    tracker = Watched()
    tracker.update(0, total=100)
    tracker.after(1, 50)
    assert tracker.after(1, 10) == Progress(10, 100, 10.0)
    assert tracker.after(1, 30).rate == 20.0
    tracker.now += 1
    tracker.update(advance=-20)
    assert tracker.last == Progress(10, 100, 10.0)


def test_memory_is_bounded_however_often_somebody_flushes() -> None:
    tracker = Watched()
    for done in range(1000):
        tracker.now += 0.001
        tracker.update(done)
        tracker.flush()
    assert len(tracker._samples) == 128


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"done": nan}, "done is a finite number, not nan"),
        ({"done": -inf}, "done is a finite number, not -inf"),
        ({"advance": nan}, "advance is a finite number, not nan"),
        ({"total": inf}, "total is a finite number, not inf"),
        ({"total": -1}, "total is 0 or more, not -1"),
    ],
)
def test_numbers_that_say_nothing_are_refused(wrong: dict[str, Any], said: str) -> None:
    tracker = Watched()
    with pytest.raises(ValueError, match=said):
        tracker.update(**wrong)
    assert tracker.sent == []


@pytest.mark.parametrize("kind", [Fraction, Decimal, bool])
def test_other_numbers_are_counted_with(kind: Any) -> None:
    tracker = Watched()
    tracker.update(kind(1), total=kind(1), advance=kind(1))
    assert tracker.last == Progress(2.0, 1.0, 100.0, None, 0.0)
    assert b'"done":2.0,"total":1.0,' in as_sse.encoder().one(tracker.last)


def test_threads_count_together_and_nobody_sees_it_go_back() -> None:
    sent: list[float] = []
    tracker = ProgressTracker(lambda progress: sent.append(progress.done))

    def work() -> None:
        for _ in range(500):
            tracker.update(advance=1)
            tracker.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent == sorted(sent)
    assert sent[-1] == 2000
