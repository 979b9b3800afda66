"""How long a run rests, by a clock that the test sets."""

from __future__ import annotations

from orthanc_inventory.host import HostError
from orthanc_inventory.production.throttle import Throttle

QUICK = 0.0003


class Orthanc:
    """Answers within ``latency`` seconds. Who else waits for it gets no turn before ``wakes`` seconds without a question."""

    def __init__(self, latency: float, wakes: float = 0.0) -> None:
        self.latency = latency
        self.wakes = wakes
        self.now = self.idle_since = 0.0
        self.lines: list[str] = []
        self.throttle = self.make()

    def make(self, delay: float = 0.0) -> Throttle:
        return Throttle(delay, self.answer, self.lines.append, clock=lambda: self.now, sleep=self.sleep)

    def answer(self) -> None:
        self.now += self.latency if self.now >= self.idle_since + self.wakes else QUICK
        self.idle_since = self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def work(self, seconds: float, studies: int = 1) -> float:
        """Works on studies of so many seconds each; answers which part of the time the run was at rest."""
        begin, rested = self.now, 0.0
        for _ in range(studies):
            self.now += seconds
            self.idle_since = self.now
            rest = self.throttle.rest()
            self.now += rest
            rested += rest
        return rested / (self.now - begin)


def test_without_throttle_there_are_the_delays_alone() -> None:
    assert Throttle().rest() == 0 and Throttle(0.2).rest() == 0.2 and Throttle(0.2).share == 0


def test_a_run_that_meets_nobody_does_not_rest() -> None:
    orthanc = Orthanc(QUICK)
    assert orthanc.work(0.01, 200) == 0 and orthanc.throttle.share == 0 and not orthanc.lines


def test_rests_grow_with_the_latency_and_end_with_it() -> None:
    orthanc = Orthanc(QUICK)
    orthanc.work(0.1, 10)
    shares = []
    for latency in (0.006, 0.012, QUICK):
        orthanc.latency = latency
        orthanc.work(0.1, 30)  # until the mean has come there
        shares.append(orthanc.work(0.1, 30))
    assert 0.5 < shares[0] < shares[1] < 0.9 and shares[2] == 0
    assert len(orthanc.lines) == 1 and "within" in orthanc.lines[0]


def test_a_first_run_that_finds_orthanc_busy_rests_at_once() -> None:
    orthanc = Orthanc(QUICK)
    orthanc.latency = 0.03
    assert orthanc.work(0.1) > 0.7


def test_a_run_rests_half_of_its_time_at_least() -> None:
    orthanc = Orthanc(QUICK)
    orthanc.latency = 0.0018  # hardly more than usual
    orthanc.work(0.1, 30)
    assert 0.45 < orthanc.work(0.1, 30) <= 0.5


def test_those_whom_the_run_kept_waiting_go_before_its_question() -> None:
    orthanc = Orthanc(0.02, wakes=0.0005)
    assert orthanc.work(0.1, 10) > 0.5


def test_a_run_never_stalls() -> None:
    orthanc = Orthanc(QUICK)
    orthanc.latency = 5.0
    for seconds in (0.001, 0.1, 3.0):
        begin = orthanc.now
        share = orthanc.work(seconds, 100)
        looked = orthanc.now - begin
        assert 0 < share <= 0.9 and looked <= 101 * (seconds + 5.1 + 5.0)


def test_a_later_run_knows_how_quick_orthanc_is() -> None:
    orthanc = Orthanc(QUICK)
    orthanc.work(0.1, 10)
    orthanc.throttle.begin()
    orthanc.latency = 0.006
    orthanc.work(0.1, 30)
    assert orthanc.throttle.share > 0.5 and len(orthanc.lines) == 1
    orthanc.now += 60  # that run is over
    assert orthanc.throttle.share == 0


def test_the_delay_is_the_least_rest() -> None:
    orthanc = Orthanc(QUICK)
    throttle = orthanc.make(0.02)
    for _ in range(20):
        orthanc.now += 0.1
        assert throttle.rest() == 0.02


def test_a_failure_of_orthanc_is_not_one_of_the_throttle() -> None:
    def fail() -> None:
        raise HostError(11, "database")

    now = iter(range(100))
    assert Throttle(ask=fail, clock=lambda: next(now), sleep=lambda seconds: None).rest() == 0
