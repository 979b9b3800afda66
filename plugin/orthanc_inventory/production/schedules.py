"""The schedules at work: a thread that starts their runs, pauses them when their window closes and resumes them."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..dicom.uids import new_uid
from ..host import describe
from ..stores import StoreError
from .bases import LATEST, UnknownBase, find_base
from .catalogue import Catalogue
from .journal import Journal
from .run_queue import NotPossible, TooManyRuns
from .runs import Runs
from .schedule import INCREMENTAL, Schedule, Window
from .transaction import State, Transaction, from_utc_time, utc_time

# Between two looks at the clock: it may be set, so there is no long sleep. After a refusal (seconds).
_PAUSE = 1.0
_LONG_PAUSE = 60.0


class UnknownSchedule(Exception):
    """The configuration has no schedule of this name."""


class Standing(NamedTuple):
    """What is to be told of a schedule now."""

    schedule: Schedule
    is_open: bool
    next_start: datetime.datetime
    last: Transaction | None


def _utc_clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class Schedules:
    """A schedule has at most one run that is not over. What it did last is what the journal says of its last run.

    Args:
        detail: from where the records of all runs come.
        identifying: whether the inventories identify patients.
        observe: called after each look at the clock.
        clock: tells the time in UTC.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        runs: Runs,
        journal: Journal,
        catalogue: Catalogue,
        detail: str,
        identifying: bool,
        log: Callable[[str], None],
        observe: Callable[[], None],
        clock: Callable[[], datetime.datetime] = _utc_clock,
    ) -> None:
        self._schedules: Mapping[str, Schedule] = {schedule.name: schedule for schedule in schedules}
        self._runs = runs
        self._journal = journal
        self._catalogue = catalogue
        self._detail = detail
        self._identifying = identifying
        self._log = log
        self._observe = observe
        self._clock = clock
        self._last: dict[str, Transaction] = {}
        # When each one had its last success, or Orthanc its start.
        self._succeeded = {name: clock() for name in self._schedules}
        for name in self._schedules:
            if known := journal.latest_of_schedule(name):
                self._last[name] = runs.transaction(known.uid) or known
            if success := journal.latest_of_schedule(name, State.SUCCESS):
                self._succeeded[name] = from_utc_time(success.completion_time)
        # When a schedule that was refused may try again, and the window in which the log told so.
        self._resting: dict[str, float] = {}
        self._refused: dict[str, Window | None] = {}
        # Nothing comes between the look whether a run is there and its begin.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inventory-schedules")

    def start(self) -> None:
        """From here on no run goes on outside its window, if Runs start afterwards."""
        for transaction in self._runs.unfinished():
            if transaction.waits_for_window and transaction.schedule not in self._schedules:
                self._log(
                    f"{transaction.uid} waits for the window of the schedule {transaction.schedule}, which is no longer"
                    " configured: resume or cancel it"
                )
        self._keep_to_windows(self._clock())
        if self._schedules:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def standings(self) -> list[Standing]:
        """In the order of the configuration."""
        now = self._clock()
        found = []
        for schedule in self._schedules.values():
            last = self._last.get(schedule.name)
            found.append(Standing(schedule, schedule.window(now) is not None, schedule.next_start(_due(last), now), last))
        return found

    def count_failed(self) -> int:
        """Those whose last run failed."""
        return sum(last.status == "FAILURE" for last in list(self._last.values()))

    def seconds_without_success(self) -> float:
        """Of the schedule whose last success, or else the start of Orthanc, is longest ago; 0 if there are none."""
        for name, last in list(self._last.items()):  # a run may be started by hand meanwhile
            if last.state is State.SUCCESS:
                self._succeeded[name] = from_utc_time(last.completion_time)
        now = self._clock()
        return max(((now - moment).total_seconds() for moment in self._succeeded.values()), default=0.0)

    def run(self, name: str, requestor: str) -> Transaction:
        """Starts a run by hand, also outside the window; when the next one is due remains as it was.

        Raises:
            UnknownSchedule, TooManyRuns, StoreError
            NotPossible: it runs or waits already.
        """
        schedule = self._schedules.get(name)
        if schedule is None:
            raise UnknownSchedule
        with self._lock, self._runs.exclusive():
            self._look_at_others(name)
            if (unfinished := self._unfinished(name)) is not None:
                raise NotPossible(f"this schedule has a run that is {unfinished.state}: {unfinished.uid}")
            last = self._last.get(name)
            return self._submit(schedule, last.due if last else "", requestor, by_hand=True)

    def _work(self) -> None:
        failure = ""
        while not self._stopping.is_set():
            try:
                now = self._clock()
                self._keep_to_windows(now)
                for schedule in self._schedules.values():
                    self._start_if_due(schedule, now)
                self._observe()
                failure = ""
            except Exception as error:  # whatever it is, it may be over later
                if (description := describe(error)) != failure:
                    failure = description
                    self._log(f"schedules fail, and try again: {failure}")
            self._stopping.wait(_LONG_PAUSE if failure else _PAUSE)

    def _keep_to_windows(self, now: datetime.datetime) -> None:
        for transaction in self._runs.unfinished():
            schedule = self._schedules.get(transaction.schedule)
            if schedule is not None:
                self._runs.keep_to_window(transaction.uid, schedule.window(now) is not None)

    def _start_if_due(self, schedule: Schedule, now: datetime.datetime) -> None:
        name = schedule.name
        if time.monotonic() < self._resting.get(name, 0):
            return
        with self._lock:
            self._look_at_others(name)
            if self._next_due(schedule, now) is None:
                return
            with self._runs.exclusive():
                self._look_at_others(name)
                due = self._next_due(schedule, now)
                if due is not None:
                    self._start(schedule, due, schedule.window(now))

    def _next_due(self, schedule: Schedule, now: datetime.datetime) -> datetime.datetime | None:
        """The moment for which a run is to start now."""
        if self._unfinished(schedule.name) is not None:
            return None
        last, window = self._last.get(schedule.name), schedule.window(now)
        due = schedule.due(_due(last), now)
        if due is None and last is not None and last.base_unusable and window is not None:
            due = _due(last)
        return due

    def _look_at_others(self, name: str) -> None:
        """Another Orthanc may have started a run of the schedule since."""
        if self._journal.database.is_shared and (known := self._journal.latest_of_schedule(name)):
            self._last[name] = known

    def _start(self, schedule: Schedule, due: datetime.datetime, window: Window | None) -> None:
        name = schedule.name
        try:
            self._submit(schedule, utc_time(due))
        except (TooManyRuns, StoreError) as error:
            self._resting[name] = time.monotonic() + _LONG_PAUSE
            if self._refused.get(name) != window:
                self._refused[name] = window
                self._log(f"the schedule {name} cannot start a run, and tries again while its window is open: {error}")

    def _unfinished(self, name: str) -> Transaction | None:
        return next((entry for entry in self._runs.unfinished() if entry.schedule == name), None)

    def _submit(self, schedule: Schedule, due: str, requestor: str = "", by_hand: bool = False) -> Transaction:
        """The transaction itself tells of its schedule: once it is in the journal, the run is started, and not before."""
        base, reason = self._base(schedule) if schedule.configured["Mode"] == INCREMENTAL else ("", "")
        transaction = Transaction(
            new_uid(),
            schedule.configured["Level"],
            schedule.scope.simple(),
            requestor=requestor,
            detail=self._detail,
            base=base,
            identifying=self._identifying,
            schedule=schedule.name,
            due=due,
            outside_window=by_hand,
        )
        self._runs.submit(transaction)
        self._last[schedule.name] = transaction
        self._log(f"the schedule {schedule.name} starts {transaction.uid}{reason}")
        return transaction

    def _base(self, schedule: Schedule) -> tuple[str, str]:
        """The UID of the base and nothing to say, or nothing and the reason why the run will be a full one."""
        last = self._last.get(schedule.name)
        if last is not None and last.base_unusable:
            return "", ", a full run: the base of the last one cannot be used"
        try:
            return find_base(self._catalogue, LATEST, schedule.configured["Level"], schedule.scope).uid, ""
        except UnknownBase:
            return "", ", a full run: there is no COMPLETE inventory of its level and scope"


def _due(last: Transaction | None) -> datetime.datetime | None:
    return from_utc_time(last.due) if last is not None and last.due else None
