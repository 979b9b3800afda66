"""The run: reads study after study, writes leaves of bounded size, then one root over them.

A leaf is written when the next study would make it too large; a study is never split. After each leaf the journal knows
how far the run is: an interrupted run reads again only what was not in a leaf yet.
"""

from __future__ import annotations

import datetime
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from ..dicom import terms
from ..dicom.elements import InvalidRecord
from ..dicom.encoder import StudyEncoder
from ..dicom.inventory import Reference
from ..dicom.records import Skipped
from ..dicom.scope import Scope
from ..dicom.tree import incorporated, tiers
from ..dicom.uids import new_uid
from ..host import DatabaseUnavailable
from ..sources import Source, StudyDeleted, StudyUnreadable
from ..stores import Store
from .changes import Changes
from .increment import BaseUnusable, Increment
from .instance_writer import InstanceWriter, Settings, describe_leaf, describe_node, zone
from .journal import Journal
from .journal_database import Statements
from .journal_rows import KeptInstance, KeptInventory
from .pace import Pace
from .recorder import Recorder
from .shares import Share, Shares
from .summary import closing_comment, summary
from .transaction import (
    CANCELED_JOB, CANCELED_JOB_DESCRIPTION, CannotGoOn, Interrupted, State, Transaction, plus, utc_now,
)

# Studies that are taken from the snapshot at a time: at the end of a batch nothing is read ahead.
_BATCH = 16_000
# How long one waits for others that work at the run, before it looks again (seconds).
_PAUSE = 0.2
# How long a run waits at its begin for changes that are on their way to the callback (seconds).
_PATIENCE = 10.0


