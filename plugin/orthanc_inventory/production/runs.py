"""The worker of this Orthanc: one run at a time, the others wait in order.

Where several Orthancs share a journal, each works on a run of which it has the lease.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ..host import DatabaseUnavailable, HostError, describe
from ..sources import SourceFailed
from ..stores import StoreError
from .increment import BaseUnusable
from .journal import Journal
from .journal_database import trouble
from .run_queue import RunQueue, Work, can_be_assisted
from .shares import Shares
from .transaction import INTERNAL_ERROR, Cancellation, CannotGoOn, Interrupted, State, Transaction

# After which a run tries to go on when Orthanc could not reach its database (seconds).
_PAUSE = 5.0
# How long an Orthanc that cannot help with a run lets it be (seconds).
_REST = 60.0


class Runs(RunQueue):
    """The queue with its worker, a thread. ``log`` gets lines for the administrator."""

    def __init__(
        self,
        journal: Journal,
        make_work: Callable[[Transaction, threading.Event], Work],
        check: Callable[[], None],
        maximum_pending: int,
        log: Callable[[str], None],
        observe: Callable[[], None],
        after_run: Callable[[], None],
    ) -> None:
        super().__init__(journal, make_work, check, maximum_pending, observe, after_run)
        self._log = log
        # Those at which this Orthanc could not help, and until when it lets them be.
        self._resting: dict[str, float] = {}
        self._thread = threading.Thread(target=self._work, name="inventory")
        self._watch = threading.Thread(target=self._look, name="inventory-watch")
        self._stopped = threading.Event()

    def start(self) -> None:
        self._thread.start()
        if self._leases.pause is not None:
            self._watch.start()

    def stop(self) -> None:
        """Stops the run at the next study and waits for it; it goes on at the next start."""
        with self._condition:
            self._stopping = True
            self._interrupted.set()
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        # A run has its lease until it is left.
        self._stopped.set()
        if self._watch.ident is not None:
            self._watch.join()

    def _look(self) -> None:
        """Renews what this Orthanc has leases of, and looks what the others do."""
        failure = ""
        while not self._stopped.wait(self._leases.pause):
            try:
                mine = self._leases.renew()
                with self._condition:
                    self._refresh()
                    if self._running is not None and self._running.uid not in mine:
                        self._interrupted.set()
                failure = ""
            except sqlite3.Error as error:  # it may be over later
                if str(error) != failure:
                    failure = str(error)
                    self._log(f"{trouble(error)}; runs go on when it can")
            if self._ended_elsewhere:
                self._ended_elsewhere = False
                self._after_run()

    def _work(self) -> None:
        while (transaction := self._next()) is not None:
            if transaction is self._assisted:
                self._assist(transaction)
                continue
            self._observe()
            try:
                self._run(transaction)
                ended = transaction.is_over
            except Interrupted:  # by another Orthanc, which goes on with it
                ended = False
            except DatabaseUnavailable as error:
                ended = False
                self._rest(transaction, error)
            except Exception as error:  # whatever it is, the next run must have its turn
                ended = self._fail(transaction, error)
            with suppress(sqlite3.Error):  # then it runs out
                self._leases.give_back(transaction.uid)
            with self._condition:
                self._running = None
                self._ending = False
                if ended:
                    del self._queue[transaction.uid]
                self._condition.notify_all()
            self._observe()
            if ended:
                self._after_run()

    def _next(self) -> Transaction | None:
        """Waits for a transaction that can be worked on; None when Orthanc stops."""
        with self._condition:
            while not self._stopping:
                ready = [
                    transaction
                    for transaction in self._queue.values()
                    if not transaction.is_over
                    and (transaction.cancellation is not None or transaction.state is not State.PAUSED)
                ]
                # What was cancelled is put in order first, what was interrupted goes on before what waits.
                ready.sort(key=lambda entry: (entry.cancellation is None, entry.state is not State.RUNNING))
                with suppress(sqlite3.Error):  # what is shared is looked at again soon
                    self._running = next((entry for entry in ready if self._leases.take(entry.uid)), None)
                    if self._running is None:
                        self._assisted = next(filter(self._has_work_for_others, ready), None)
                if (transaction := self._running or self._assisted) is not None:
                    self._interrupted.clear()
                    return transaction
                self._condition.wait()
            return None

    def _has_work_for_others(self, transaction: Transaction) -> bool:
        if not can_be_assisted(transaction) or time.monotonic() < self._resting.get(transaction.uid, 0):
            return False
        return Shares(self._journal, transaction).are_free(own=True)

    def _assist(self, transaction: Transaction) -> None:
        # What is known of it here goes on to be what the journal says.
        copy = replace(transaction, progress=replace(transaction.progress))
        try:
            self._make_work(copy, self._interrupted).assist()
        except Interrupted:
            pass
        except DatabaseUnavailable:  # for the others, too
            self._resting[transaction.uid] = time.monotonic() + _PAUSE
        except Exception as error:  # the one who leads it will see whether it is the run that is wrong
            self._resting[transaction.uid] = time.monotonic() + _REST
            self._log(f"{transaction.uid} goes on without this Orthanc for a while: {describe(error)}")
        with self._condition:
            self._assisted = None

    def _run(self, transaction: Transaction) -> None:
        with self.exclusive():
            self._reload(transaction)
            if transaction.cancellation is None:
                if self._stopping or transaction.is_over or transaction.state is State.PAUSED:
                    return
                self._change(transaction, state=State.RUNNING)
        work = self._make_work(transaction, self._interrupted)
        if transaction.cancellation is None:
            try:
                work.run(self._before_end)
            except Interrupted:
                with self._condition:
                    self._reload(transaction)
                if transaction.cancellation is None:  # paused, or Orthanc stops: the journal knows where to go on
                    return
        if transaction.cancellation is not None and not transaction.is_over:
            self._journal.confirm(transaction)
            work.cancel(retain=transaction.cancellation is Cancellation.RETAIN)

    def _rest(self, transaction: Transaction, error: DatabaseUnavailable) -> None:
        self._log(f"{transaction.uid} waits, and tries again every {_PAUSE:.0f} seconds: {error}")
        with self._condition:
            self._ending = False
            self._condition.wait_for(lambda: self._stopping, _PAUSE)

    def _before_end(self) -> None:
        """From here on a run can neither be paused nor cancelled: it is about to end."""
        with self._condition:
            if self._interrupted.is_set():
                raise Interrupted
            self._ending = True

    def _fail(self, transaction: Transaction, error: Exception) -> bool:
        """Ends a transaction that cannot go on; False when not even that can be written down."""
        if isinstance(error, sqlite3.Error):
            reason = trouble(error)
        else:
            reason = str(error) if isinstance(error, (StoreError, CannotGoOn, SourceFailed)) else describe(error)
        code = error.code if isinstance(error, HostError) else INTERNAL_ERROR
        if not self._can_end(transaction, error):
            self._log(f"{transaction.uid} is interrupted, and goes on: {reason}")
            return False
        self._log(f"{transaction.uid} fails: {reason}")
        with self._condition:
            # What is asked for from here on would be written over its end.
            self._ending = True
            transaction.cancellation = None
        transaction.base_unusable = isinstance(error, BaseUnusable)
        try:
            self._make_work(transaction, self._interrupted).discard(reason, code, reason)
        except Exception as second:  # the disk is still full, say
            self._log(f"{transaction.uid} goes on at the next start, its end cannot be written down: {describe(second)}")
            transaction.error_code, transaction.error_description, transaction.comment = code, reason, reason
            transaction.state = State.FAILURE
            return False
        return True

    def _can_end(self, transaction: Transaction, error: Exception) -> bool:
        """Not if the journal in common cannot be used: then nothing is wrong with the run."""
        if self._leases.pause is None:
            return True
        try:
            self._journal.confirm(transaction)
        except (Interrupted, sqlite3.Error):
            return False
        return not isinstance(error, sqlite3.Error)
