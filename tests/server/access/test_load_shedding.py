from __future__ import annotations

import contextlib

import pytest

from server.access.load_shedding import LoadShedding, QueueFull


class Clock:
    """Stands still until advanced."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def go_on(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock():
    return Clock()


def test_work_is_refused_when_work_in_progress_takes_too_long(clock):
    pace = LoadShedding(most_s=0.05, threads=1, clock=clock)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(pace.work())  # its duration is still unknown
        clock.go_on(0.3)
    with pace.work(), pytest.raises(QueueFull) as refusal, pace.work():
        pass
    assert 0.05 / 2 < refusal.value.retry_after_s < 0.3


def test_a_request_can_be_refused_before_its_work_begins(clock):
    pace = LoadShedding(most_s=0.01, threads=1, clock=clock)
    with pace.work():
        pace.check()  # its duration is still unknown
        clock.go_on(0.05)
    pace.check()  # nothing is in progress
    with pace.work(), pytest.raises(QueueFull):
        pace.check()


def test_an_idle_server_admits_a_request_however_long_the_last_one_took(clock):
    pace = LoadShedding(most_s=0.01, threads=1, clock=clock)
    admitted = 0
    for _ in range(3):
        with pace.work():
            clock.go_on(60.0)
            admitted += 1
    assert admitted == 3


def test_quick_work_may_queue(clock):
    pace = LoadShedding(most_s=10.0, threads=1, clock=clock)
    with pace.work():
        clock.go_on(0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(pace.work())
        pace.check()  # the next one would not be refused either


def test_failed_work_does_not_count_as_in_progress(clock):
    pace = LoadShedding(most_s=0.0, threads=1, clock=clock)
    with pace.work():
        clock.go_on(0.01)
    for _ in range(5):
        with pytest.raises(ValueError, match="failed"), pace.work():
            raise ValueError("failed")
