"""The run that verifies an inventory: is the archive still what it says?

First each study of the inventory is looked up in the archive, then what is left over there is found to be extra. What seems
to be missing is looked up once more at the next checkpoint. The journal keeps findings and progress in one step, so that
an interrupted verification has each finding exactly once.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from ..dicom.instants import microseconds
from ..dicom.scope import Scope
from ..reader import Inventory, InvalidInventory, MissingInstance
from ..reader.merged import MergedStudy
from ..sources import Archive
from ..sources.stored_files import StoredFiles
from .examination import Doubtful, Examination, Outcome, count
from .findings import Finding, Findings
from .journal import Journal
from .pace import Pace
from .throttle import Throttle
from .transaction import CANCELED_JOB, CANCELED_JOB_DESCRIPTION, CannotGoOn, State, Transaction, Verified, utc_now

# A checkpoint comes after so many studies or seconds.
_STUDIES_BETWEEN_CHECKPOINTS = 1000
_SECONDS_BETWEEN_CHECKPOINTS = 5.0
# What seems to be missing is not looked up again before this time, in which it may come back (seconds).
_PATIENCE = 1.0
# Studies of the inventory that are known ahead, so that several can be read at once.
_AHEAD = 64


class Verification:
    """One run of one transaction, in the thread that calls ``run``.

    Args:
        open_inventory: opens the inventory; what it is given is called now and then, and may raise Interrupted.
        archive: reads what is there, with what the check needs.
        scoped: reads what is within the scope of the inventory; None: this archive cannot match that.
        throttle, interrupted, log, observe: as in ``Producer``.
    """

    def __init__(
        self,
        transaction: Transaction,
        open_inventory: Callable[[Callable[[], None]], Inventory],
        archive: Archive,
        scoped: Archive | None,
        files: StoredFiles,
        findings: Findings,
        journal: Journal,
        throttle: Throttle,
        interrupted: threading.Event,
        log: Callable[[str], None],
        observe: Callable[[], None],
    ) -> None:
        self._transaction = transaction
        self._open_inventory = open_inventory
        self._archive = archive
        self._scoped = scoped
        self._files = files
        self._findings = findings
        self._journal = journal
        self._log = log
        self._pace = Pace(transaction, throttle, interrupted, observe, lambda: log(self._line("runs")))
        self._checkpoint_progress = replace(transaction.progress)
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._found: list[Finding] = []
        self._matched: list[str] = []
        self._doubtful: list[MergedStudy] = []
        self._batch = 0
        self._batch_began = time.monotonic()

    def run(self, before_end: Callable[[], None]) -> None:
        """See ``Work``."""
        try:
            inventory = self._open_inventory(lambda: self._pace.wait(0))
            examination = self._begin(inventory)
            self._look_for_listed(inventory, examination)
            self._look_for_extra(inventory, examination)
            before_end()
        except (InvalidInventory, MissingInstance) as error:
            raise CannotGoOn(f"the inventory cannot be read: {error}") from None
        finally:
            for archive in filter(None, (self._archive, self._scoped)):
                archive.end()
            # What is not in the journal is looked at again.
            self._transaction.progress = replace(self._checkpoint_progress)
        self._end(State.SUCCESS, self._summary())
        self._log(self._line("is finished"))

    def assist(self) -> None:
        """It is not shared out."""

    def cancel(self, retain: bool) -> None:
        """What was found until then is kept in any case."""
        self.discard(f"cancelled; {self._summary()}", CANCELED_JOB, CANCELED_JOB_DESCRIPTION)

    def discard(self, comment: str, error_code: int, error_description: str) -> None:
        self._end(State.FAILURE, comment, error_code, error_description)
        self._log(self._line(f"ends as {self._transaction.status}"))

    def _begin(self, inventory: Inventory) -> Examination:
        transaction = self._transaction
        self._archive.begin()
        if self._scoped is not None:
            self._scoped.begin()
        if not transaction.started:
            now = datetime.datetime.now(datetime.timezone.utc)
            studies = self._scoped.studies(self._scope()) if self._scoped is not None else ()
            self._findings.begin(transaction, studies)
            begun = replace(
                transaction, started=now.strftime("%Y%m%d%H%M%S.%f"), total_studies=inventory.merged_number + len(studies)
            )
            self._journal.save_by_worker(begun)
            vars(transaction).update(vars(begun))
        self._log(self._line("starts"))
        return Examination(
            inventory, self._archive, self._scoped, self._scope(), self._files, transaction.check,
            lambda: self._pace.wait(0),
        )

    def _scope(self) -> Scope:
        return self._transaction.parsed_scope() if self._scoped is not None else Scope()

    def _look_for_listed(self, inventory: Inventory, examination: Examination) -> None:
        progress = self._transaction.progress
        listed = inventory.merged_studies(since=progress.studies)
        while studies := list(islice(listed, _AHEAD)):
            for place, study in enumerate(studies, 1):
                self._pace.rest()
                try:
                    self._take(examination.study(study, studies[place:]))
                except Doubtful:
                    self._doubtful.append(study)
                progress.studies += 1
                progress.position += 1
                self._pace.tell()
                self._checkpoint_if_due(examination)
        self._checkpoint(examination)

    def _look_for_extra(self, inventory: Inventory, examination: Examination) -> None:
        moment = _moment(inventory)
        while studies := self._findings.unmatched(self._transaction):
            for study in studies:
                self._pace.rest()
                found = examination.unlisted(study, moment)
                self._take(Outcome(count(found), 0, 0, found, [study]))
                self._pace.tell()
                self._checkpoint_if_due(examination)
            self._checkpoint(examination)

    def _take(self, outcome: Outcome) -> None:
        progress = self._transaction.progress
        progress.verified = progress.verified.plus(outcome.verified)
        progress.series += outcome.series
        progress.instances += outcome.instances
        self._found += outcome.findings
        self._matched += outcome.matched

    def _checkpoint_if_due(self, examination: Examination) -> None:
        self._batch += 1
        seconds = time.monotonic() - self._batch_began
        if self._batch >= _STUDIES_BETWEEN_CHECKPOINTS or seconds >= _SECONDS_BETWEEN_CHECKPOINTS:
            self._checkpoint(examination)

    def _checkpoint(self, examination: Examination) -> None:
        if self._doubtful:
            self._pace.wait(_PATIENCE)
            self._archive.catch_up()
        for study in self._doubtful:
            self._take(examination.study(study, again=True))
        progress = self._transaction.progress
        self._findings.checkpoint(self._transaction, progress, self._found, self._matched)
        self._checkpoint_progress = replace(progress)
        self._begin_batch()

    def _end(self, state: State, comment: str, error_code: int | None = None, error_description: str = "") -> None:
        """The journal knows the end before anyone can see it."""
        ended = replace(self._transaction, state=state, comment=comment, completion_time=utc_now())
        if error_code is not None:
            ended.error_code, ended.error_description = error_code, error_description
        self._journal.finish(ended)
        vars(self._transaction).update(vars(ended))

    def _summary(self) -> str:
        transaction = self._transaction
        comment = summary(transaction.progress.verified, transaction.level, transaction.check)
        if not transaction.detail:
            comment += "; this archive cannot match the scope, so what is extra is not told"
        return comment

    def _line(self, verb: str) -> str:
        progress, transaction = self._transaction.progress, self._transaction
        checked, missing, damaged, different, extra, *_ = progress.verified
        rate = checked / progress.runtime if progress.runtime else 0
        items = _WORDS[transaction.level]
        return (
            f"{transaction.uid} {verb}: {transaction.check} of the inventory {transaction.verified_uid}, "
            f"{progress.position} of {transaction.total_studies} studies looked at; {checked} {items} checked: "
            f"{missing} missing, {damaged} damaged, {different} different, {extra} extra; {rate:.0f} {items}/s"
        )


_WORDS = {"STUDY": "studies", "SERIES": "series", "INSTANCE": "instances"}
_WELL = {"EXISTS": "are there", "SIZE": "are there with their sizes", "MD5": "are there and undamaged"}


def summary(verified: Verified, level: str, check: str) -> str:
    """What was found, in one line."""
    checked, missing, damaged, different, extra, later, unchecked = verified
    found = [
        f"{number} {word}"
        for number, word in (
            (missing, "missing"), (damaged, "damaged"), (different, "different"), (extra, "extra"),
        )
        if number
    ]
    word = _WORDS[level]
    if found:
        comment = f"of {checked} {word} listed: {', '.join(found)}"
    else:
        comment = f"all {checked} {word} {_WELL[check]}"
    if later:
        comment += f" ({later} of these received after the inventory was made)"
    if unchecked:
        comment += f"; {unchecked} have nothing to compare with"
    return comment


def _moment(inventory: Inventory) -> int:
    """Content Date and Time: what came later cannot be listed."""
    root = inventory.file(inventory.uid)
    attributes = root.attributes
    try:
        return microseconds(f"{attributes['ContentDate']}{attributes['ContentTime']}", root.context.timezone)
    except (KeyError, ValueError):
        raise root.invalid("Content Date and Time are no date and time") from None
