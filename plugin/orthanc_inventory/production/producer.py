"""The run: reads study after study, writes leaves of bounded size, then one root over them.

A leaf is written when the next study would make it too large; a study is never split. After each leaf the journal knows
how far the run is: an interrupted run reads again only what was not in a leaf yet.
"""

from __future__ import annotations

import datetime
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..dicom import terms
from ..dicom.elements import InvalidRecord
from ..dicom.encoder import StudyEncoder
from ..dicom.inventory import Inventory, Reference
from ..dicom.records import Skipped
from ..dicom.tree import tiers
from ..dicom.uids import new_uid
from ..sources import Source, StudyDeleted, StudyUnreadable
from ..stores import Store
from .journal import Journal, KeptInstance, KeptInventory
from .transaction import CANCELED_JOB, CANCELED_JOB_DESCRIPTION, Progress, State, Transaction, utc_now

# Studies that are taken from the snapshot at a time.
_BATCH = 1000
_SECONDS_BETWEEN_LOG_LINES = 10.0
_SECONDS_BETWEEN_LOOKS = 1.0


class Interrupted(Exception):
    """The run was told to stop; the journal knows how far it came."""


@dataclass(frozen=True)
class Settings:
    """What the administrator decided about production.

    ``attributes`` stand in each instance (equipment, end points); ``reference_access`` tells how a referenced inventory is
    reached, with ``{uid}`` in place of its UID; ``throttle`` are seconds between studies; ``timezone`` is an offset such
    as ``+0100``, or empty for that of the server; ``days`` is how long inventories are kept, 0 for ever.
    """

    store: str
    records_per_instance: int
    identifying: bool
    throttle: float
    timezone: str
    attributes: Mapping[str, Any]
    reference_access: Mapping[str, str]
    days: int = 0


