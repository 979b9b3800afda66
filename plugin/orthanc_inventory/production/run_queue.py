"""The queue of runs: what is asked of them, and what is known of them; state changes of PS3.4 KK.2.1.1, whoever asks.

Where several Orthancs share a journal, what that says is looked at anew again and again: that another Orthanc began a run,
ended, paused or cancelled it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from .journal import Journal
from .transaction import Cancellation, Kind, State, Transaction, utc_now

# How long a request waits for a run to come to its end after it was cancelled (seconds).
_PATIENCE = 60.0
# Runs over other archives that are not over: each takes long, and is work for others too.
_MOST_OF_OTHERS = 2
# What others than its worker say of a run.
_CONTROL = ("state", "cancellation", "comment", "waits_for_window", "outside_window", "status_interval")


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

    def assist(self) -> None:
        """Does a part of what another Orthanc leads. Raises: as ``run``."""

    def cancel(self, retain: bool) -> None:
        """Ends a transaction that was cancelled; whether to ``retain`` what is finished."""

    def discard(self, comment: str, error_code: int, error_description: str) -> None:
        """Ends a transaction that has failed."""


class RunQueue:
    """Everything that is not over. ``Runs`` works on it.

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
        observe: Callable[[], None],
        after_run: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._leases = journal.leases
        self._make_work = make_work
        self._check = check
        self._maximum_pending = maximum_pending
        self._observe = observe
        self._after_run = after_run
        self._condition = threading.Condition()
        self._interrupted = threading.Event()
        self._stopping = False
        self._ending = False
        # In the order of arrival. A run that was interrupted by a stop goes on first.
        self._queue = {transaction.uid: transaction for transaction in journal.unfinished()}
        self._running: Transaction | None = None
        # One that is another Orthanc's to end.
        self._assisted: Transaction | None = None
        self._ended_elsewhere = False

    # What others do

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """What is known of runs in this is true of all Orthancs, until its end."""
        with self._condition, self._journal.exclusive():
            self._journal.lock_unfinished()
            self._refresh()
            if self._running is not None:
                self._reload(self._running, _CONTROL)
            yield

    def _reload(self, transaction: Transaction, names: Iterable[str] | None = None) -> None:
        """What another Orthanc made of it, or of these fields of it."""
        if self._leases.pause is not None and (known := self._journal.transaction(transaction.uid)) is not None:
            vars(transaction).update((name, getattr(known, name)) for name in names or vars(known))

    def _refresh(self) -> None:
        """Takes over what the journal says of all but the run that is worked on here: that is told to stop."""
        if self._leases.pause is None:
            return
        unfinished = {transaction.uid: transaction for transaction in self._journal.unfinished()}
        for entry in [*self._queue.values()]:
            if entry.uid not in unfinished and entry is not self._running:
                del self._queue[entry.uid]
                self._reload(entry)
                self._ended_elsewhere = True
        for uid, transaction in unfinished.items():
            known = self._queue.setdefault(uid, transaction)
            if known is not self._running:
                vars(known).update(vars(transaction))
        if self._running is not None:
            now = unfinished.get(self._running.uid)
            if now is None or now.state is State.PAUSED or now.cancellation is not None:
                self._interrupted.set()
        if self._assisted is not None and not can_be_assisted(unfinished.get(self._assisted.uid)):
            self._interrupted.set()
        self._condition.notify_all()

    # Requests

    def transaction(self, uid: str) -> Transaction | None:
        with self._condition:
            self._refresh()
            known = self._queue.get(uid)
            return self._as_seen(known) if known is not None else self._journal.transaction(uid)

    def _as_seen(self, transaction: Transaction) -> Transaction:
        """The run that is worked on here, which may not have seen yet what another Orthanc made of it."""
        if self._leases.pause is None or transaction is not self._running or transaction.is_over:
            return transaction
        known = self._journal.transaction(transaction.uid) or transaction
        return known if known.is_over else replace(known, progress=transaction.progress)

    def transactions(self, kind: Kind | None = None) -> list[Transaction]:
        """All, or those of one kind."""
        with self._condition:
            self._refresh()
            known = [self._queue.get(entry.uid, entry) for entry in self._journal.transactions()]
            transactions = [self._as_seen(entry) for entry in known]
        return [entry for entry in transactions if kind in (None, entry.kind)]

    def unfinished(self) -> list[Transaction]:
        with self._condition:
            self._refresh()
            return [transaction for transaction in self._queue.values() if not transaction.is_over]

    def submit(self, transaction: Transaction) -> None:
        """Accepts a new transaction, whose creation time and number are set.

        Raises:
            NotPossible: the Transaction UID was used before.
            TooManyRuns, StoreError
        """
        if transaction.kind is Kind.INVENTORY:
            self._check()
        with self.exclusive():
            if self.transaction(transaction.uid) is not None:
                raise NotPossible("TransactionUID was used before: leave it out, or make a new one")
            waiting = sum(entry.state is State.PENDING for entry in self._queue.values())
            if self._is_busy() and waiting >= self._maximum_pending:
                what = "which is Inventory.MaximumPendingRuns: try later, or cancel one"
                raise TooManyRuns(f"{waiting} runs are waiting, {what}")
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
        with self.exclusive():
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
        with self.exclusive():
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
        with self.exclusive():
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
        with self.exclusive():
            if (transaction := self._queue.get(uid)) is not None and not self._is_ending(transaction):
                self._change(transaction, status_interval=minutes)

    def cancel(self, uid: str, retain: bool, patience: float = _PATIENCE) -> Transaction | None:
        """PROCESSING or PAUSED to CANCELED; waits until nothing is left behind, or the PARTIAL root is written."""
        with self._condition:
            with self.exclusive():
                transaction = self._queue.get(uid)
                if transaction is None:
                    return self._refuse(uid, "cancelled")
                if self._is_ending(transaction):
                    raise _not_possible(transaction, "cancelled")
                self._change(transaction, cancellation=Cancellation.RETAIN if retain else Cancellation.DISCARD)
                is_running = transaction is self._running
                has_begun = is_running or bool(transaction.started) or not self._leases.take(uid)
                if is_running:
                    self._interrupted.set()
                elif not has_begun:
                    # Nothing is made yet, so it need not wait for the worker, which may be at another run for hours.
                    self._make_work(transaction, self._interrupted).cancel(retain)
                    self._leases.give_back(uid)
                    del self._queue[uid]
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


def can_be_assisted(transaction: Transaction | None) -> bool:
    return (
        transaction is not None
        and transaction.kind is Kind.INVENTORY
        and not transaction.source
        and transaction.state is State.RUNNING
        and transaction.cancellation is None
    )


def _not_possible(transaction: Transaction, what: str) -> NotPossible:
    return NotPossible(f"a transaction that is {transaction.status} and {transaction.state} cannot be {what}")
