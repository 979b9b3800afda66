"""The runs of this Orthanc: one at a time, the others wait in order; state changes of PS3.4 KK.2.1.1, whoever asks."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ..host import DatabaseUnavailable, HostError, describe
from ..sources import SourceFailed
from ..stores import StoreError
from .increment import BaseUnusable
from .journal import Journal
from .transaction import INTERNAL_ERROR, Cancellation, CannotGoOn, Interrupted, Kind, State, Transaction, utc_now

# How long a request waits for a run to come to its end after it was cancelled (seconds).
_PATIENCE = 60.0
# After which a run tries to go on when Orthanc could not reach its database (seconds).
_PAUSE = 5.0
# Runs over other archives that are not over: each takes long, and is work for others too.
_MOST_OF_OTHERS = 2


class NotPossible(Exception):
    """The transaction's state does not allow what was asked; the message says the state and what is possible."""


class TooManyRuns(Exception):
    """As many runs wait as may."""


class Work(Protocol):
    """What a transaction asks for, done in the thread of the queue. Each of the methods ends the transaction."""

    def run(self, before_end: Callable[[], None]) -> None:
        """Works until the transaction is a success; calls ``before_end``, which may raise Interrupted, just before it is.

        Raises:
            Interrupted, DatabaseUnavailable: the journal knows where to go on.
            StoreError, HostError, CannotGoOn, SourceFailed, sqlite3.Error
        """

    def cancel(self, retain: bool) -> None:
        """Ends a transaction that was cancelled; whether to ``retain`` what is finished."""

    def discard(self, comment: str, error_code: int, error_description: str) -> None:
        """Ends a transaction that has failed."""