class Producer:
    """One run of one transaction, in the thread that calls ``produce``.

    ``interrupted`` stops it at the next study; ``log`` gets lines for the administrator; ``observe`` is called about once a
    second while the run goes on.
    """

    def __init__(
        self,
        transaction: Transaction,
        source: Source,
        store: Store,
        journal: Journal,
        settings: Settings,
        interrupted: threading.Event,
        log: Callable[[str], None],
        observe: Callable[[], None],
    ) -> None:
        self._transaction = transaction
        self._source = source
        self._store = store
        self._journal = journal
        self._settings = settings
        self._interrupted = interrupted
        self._log = log
        self._observe = observe
        self._throttle = settings.throttle
        self._scope = transaction.parsed_scope()
        self._encoder = StudyEncoder(transaction.level, settings.identifying)
        self._kept: list[KeptInstance] = []
        self._skipped: list[Skipped] = []
        self._items: list[bytes] = []
        self._leaf_records = 0
        self._checkpoint = transaction.progress
        self._earlier_runtime = transaction.progress.runtime
        self._resumed = time.monotonic()

    def produce(self, before_root: Callable[[], None]) -> None:
        """Works until the inventory is finished and the transaction is a success.

        Args:
            before_root: called when nothing but the root is left to be written; may raise Interrupted.

        Raises:
            Interrupted: the transaction's progress is that of the last leaf.
            StoreError, HostError, sqlite3.Error: the run cannot go on.
        """
        try:
            self._begin()
            for study in self._studies():
                self._take(study)
            before_root()
            self._finish(State.SUCCESS)
        except Interrupted:
            self._transaction.progress = self._checkpoint
            self._items, self._leaf_records, self._skipped = [], 0, []
            raise

    def retain(self) -> bool:
        """Ends a cancelled run with a PARTIAL root over the leaves that are finished; False when there is none."""
        self._kept = self._journal.instances(self._transaction.study_uid)
        self._store.keep_only(self._transaction.run, [instance.uid for instance in self._kept])
        if self._kept:
            self._finish(State.FAILURE)
        return bool(self._kept)

    def _begin(self) -> None:
        transaction = self._transaction
        if not transaction.started:
            now = datetime.datetime.now(datetime.timezone.utc).astimezone(_zone(self._settings.timezone))
            transaction.started = now.strftime("%Y%m%d%H%M%S.%f")
            transaction.timezone = now.strftime("%z")[:5]
            transaction.study_uid, transaction.series_uid = new_uid(), new_uid()
            # Content Date and Time come first: all that was there by then is in the snapshot (PS3.3 C.38.1.1.1).
            studies = self._source.studies(self._scope)
            transaction.total_studies = len(studies)
            self._journal.begin(transaction, studies)
        self._kept = self._journal.instances(transaction.study_uid)
        self._store.keep_only(transaction.run, [instance.uid for instance in self._kept])
        transaction.progress = replace(self._checkpoint)
        self._log(self._line("starts"))

    def _studies(self) -> Iterator[str]:
        """The studies of the snapshot that are not in a leaf yet, with a log line now and then."""
        progress = self._transaction.progress
        last_line = last_look = time.monotonic()
        while batch := self._journal.studies(self._transaction, progress.position, _BATCH):
            for study in batch:
                if self._interrupted.is_set() or (self._throttle and self._interrupted.wait(self._throttle)):
                    raise Interrupted
                yield study
                progress.position += 1
                now = time.monotonic()
                progress.runtime = self._earlier_runtime + now - self._resumed
                if now - last_look >= _SECONDS_BETWEEN_LOOKS:
                    last_look = now
                    self._observe()
                if now - last_line >= _SECONDS_BETWEEN_LOG_LINES:
                    last_line = now
                    self._log(self._line("runs"))

    def _line(self, verb: str) -> str:
        progress, transaction = self._transaction.progress, self._transaction
        records = progress.studies + progress.series + progress.instances
        return (
            f"{transaction.uid} {verb}: {progress.position} of {transaction.total_studies} studies read; records: "
            f"{progress.studies} studies, {progress.series} series, {progress.instances} instances; "
            f"{progress.skipped} skipped, {progress.deleted_studies} deleted meanwhile; "
            f"{records / progress.runtime if progress.runtime else 0:.0f} records/s"
        )

    def _take(self, study: str) -> None:
        progress = self._transaction.progress
        try:
            read = self._source.read(study, self._transaction.level, self._scope, self._encoder.encode)
        except StudyDeleted:
            progress.deleted_studies += 1
            return
        except (StudyUnreadable, InvalidRecord) as error:
            self._skip([Skipped(study, "Study", str(error))])
            return
        if read is None:
            return
        (item, series, instances, corrected, unread, refused), skipped = read
        records = 1 + series + instances
        if self._items and self._leaf_records + records > self._settings.records_per_instance:
            self._write_leaf()
        self._items.append(item)
        self._leaf_records += records
        self._skip(skipped + refused)
        progress.corrected_values += corrected
        progress.unread_headers += unread
        progress.studies += 1
        progress.series += series
        progress.instances += instances

    def _skip(self, skipped: list[Skipped]) -> None:
        self._skipped += skipped
        self._transaction.progress.skipped += len(skipped)

    def _write_leaf(self) -> None:
        first, last = self._checkpoint.studies + 1, self._transaction.progress.studies
        # A leaf alone does not hold all that its scope means, so it is PARTIAL; the root tells of the whole.
        instance = self._write(f"Study records {first} to {last}", terms.PARTIAL, ())
        self._save(instance)

    def _save(self, instance: KeptInstance) -> None:
        progress = self._transaction.progress
        self._journal.checkpoint(self._transaction, progress, instance, self._skipped)
        self._kept.append(instance)
        self._checkpoint = replace(progress)
        self._items, self._leaf_records, self._skipped = [], 0, []

    def _finish(self, state: State) -> None:
        progress = self._transaction.progress
        references: tuple[Reference, ...] = ()
        if self._kept:
            if self._items:
                self._write_leaf()
            leaves = [instance for instance in self._kept if not instance.children]
            references = tiers([self._reference(instance) for instance in leaves], self._node)
        partial = state is State.FAILURE or progress.skipped
        status = terms.PARTIAL if partial else terms.COMPLETE
        root = self._write(self._transaction.description, status, references)
        inventory = KeptInventory(root.uid, self._transaction.study_uid, self._document(root, status, references))
        ended = replace(self._transaction, state=state, root_uid=root.uid, comment=_comment(progress))
        if state is State.FAILURE:
            ended.error_code, ended.error_description = CANCELED_JOB, CANCELED_JOB_DESCRIPTION
        self._end(ended, (root, inventory))
        self._log(f"{self._line('is finished')}; the inventory {root.uid} is {status}")

    def discard(self, comment: str, error_code: int, error_description: str) -> None:
        """Ends the transaction as a failure that leaves nothing behind."""
        transaction = self._transaction
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

    def _end(self, ended: Transaction, root: tuple[KeptInstance, KeptInventory] | None = None) -> None:
        """The journal knows the end before anyone can see it."""
        ended.completion_time = utc_now()
        self._journal.finish(ended, self._skipped, root)
        vars(self._transaction).update(vars(ended))

    def _node(self, references: tuple[Reference, ...]) -> Reference:
        """An instance between the leaves and the root; after a crash the one that is there already."""
        children = [reference.uid for reference in references]
        known = next((instance for instance in self._kept if instance.children == children), None)
        if known is None:
            known = self._write(f"Instances {children[0]} to {children[-1]}", terms.PARTIAL, references)
            self._save(known)
        return replace(self._reference(known), incorporates=references)

    def _reference(self, instance: KeptInstance) -> Reference:
        access = {keyword: value.format(uid=instance.uid) for keyword, value in self._settings.reference_access.items()}
        return Reference(instance.uid, instance.sha256, access)

    def _write(self, description: str, status: str, references: tuple[Reference, ...]) -> KeptInstance:
        """Puts one instance with the study items at hand into the store."""
        transaction, kept = self._transaction, {instance.uid: instance for instance in self._kept}
        children = [reference.uid for reference in references]
        records = len(self._items)
        total = records + sum(kept[child].total for child in children)
        attributes = self._attributes(description, status, references)
        inventory = Inventory(new_uid(), attributes, b"".join(self._items), records, total)
        file = inventory.encode()
        place = len(self._kept) + 1
        identifier = self._store.put(transaction.run, inventory, file, place)
        sha256 = hashlib.sha256(file).hexdigest()
        return KeptInstance(
            inventory.uid, place, self._settings.store, identifier, len(file), sha256, records, total, children
        )

    def _attributes(self, description: str, status: str, references: tuple[Reference, ...]) -> dict[str, Any]:
        transaction = self._transaction
        now = datetime.datetime.now(datetime.timezone.utc).astimezone(_zone(transaction.timezone))
        attributes = {
            **self._settings.attributes,
            "InstanceCreationDate": now.strftime("%Y%m%d"),
            "InstanceCreationTime": now.strftime("%H%M%S.%f"),
            "ContentDate": transaction.started[:8],
            "ContentTime": transaction.started[8:],
            "TimezoneOffsetFromUTC": transaction.timezone,
            "ScopeOfInventorySequence": self._scope.sequence(),
            "TransactionUID": transaction.uid,
            "InventoryPurpose": transaction.purpose,
            "InventoryLevel": transaction.level,
            "InventoryCompletionStatus": status,
            "IncorporatedInventoryInstanceSequence": [reference.item() for reference in references],
        }
        if description:
            attributes["InventoryInstanceDescription"] = description
        return attributes

    def _document(self, root: KeptInstance, status: str, references: tuple[Reference, ...]) -> dict[str, Any]:
        """What the summary of an inventory tells that cannot be asked of its instances."""
        transaction, progress = self._transaction, self._transaction.progress
        return {
            "TransactionUID": transaction.uid,
            "ContentDate": transaction.started[:8],
            "ContentTime": transaction.started[8:],
            "InventoryLevel": transaction.level,
            "Detail": transaction.detail,
            "InventoryCompletionStatus": status,
            "InventoryPurpose": transaction.purpose,
            "InventoryInstanceDescription": transaction.description,
            "Scope": transaction.scope,
            "NumberOfStudyRecordsInInstance": root.records,
            "TotalNumberOfStudyRecords": root.total,
            "Studies": progress.studies,
            "Series": progress.series,
            "Instances": progress.instances,
            "Base": None,
            "Incorporates": [reference.uid for reference in references],
            "Expiration": _expiration(self._settings.days),
            "CreationTime": utc_now(),
            "Requestor": transaction.requestor,
            "Run": transaction.run._asdict(),
        }


def _expiration(days: int) -> str | None:
    """Expiration DateTime (0008,0416) of an inventory that is finished now."""
    if not days:
        return None
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return moment.strftime("%Y%m%d%H%M%S+0000")


def _zone(offset: str) -> datetime.tzinfo | None:
    """The time zone of an offset such as ``+0100``; that of the server for an empty one."""
    if not offset:
        return None
    # Not by strptime, which finds a dead module after POST /tools/reset, for Python starts anew in the same process.
    size = datetime.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return datetime.timezone(-size if offset[0] == "-" else size)


def _comment(progress: Progress) -> str:
    """What the administrator should know of a run that is over, in counts."""
    counts = {
        "resources were skipped, see Skipped": progress.skipped,
        "studies were deleted before they were read": progress.deleted_studies,
        "headers could not be read, their objects have no details": progress.unread_headers,
        "values were brought into a form that their VR allows": progress.corrected_values,
    }
    return "; ".join(f"{count} {what}" for what, count in counts.items() if count)
