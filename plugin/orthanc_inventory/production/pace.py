"""What a run does between two studies: it rests, sees whether it is to stop, and tells how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .throttle import Throttle
from .transaction import Interrupted, Transaction

_SECONDS_BETWEEN_LOG_LINES = 10.0
_SECONDS_BETWEEN_LOOKS = 1.0


class Pace:
    """``throttle`` says how long to rest; ``observe`` is called about once a second, ``log`` every ten."""

    def __init__(
        self,
        transaction: Transaction,
        throttle: Throttle,
        interrupted: threading.Event,
        observe: Callable[[], None],
        log: Callable[[], None],
    ) -> None:
        self._transaction = transaction
        self._throttle = throttle
        self._has_begun = False
        self._interrupted = interrupted
        self._observe = observe
        self._log = log
        self._earlier_runtime = transaction.progress.runtime
        self._begin = self._last_look = self._last_line = time.monotonic()

    def rest(self) -> None:
        """Before a study. Raises: Interrupted."""
        if not self._has_begun:  # to cancel what waits is no run, while another may go on
            self._has_begun = True
            self._throttle.begin()
        self.wait(self._throttle.rest())

    def wait(self, seconds: float) -> None:
        """Raises: Interrupted."""
        if self._interrupted.is_set() or (seconds > 0 and self._interrupted.wait(seconds)):
            raise Interrupted

    def tell(self) -> None:
        """After a study: it counts in the run time, and is seen in metrics and log."""
        now = time.monotonic()
        self._transaction.progress.runtime = self._earlier_runtime + now - self._begin
        if now - self._last_look >= _SECONDS_BETWEEN_LOOKS:
            self._last_look = now
            self._observe()
        if now - self._last_line >= _SECONDS_BETWEEN_LOG_LINES:
            self._last_line = now
            self._log()
