"""``Notify`` of the configuration: each transaction that is over is told to a receiver, by HTTP POST.

What is told is what ``GET /inventories/transactions/{ID}`` answers, but for all that can name a patient or was written by
a user. A transaction comes at least once: after a crash it may come again.
"""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..host import describe
from ..production.journal import Journal
from ..production.outbox import Outbox
from ..production.transaction import Transaction, from_utc_time
from .delivery import BrokenOff, Delivery

# The keys that stay here.
PRIVATE = frozenset({"Scope", "Purpose", "Description", "UserData", "Requestor", "Skipped"})

# The pauses after failures, each twice the one before (seconds).
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 3600.0
# So long after its end a transaction is given up.
_PATIENCE = datetime.timedelta(days=1)


class _Failed(NamedTuple):
    """When to try again, and the pause after which that is."""

    again: float
    pause: float


class Notifications:
    """``public`` answers what users are told of a transaction."""

    def __init__(
        self, url: str, journal: Journal, public: Callable[[Transaction], dict[str, Any]], log: Callable[[str], None]
    ) -> None:
        self._delivery = Delivery(url)
        self._journal = journal
        self._outbox = Outbox(journal)
        self._public = public
        self._log = log
        self._failed: dict[str, _Failed] = {}
        self._stopping = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inventory-notifications")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Breaks off what is under way: it comes again after the next start."""
        self._stopping = True
        self._awake.set()
        self._delivery.break_off()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """A transaction is over: look now."""
        self._awake.set()

    def _work(self) -> None:
        while True:
            self._awake.clear()
            if self._stopping:
                return
            try:
                pause = self._tell_all()
            except BrokenOff:
                return
            except Exception as error:  # the journal cannot be used, say: it may be over later
                pause = _LONGEST_PAUSE
                self._log(f"notifications fail, and are tried again: {describe(error)}")
            self._awake.wait(pause)

    def _tell_all(self) -> float | None:
        """Tells what is to be told now, and answers how long there is nothing more to do; None: until there is more."""
        for uid in self._outbox.uids():
            if uid not in self._failed or self._failed[uid].again <= time.monotonic():
                self._tell(uid)
        soonest = min((failed.again for failed in self._failed.values()), default=None)
        return None if soonest is None else max(0.0, soonest - time.monotonic())

    def _tell(self, uid: str) -> None:
        transaction = self._journal.transaction(uid)
        if transaction is not None:
            body = {key: value for key, value in self._public(transaction).items() if key not in PRIVATE}
            failure = self._delivery.post(json.dumps(body).encode())
            if failure:
                if uid not in self._failed:
                    self._log(f"the notification of {uid} fails, and is tried again for a day: {failure}")
                now = datetime.datetime.now(datetime.timezone.utc)
                if now - from_utc_time(transaction.completion_time) < _PATIENCE:
                    pause = min(2 * self._failed[uid].pause, _LONGEST_PAUSE) if uid in self._failed else _FIRST_PAUSE
                    self._failed[uid] = _Failed(time.monotonic() + pause, pause)
                    return
        self._outbox.remove(uid)
        self._failed.pop(uid, None)