class Producer:
    """One run of one transaction, in the thread that calls ``run``.

    ``changes`` is the record of changes of the archive, if there is one; ``increment`` is what the run adds to its base, if it
    has one. ``interrupted`` stops it at the next study; ``log`` gets
    lines for the administrator; ``observe`` is called about once a second while the run goes on.
    """

    def __init__(
        self,
        transaction: Transaction,
        source: Source,
        store: Store,
        journal: Journal,
        changes: Changes | None,
        increment: Increment | None,
        settings: Settings,
        interrupted: threading.Event,
        log: Callable[[str], None],
        observe: Callable[[], None],
    ) -> None:
        self._is_shared = journal.database.is_shared
        self._shares = Shares(journal, transaction)
        # Those of which not all is in a leaf, and the place of the study in the snapshot that is read now.
        self._taken: list[Share] = []
        self._position = 0
        self._leads = True
        self._transaction = transaction
        self._source = source
        self._store = store
        self._journal = journal
        self._changes = changes
        self._increment = increment
        self._settings = settings
        self._log = log
        self._pace = Pace(transaction, settings.throttle, interrupted, observe, lambda: log(self._line("runs")))
        self._scope = transaction.parsed_scope()
        encoder = StudyEncoder(transaction.level, transaction.identifying)
        self._recorder = Recorder(source, encoder, increment, transaction.level, self._scope, transaction.include_removed)
        self._writer = InstanceWriter(transaction, store, settings)
        self._kept: list[KeptInstance] = []
        self._begin_leaf()
        self._checkpoint = transaction.progress

    def _begin_leaf(self) -> None:
        self._items: list[bytes] = []
        self._places: list[bytes] = []
        self._skipped: list[Skipped] = []
        self._leaf_records = 0

    def run(self, before_end: Callable[[], None]) -> None:
        """Works until the inventory is finished and the transaction is a success.

        Args:
            before_end: called when nothing but the root is left to be written; may raise Interrupted.

        Raises:
            Interrupted, DatabaseUnavailable: the transaction's progress is that of the last leaf.
            StoreError, HostError, BaseUnusable, SourceFailed, sqlite3.Error: the run cannot go on.
        """
        try:
            if self._transaction.base and self._increment is None:
                raise BaseUnusable("the base is no longer there: make a full inventory")
            self._begin()
            self._read_studies()
            before_end()
            self._finish(State.SUCCESS)
        except (Interrupted, DatabaseUnavailable):
            self._interrupt()
            raise
        finally:
            self._source.end()

    def assist(self) -> None:
        """Reads studies of a run that another Orthanc leads, until none is free."""
        self._leads = False
        try:
            self._source.begin()
            self._join()
            self._log(self._line("is worked at here, too"))
            self._read_studies()
            if self._items:
                self._write_leaf()
            elif self._taken:
                self._save(None)
        except BaseException:
            self._interrupt()
            raise
        finally:
            self._source.end()

    def _interrupt(self) -> None:
        self._transaction.progress = self._checkpoint
        self._begin_leaf()
        self._taken = []
        with suppress(sqlite3.Error):  # it is tried again before the next share is taken
            self._shares.give_back()

    def cancel(self, retain: bool) -> None:
        """Ends a cancelled run: with nothing, or to ``retain`` them with a PARTIAL root over the finished leaves, if any."""
        self._shares.revoke()
        # One that waits has made nothing yet, and has no UIDs under which to look for it.
        if not retain or not self._transaction.study_uid or not self._retain():
            self.discard("cancelled; nothing was retained", CANCELED_JOB, CANCELED_JOB_DESCRIPTION)

    def _retain(self) -> bool:
        self._checkpoint = replace(self._transaction.progress)
        self._gather()
        if self._kept:
            self._finish(State.FAILURE)
        return bool(self._kept)

    def _gather(self) -> None:
        """What all that worked at the run have made, and nothing else."""
        transaction = self._transaction
        self._kept = self._journal.instances(transaction.study_uid)
        self._store.keep_only(transaction.run, [instance.uid for instance in self._kept])
        if self._is_shared and (known := self._journal.transaction(transaction.uid)) is not None:
            transaction.progress = known.progress.plus(transaction.progress, self._checkpoint)
            self._checkpoint = known.progress

    def _begin(self) -> None:
        transaction = self._transaction
        # A run that was interrupted while its snapshot was taken has none, nor has one of no studies.
        is_new = not transaction.started or not self._journal.has_snapshot(transaction)
        if is_new:
            now = datetime.datetime.now(datetime.timezone.utc).astimezone(zone(self._settings.timezone))
            transaction.started = now.strftime("%Y%m%d%H%M%S.%f")
            transaction.timezone = now.strftime("%z")[:5]
            self._scope = transaction.parsed_scope()
            if not transaction.study_uid:  # else under them is found what a crash left in the store
                transaction.study_uid, transaction.series_uid = new_uid(), new_uid()
            # Content Date and Time come first: all that was there by then is in the snapshot (PS3.3 C.38.1.1.1).
            if self._changes is not None:
                self._changes.settle(_PATIENCE if self._increment else 0)
                transaction.mark = self._changes.mark()
        (self._increment or self._source).begin()
        if is_new:
            transaction.withdrawn = dict(self._source.withdrawn)
            studies = self._increment.studies() if self._increment else self._source.studies(self._scope)
            transaction.total_studies = len(studies)
            self._checkpoint = replace(self._checkpoint, skipped=len(self._source.unlisted))
            transaction.progress = self._checkpoint
            self._journal.begin(transaction, studies, self._source.unlisted)
        self._join()
        uids = [instance.uid for instance in self._kept]
        # Orthanc may have been restored from a backup since.
        if gone := len(uids) - len(self._store.present(transaction.run, uids)):
            raise CannotGoOn(f"{gone} of its finished instances are no longer there: start it again")
        if not self._is_shared:  # what others are about to finish is not in the journal yet
            self._store.keep_only(transaction.run, uids)
        self._log(self._line("starts"))

    def _join(self) -> None:
        transaction = self._transaction
        self._shares.give_back()
        if self._increment:
            everything = Share(0, transaction.total_studies)
            self._increment.locate(study for batch in self._snapshot(everything) for study in batch)
        self._kept = self._journal.instances(transaction.study_uid)
        transaction.progress = replace(self._checkpoint)

    def _snapshot(self, share: Share) -> Iterator[Sequence[str]]:
        position, last = share
        while position < last:
            batch = self._journal.studies(self._transaction, position, min(_BATCH, last - position))
            yield batch
            position += len(batch)

    def _read_studies(self) -> None:
        """Those that are not in a leaf yet."""
        progress = self._transaction.progress
        for share in self._next_shares():
            self._taken.append(share)
            self._position = share.first
            for batch in self._snapshot(share):
                for place in range(len(batch)):
                    self._pace.rest()
                    self._take(batch, place)
                    progress.position += 1
                    self._position += 1
                    self._pace.tell()

    def _next_shares(self) -> Iterator[Share]:
        """Until all are done: others may be dead before theirs are."""
        while True:
            share = self._shares.take()
            if share is not None:
                yield share
            elif self._shares.are_free() or (self._leads and self._shares.are_with_others()):
                self._pace.wait(_PAUSE)
            else:
                return

    def _settle(self, connection: Statements) -> None:
        self._shares.settle(connection, self._taken, self._rest())

    def _rest(self) -> Share | None:
        """What is not read yet of the share that is read now."""
        return Share(self._position, self._taken[-1].last) if self._taken else None

    def _line(self, verb: str) -> str:
        progress, transaction = self._transaction.progress, self._transaction
        records = progress.studies + progress.series + progress.instances
        return (
            f"{transaction.uid} {verb}: {progress.position} of {transaction.total_studies} studies read; records: "
            f"{progress.studies} studies, {progress.series} series, {progress.instances} instances; "
            f"{progress.skipped} skipped, {progress.deleted_studies} deleted meanwhile; "
            f"{records / progress.runtime if progress.runtime else 0:.0f} records/s"
        )

    def _take(self, studies: Sequence[str], place: int) -> None:
        progress = self._transaction.progress
        try:
            recorded = self._recorder.record(studies, place)
        except StudyDeleted:
            progress.deleted_studies += 1
            return
        except (StudyUnreadable, InvalidRecord) as error:
            self._skip([Skipped(studies[place], "Study", str(error))])
            return
        if recorded is None:
            return
        records = sum(recorded.written)
        if self._items and self._leaf_records + records > self._settings.records_per_instance:
            self._write_leaf()
        self._items.append(recorded.item)
        self._places.append(recorded.place)
        self._leaf_records += records
        self._skip(recorded.skipped)
        progress.corrected_values += recorded.corrected
        progress.unread_headers += recorded.unread
        progress.studies, progress.series, progress.instances = plus(
            (progress.studies, progress.series, progress.instances), recorded.written
        )
        progress.removed = plus(progress.removed, recorded.removed)
        progress.replaced = plus(progress.replaced, recorded.replaced)

    def _skip(self, skipped: list[Skipped]) -> None:
        self._skipped += skipped
        self._transaction.progress.skipped += len(skipped)

    def _write_leaf(self) -> None:
        first, last = self._checkpoint.studies + 1, self._transaction.progress.studies
        # A leaf alone does not hold all that its scope means, so it is PARTIAL; the root tells of the whole.
        description = describe_leaf(first, last)
        self._save(self._writer.write(self._next_place(), description, terms.PARTIAL, self._scope, items=self._items))

    def _next_place(self) -> int:
        return len(self._kept) + 1

    def _save(self, instance: KeptInstance | None, settles: bool = True) -> None:
        progress = self._transaction.progress
        if not self._leads:  # the time of a run is that of the one who leads it
            progress.runtime = self._checkpoint.runtime
        try:
            merged, instance = self._journal.checkpoint(
                self._transaction, progress, instance, self._skipped, b"".join(self._places), self._checkpoint,
                self._settle if settles else None,
            )
        except Interrupted:  # another Orthanc goes on with the run, and does not know of it
            if instance is not None:
                self._store.delete(self._transaction.run, instance.uid)
            raise
        if instance is not None:
            self._kept.append(instance)
        vars(progress).update(vars(merged))
        self._checkpoint = replace(progress)
        if settles:
            rest = self._rest()
            self._taken = [rest] if rest and rest.first < rest.last else []
        self._begin_leaf()

    def _finish(self, state: State) -> None:
        if self._is_shared and state is State.SUCCESS:
            self._gather()
        # The root of an increment has no records of its own, so that a later one may pass it over.
        if self._items and (self._kept or self._increment):
            self._write_leaf()
        leaves = [instance for instance in self._kept if not instance.children]
        base = self._base()
        references = tiers([*map(self._writer.reference, leaves), *base], self._node)
        scope = self._increment_scope() if self._increment else self._scope
        status = terms.PARTIAL if state is State.FAILURE or self._is_partial() else terms.COMPLETE
        root = self._writer.write(
            self._next_place(), self._transaction.description, status, scope, references, self._items
        )
        document = summary(
            self._transaction, self._increment, root, status, references, self._settings.days, self._source.notes
        )
        inventory = KeptInventory(root.uid, self._transaction.study_uid, document)
        ended = replace(self._transaction, state=state, root_uid=root.uid, comment=closing_comment(self._transaction.progress))
        if state is State.FAILURE:
            ended.error_code, ended.error_description = CANCELED_JOB, CANCELED_JOB_DESCRIPTION
        self._end(ended, (root, inventory, b"".join(self._places)), [uid for reference in base for uid in reference.uids()])
        self._log(f"{self._line('is finished')}; the inventory {root.uid} is {status}")

    def _base(self) -> tuple[Reference, ...]:
        if self._increment is None:
            return ()
        return incorporated(self._writer.tree(self._increment.base.uid, self._increment.instances))

    def _increment_scope(self) -> Scope:
        """All study records of the tree lie in the scope of its root (PS3.3 C.38.1.1.5), those of the base included."""
        assert self._increment is not None
        return replace(self._transaction, scope=self._increment.base.document["Scope"]).parsed_scope()

    def _is_partial(self) -> bool:
        if self._transaction.progress.skipped:
            return True
        base = self._increment.base.document if self._increment else None
        # Of studies outside a narrower scope the increment does not know whether they changed.
        return base is not None and (
            base["InventoryCompletionStatus"] != terms.COMPLETE or base["Scope"] != self._transaction.scope
        )

    def discard(self, comment: str, error_code: int, error_description: str) -> None:
        """Ends the transaction as a failure that leaves nothing behind."""
        transaction = self._transaction
        self._shares.revoke()
        if transaction.study_uid:
            self._store.keep_only(transaction.run, ())
        self._end(
            replace(
                transaction,
                state=State.FAILURE,
                comment=comment,
                error_code=error_code,
                error_description=error_description,
            )
        )
        self._journal.forget_instances(transaction.study_uid)
        self._log(self._line(f"ends as {transaction.status}"))

    def _end(
        self,
        ended: Transaction,
        root: tuple[KeptInstance, KeptInventory, bytes] | None = None,
        incorporated: list[str] | None = None,
    ) -> None:
        """The journal knows the end before anyone can see it."""
        ended.completion_time = utc_now()
        try:
            self._journal.finish(ended, self._skipped, root, incorporated or (), self._settle)
        except Interrupted:
            if root is not None:
                self._store.delete(self._transaction.run, root[0].uid)
            raise
        vars(self._transaction).update(vars(ended))

    def _node(self, references: tuple[Reference, ...]) -> Reference:
        """An instance between the leaves and the root; after a crash the one that is there already."""
        children = [reference.uid for reference in references]
        known = next((instance for instance in self._kept if instance.children == children), None)
        if known is None:
            description = describe_node(children[0], children[-1])
            known = self._writer.write(self._next_place(), description, terms.PARTIAL, self._scope, references)
            self._save(known, settles=False)
        return self._writer.reference(known, references)
