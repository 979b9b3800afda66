"""How long a run rests between two studies, so that others whom Orthanc serves hardly notice it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ..host import HostError

# Seconds of work between two looks at how fast Orthanc answers, and of the longest rest.
_WORK = 0.05
_LONGEST_REST = 5.0
# Seconds before a look in which others go first who wait for what the run held: Orthanc's locks have no queue.
_BREATH = 0.001
# An answer is slow that takes more than so many times the quickest, and so many seconds.
_TIMES = 2.0
_SECONDS = 0.001
# Next to others a run rests so many times as long as it works, at least: who comes at any moment meets it at rest, rather.
# And no longer than so many times: it comes to its end, however busy Orthanc is.
_LEAST = 1.0
_MOST = 9.0
# Questions at the begin, to know how quick Orthanc is: the first run may meet it busy.
_FIRST = 10
# What the latest answer counts in the mean.
_WEIGHT = 0.3
# For so many seconds a look counts as what is now.
_LATELY = 5.0


class Throttle:
    """The rests of the runs, of which there is one at a time.

    Args:
        delay: seconds between two studies, at least.
        ask: asks Orthanc for something that costs next to nothing, if rests are to grow with the time that its answer takes.
        log: gets one line in each run that rests for that.
    """

    def __init__(
        self,
        delay: float = 0.0,
        ask: Callable[[], object] | None = None,
        log: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._delay = delay
        self._ask = ask
        self._log = log
        self._clock = clock
        self._sleep = sleep
        # Of all runs, for the whole of one may meet a busy Orthanc.
        self._quickest = min(self._latency(ask) for _ in range(_FIRST)) if ask else 0.0
        self.begin()

    def begin(self) -> None:
        """A run begins."""
        self._mean = self._quickest
        self._ratio = 0.0
        self._is_told = False
        self._rested = self._clock()

    @property
    def share(self) -> float:
        """Which part of its time the run rests now, from 0 to 1, besides the delay between two studies."""
        return self._ratio / (1 + self._ratio) if self._clock() - self._rested < _LATELY else 0.0

    def rest(self) -> float:
        """Seconds to wait before the next study."""
        worked = self._clock() - self._rested
        if self._ask is None or worked < _WORK:
            self._rested += self._delay
            return self._delay
        self._look(self._ask)
        seconds = max(self._delay, min(worked * self._ratio, _LONGEST_REST))
        self._rested = self._clock() + seconds
        return seconds

    def _look(self, ask: Callable[[], object]) -> None:
        """How long Orthanc's answer takes shows what others ask of it, as it waits for nothing of ours meanwhile."""
        self._sleep(_BREATH)
        seconds = self._latency(ask)
        self._quickest = min(self._quickest, seconds)
        self._mean += _WEIGHT * (seconds - self._mean)
        usual = _TIMES * self._quickest + _SECONDS
        self._ratio = min(max(_LEAST, self._mean / usual - 1), _MOST) if self._mean > usual else 0.0
        if self._ratio and not self._is_told:
            self._is_told = True
            self._log(
                f"the run rests between studies, as Orthanc answers within {self._mean * 1000:.1f} ms, "
                f"and {self._quickest * 1000:.1f} ms when it has nothing else to do"
            )

    def _latency(self, ask: Callable[[], object]) -> float:
        """Seconds."""
        begin = self._clock()
        with suppress(HostError):  # if there is something wrong, it shows in the studies
            ask()
        return self._clock() - begin