class Runs:
    """The queue and its worker, a thread.

    Args:
        make_work: makes the work of a transaction; gets the event that interrupts it.
        check: raises StoreError when a run could not store anything.
        observe: called after each change of a state, without the lock.
        after_run: called when a run has come to its end, without the lock.
    """

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
        self._journal = journal
        self._make_work = make_work
        self._check = check
        self._maximum_pending = maximum_pending
        self._log = log
        self._observe = observe
        self._after_run = after_run
        self._condition = threading.Condition()
        self._interrupted = threading.Event()
        self._stopping = False
        self._ending = False
        # Everything that is not over, in the order of arrival. A run that was interrupted by a stop goes on first.
        self._queue = {transaction.uid: transaction for transaction in journal.unfinished()}
        self._running: Transaction | None = None
        self._thread = threading.Thread(target=self._work, name="inventory")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops the run at the next study and waits for it; it goes on at the next start."""
        with self._condition:
            self._stopping = True
            self._interrupted.set()
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    # Requests

    def transaction(self, uid: str) -> Transaction | None:
        with self._condition:
            return self._queue.get(uid) or self._journal.transaction(uid)

    def transactions(self, kind: Kind | None = None) -> list[Transaction]:
        """All, or those of one kind."""
        with self._condition:
            transactions = [self._queue.get(entry.uid, entry) for entry in self._journal.transactions()]
        return [entry for entry in transactions if kind in (None, entry.kind)]

    def unfinished(self) -> list[Transaction]:
        with self._condition:
            return [transaction for transaction in self._queue.values() if not transaction.is_over]

    def submit(self, transaction: Transaction) -> None:
        """Accepts a new transaction, whose creation time and number are set.

        Raises:
            NotPossible: the Transaction UID was used before.
            TooManyRuns, StoreError
        """
        if transaction.kind is Kind.INVENTORY:
            self._check()
        with self._condition:
            if self.transaction(transaction.uid) is not None:
                raise NotPossible("TransactionUID was used before: leave it out, or make a new one")
            waiting = sum(entry.state is State.PENDING for entry in self._queue.values())
            if self._is_busy() and waiting >= self._maximum_pending:
                raise TooManyRuns(f"{waiting} runs are waiting, which is Inventory.MaximumPendingRuns: try later, or cancel one")
            others = sum(bool(entry.source) for entry in self._queue.values() if not entry.is_over)
            if transaction.source and others >= _MOST_OF_OTHERS:
                raise TooManyRuns(f"{others} runs with a Source are not over, which is the most: try later, or cancel one")
            transaction.creation_time = utc_now()
            self._journal.add(transaction)
            self._queue[transaction.uid] = transaction
            self._condition.notify_all()

    def _is_busy(self) -> bool:
        return any(transaction.state in (State.PENDING, State.RUNNING) for transaction in self._queue.values())

    def pause(self, uid: str) -> Transaction | None:
        """PROCESSING to PAUSED, at the next study; None: unknown."""
        with self._condition:
            transaction = self._queue.get(uid)
            if transaction is None:
                return self._refuse(uid, "paused")
            if transaction.state is State.PAUSED or self._is_ending(transaction):
                raise _not_possible(transaction, "paused")
            self._pause(transaction)
            return transaction

    def _pause(self, transaction: Transaction, **fields: Any) -> None:
        self._change(transaction, state=State.PAUSED, **fields)
        if transaction is self._running:
            self._interrupted.set()

    def resume(self, uid: str) -> Transaction | None:
        """PAUSED to PROCESSING: the run waits for its turn again; None: unknown."""
        with self._condition:
            transaction = self._queue.get(uid)
            if transaction is None:
                return self._refuse(uid, "resumed")
            if transaction.state is not State.PAUSED or transaction.cancellation is not None:
                raise _not_possible(transaction, "resumed")
            # Where there is a window, it is the user who lets the run go on, whether that is open or not.
            outside = bool(transaction.schedule)
            self._change(transaction, state=State.PENDING, comment="", waits_for_window=False, outside_window=outside)
            return transaction

    def keep_to_window(self, uid: str, is_open: bool) -> None:
        """Pauses a run outside the window of its schedule and resumes it inside.

        A run that a user paused stays so; one that a user lets run outside the window is left alone until that opens.
        """
        with self._condition:
            transaction = self._queue.get(uid)
            if transaction is None or self._is_ending(transaction):
                return
            if is_open and transaction.waits_for_window:
                self._change(transaction, state=State.PENDING, comment="", waits_for_window=False)
            elif is_open and transaction.outside_window:
                self._change(transaction, outside_window=False)
            elif not is_open and transaction.state is not State.PAUSED and not transaction.outside_window:
                self._pause(transaction, comment="paused until the window of its schedule opens", waits_for_window=True)

    def tell_every(self, uid: str, minutes: int) -> None:
        """Sets the interval at which the peer that asked for the transaction is told of it."""
        with self._condition:
            if (transaction := self._queue.get(uid)) is not None and not self._is_ending(transaction):
                self._change(transaction, status_interval=minutes)

    def cancel(self, uid: str, retain: bool, patience: float = _PATIENCE) -> Transaction | None:
        """PROCESSING or PAUSED to CANCELED; waits until nothing is left behind, or the PARTIAL root is written."""
        with self._condition:
            transaction = self._queue.get(uid)
            if transaction is None:
                return self._refuse(uid, "cancelled")
            if self._is_ending(transaction):
                raise _not_possible(transaction, "cancelled")
            transaction.cancellation = Cancellation.RETAIN if retain else Cancellation.DISCARD
            try:
                self._journal.save(transaction)
            except sqlite3.Error:
                transaction.cancellation = None
                raise
            is_running = transaction is self._running
            has_begun = is_running or bool(transaction.started)
            if is_running:
                self._interrupted.set()
            elif not has_begun:
                # Nothing is made yet, so that it need not wait for the worker, which may be at another run for hours.
                self._make_work(transaction, self._interrupted).cancel(retain)
                del self._queue[uid]
            self._condition.notify_all()
            self._condition.wait_for(lambda: transaction.is_over or self._stopping, patience)
        if not has_begun:
            self._observe()
            self._after_run()
        return transaction

    def wait(self, transaction: Transaction) -> None:
        """Until the transaction is over or paused, or Orthanc stops."""
        with self._condition:
            self._condition.wait_for(lambda: transaction.is_over or transaction.state is State.PAUSED or self._stopping)

    def _refuse(self, uid: str, what: str) -> Transaction | None:
        transaction = self._journal.transaction(uid)
        if transaction is not None:
            raise _not_possible(transaction, what)
        return None

    def _is_ending(self, transaction: Transaction) -> bool:
        ending = self._ending and transaction is self._running
        return ending or transaction.is_over or transaction.cancellation is not None

    def _change(self, transaction: Transaction, **fields: Any) -> None:
        """A state is in the journal before anyone is told of it."""
        before = {name: getattr(transaction, name) for name in fields}
        vars(transaction).update(fields)
        try:
            self._journal.save(transaction)
        except sqlite3.Error:
            vars(transaction).update(before)
            raise
        self._condition.notify_all()

    # The worker

    def _work(self) -> None:
        while (transaction := self._next()) is not None:
            self._observe()
            try:
                self._run(transaction)
                ended = transaction.is_over
            except DatabaseUnavailable as error:
                ended = False
                self._rest(transaction, error)
            except Exception as error:  # whatever it is, the next run must have its turn
                ended = self._fail(transaction, error)
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
                if ready:
                    self._running = ready[0]
                    self._interrupted.clear()
                    return self._running
                self._condition.wait()
            return None

    def _run(self, transaction: Transaction) -> None:
        work = self._make_work(transaction, self._interrupted)
        if transaction.cancellation is None:
            with self._condition:
                if self._stopping or transaction.state is State.PAUSED:
                    return
                self._change(transaction, state=State.RUNNING)
            try:
                work.run(self._before_end)
            except Interrupted:
                if transaction.cancellation is None:  # paused, or Orthanc stops: the journal knows where to go on
                    return
        if transaction.cancellation is not None and not transaction.is_over:
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
            reason = f"the journal in Inventory.StateDirectory cannot be used: {error}"
        else:
            reason = str(error) if isinstance(error, (StoreError, CannotGoOn, SourceFailed)) else describe(error)
        code = error.code if isinstance(error, HostError) else INTERNAL_ERROR
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


def _not_possible(transaction: Transaction, what: str) -> NotPossible:
    return NotPossible(f"a transaction that is {transaction.status} and {transaction.state} cannot be {what}")
