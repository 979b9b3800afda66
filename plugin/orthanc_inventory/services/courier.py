"""A thread that takes what waits to its receivers, and tries again where it could not be delivered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..host import describe

# The pauses after failures, each twice the one before (seconds).
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 3600.0
# The pause when it cannot even be told what waits.
_PAUSE = 60.0


class _Failed(NamedTuple):
    """When to try again, and the pause after which that is."""

    again: float
    pause: float


class Courier:
    """What waits has to survive a restart elsewhere; the courier knows names only.

    Args:
        name: of the thread.
        what: the word for what is delivered, for the log.
        waiting: answers the names of what is to be delivered.
        deliver: delivers what has that name, or gives it up; answers why it must be tried again, empty if it must not.
        break_off: ends ``deliver`` wherever it is, for good.
        look: seconds after which it looks what waits even if nobody wakes it; None for never.
    """

    def __init__(
        self,
        name: str,
        what: str,
        waiting: Callable[[], Iterable[str]],
        deliver: Callable[[str], str],
        break_off: Callable[[], None],
        log: Callable[[str], None],
        look: float | None = None,
    ) -> None:
        self._what = what
        self._waiting = waiting
        self._deliver = deliver
        self._break_off = break_off
        self._log = log
        self._look = look
        self._failed: dict[str, _Failed] = {}
        self._stopping = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Breaks off what is under way: it comes again after the next start."""
        self._stopping = True
        self._awake.set()
        self._break_off()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is something new: look now."""
        self._awake.set()

    def _work(self) -> None:
        trouble = ""
        while True:
            self._awake.clear()
            if self._stopping:
                return
            try:
                pause = self._deliver_all()
                trouble = ""
            except Exception as error:  # the journal cannot be used, say: it may be over later
                pause = _PAUSE
                if describe(error) != trouble:
                    trouble = describe(error)
                    self._log(f"{self._what} cannot be looked for, which is tried again: {trouble}")
            self._awake.wait(pause)

    def _deliver_all(self) -> float | None:
        """Delivers what is to be delivered now, and answers how long there is nothing more to do; None: until there is."""
        names = list(self._waiting())
        self._failed = {name: failed for name, failed in self._failed.items() if name in names}
        for name in names:
            if self._stopping:
                break
            if name not in self._failed or self._failed[name].again <= time.monotonic():
                self._try(name)
        pauses = [max(0.0, failed.again - time.monotonic()) for failed in self._failed.values()]
        if self._look is not None:
            pauses.append(self._look)
        return min(pauses, default=None)

    def _try(self, name: str) -> None:
        try:
            failure = self._deliver(name)
        except Exception as error:
            failure = describe(error)
        if self._stopping:
            return
        if not failure:
            self._failed.pop(name, None)
            return
        if name not in self._failed:
            self._log(f"{self._what} {name} fails, and is tried again for a day: {failure}")
        pause = min(2 * self._failed[name].pause, _LONGEST_PAUSE) if name in self._failed else _FIRST_PAUSE
        self._failed[name] = _Failed(time.monotonic() + pause, pause)
