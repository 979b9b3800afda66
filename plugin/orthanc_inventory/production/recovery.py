"""What the stores hold and the journal does not know: found again after one of them was lost, or came from a backup.

Instances tell all but how their run was asked for, what it skipped, and from where an increment could go on: so what is found
again is no base.
"""

from __future__ import annotations

import datetime
import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from ..dicom.scope import InvalidScope, Scope
from ..host import HostError, describe
from ..reader import Inventory, InvalidInventory, MissingInstance
from ..reader.records import Instance, Series, Study
from ..reader.examined import Examined, examine
from ..stores import InstanceGone, Kept, Run, Store, StoreError
from ..stores.directory import chunks_of
from .catalogue import Catalogue
from .imports import IMPORT, document_of
from .instance_writer import MANUFACTURER, is_part, zone
from .journal import Journal
from .journal_rows import KeptInstance, KeptInventory
from .transaction import State, Transaction, utc_now, utc_time

_CREATION = "InstanceCreationDate", "InstanceCreationTime"
_LEVELS = ("Studies", "Series", "Instances")
# Removed from Operational Use
_REMOVED = 0x00080405


class Recovery:
    """Brings the journal up to what the stores hold, before anything else works with it.

    Args:
        shared: the stores in which others may be at work: nothing is deleted there, neither now nor by Retention.
        log: gets a line if anything was found.
    """

    def __init__(
        self, journal: Journal, catalogue: Catalogue, stores: Mapping[str, Store], shared: frozenset[str],
        log: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._catalogue = catalogue
        self._stores = stores
        self._shared = shared
        self._log = log
        self._found = self._removed = self._left = 0

    def run(self) -> None:
        known, present = self._journal.study_uids(), set()
        doubtful: list[tuple[str, Kept, Examined]] = []
        try:
            for name, store in self._stores.items():
                for study_uid in store.runs():
                    present.add((study_uid, name))
                    # Beside a journal that is not lost, what is unknown in a shared store is another's.
                    if study_uid not in known and not (known and name in self._shared):
                        self._try(name, study_uid, doubtful)
            # These may belong to a tree that came in from elsewhere, whose root is known by now.
            for name, kept, examined in doubtful:
                if self._journal.incorporating(examined.uid):
                    self._add(name, kept, [examined], examined, IMPORT)
                else:
                    self._remove(name, kept.run)
        except HostError as error:
            self._log(f"recovery: what Orthanc holds cannot be read, which is tried again at the next start: {error}")
            return
        gone = sum(bool(places.isdisjoint(present)) for places in self._journal.places_of_inventories())
        self._tell(gone)

    def _tell(self, gone: int) -> None:
        counts = {
            "inventories that the journal did not know were found": self._found,
            "half-made inventories of unknown runs were removed": self._removed,
            "folders or studies of inventories could not be read, and were left alone": self._left,
            "inventories of the journal are no longer there, see Missing in their summaries": gone,
        }
        if said := "; ".join(f"{count} {what}" for what, count in counts.items() if count):
            self._log(f"recovery: {said}")

    def _try(self, name: str, study_uid: str, doubtful: list[tuple[str, Kept, Examined]]) -> None:
        try:
            self._take(name, study_uid, doubtful)
        except (sqlite3.Error, HostError):
            raise
        except Exception as error:  # whatever is wrong with one, the others are found
            self._left += 1
            self._log(f"recovery: {study_uid} cannot be looked at: {describe(error)}")

    def _take(self, name: str, study_uid: str, doubtful: list[tuple[str, Kept, Examined]]) -> None:
        kept = self._stores[name].contents(study_uid)
        examined = [entry for uid in kept.identifiers if (entry := self._examine(name, kept.run, uid)) is not None]
        below = {uid for entry in examined for uid in entry.incorporated}
        tops = [entry for entry in examined if entry.uid not in below]
        whole = len(examined) == len(kept.identifiers)
        origin = kept.origin.get("Origin", "")
        if not origin and len(tops) == 1 == len(kept.identifiers) and tops[0].attributes.get("Manufacturer") != MANUFACTURER:
            origin = IMPORT
        if len(tops) == 1 and (origin or not is_part(tops[0].attributes)):
            self._add(name, kept, examined, tops[0], origin)
        elif not whole:
            self._left += 1
        elif len(tops) == 1 == len(examined):
            doubtful.append((name, kept, tops[0]))
        else:
            self._remove(name, kept.run)

    def _examine(self, name: str, run: Run, uid: str) -> Examined | None:
        try:
            examined = examine(lambda: self._stores[name].open(run, uid))
        except (InvalidInventory, InstanceGone, ValueError, OSError, HostError):
            return None
        return examined if examined.uid == uid else None

    def _remove(self, name: str, run: Run) -> None:
        if name in self._shared:
            # Another Orthanc may be about to finish it.
            self._left += 1
            return
        try:
            self._stores[name].keep_only(run, ())
            self._removed += 1
        except StoreError:  # the next start tries again
            self._left += 1

    def _add(self, name: str, kept: Kept, examined: list[Examined], root: Examined, origin: str) -> None:
        # The root is the last of its run.
        examined.sort(key=lambda entry: (entry is root, *map(entry.attributes.get, _CREATION, ("", ""))))
        instances = [self._instance(name, kept, entry, place) for place, entry in enumerate(examined, 1)]
        own = {instance.uid for instance in instances}
        incorporated = [uid for uid in root.incorporated if uid not in own]
        document = document_of(root, kept.run, kept.origin.get("Requestor", ""), origin)
        if origin:
            document["CreationTime"] = kept.origin.get("CreationTime") or _creation_time(root)
        else:
            del document["Origin"]
            document.update(self._own_document(name, kept, examined, root, incorporated))
        document["Recovered"] = utc_now()
        if name in self._shared:
            document["Shared"] = True
        inventory = KeptInventory(root.uid, kept.run.study_uid, document)
        if not self._journal.recover(inventory, instances, incorporated, self._transaction(document, root)):
            self._left += 1
            return
        self._found += 1
        if len(instances) == len(kept.identifiers) and name not in self._shared:
            # What a crash left beside them.
            self._stores[name].keep_only(kept.run, own)

    def _transaction(self, document: Mapping[str, Any], root: Examined) -> Transaction | None:
        """Of a journal from a backup, in which the run has not ended yet."""
        transaction = self._journal.transaction(document["TransactionUID"] or "")
        if transaction is None or transaction.is_over or document.get("Origin"):
            return None
        comment = "its inventory was found when the journal had been restored"
        return replace(transaction, state=State.SUCCESS, root_uid=root.uid, comment=comment, completion_time=utc_now())

    def _instance(self, name: str, kept: Kept, examined: Examined, place: int) -> KeptInstance:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks_of(self._stores[name].open(kept.run, examined.uid)):
            digest.update(chunk)
            size += len(chunk)
        return KeptInstance(
            examined.uid, place, name, kept.identifiers[examined.uid], size, digest.hexdigest(), examined.studies,
            examined.total, examined.children,
        )

    def _own_document(
        self, name: str, kept: Kept, examined: list[Examined], root: Examined, incorporated: list[str]
    ) -> dict[str, Any]:
        """What differs from an inventory that came from elsewhere."""
        bases = [inventory for uid in incorporated if (inventory := self._journal.inventory(uid)) is not None]
        counts = {level: sum(getattr(entry, level.lower()) for entry in examined) for level in _LEVELS}
        if incorporated:
            counts = self._counts(name, kept, root) or counts
        return {
            "Detail": None,
            "Scope": _scope(root),
            **counts,
            "Removed": None,
            "Base": max(bases, key=lambda inventory: inventory.number).uid if bases else None,
            "CreationTime": _creation_time(root),
            "Schedule": None,
            "Source": None,
        }

    def _counts(self, name: str, kept: Kept, root: Examined) -> dict[str, int] | None:
        """The records of what is there, as the latest of each study in the tree says it; None if the tree is not whole."""

        def open_instance(uid: str) -> BinaryIO:
            member = self._catalogue.instance(uid)
            try:
                if uid in kept.identifiers:
                    return self._stores[name].open(kept.run, uid)
                if member is not None:
                    return self._catalogue.open(member)
            except InstanceGone:
                pass
            raise MissingInstance(uid)

        counts = dict.fromkeys(_LEVELS, 0)
        try:
            for study in Inventory(root.uid, open_instance).merged_studies():
                counts["Studies"] += not _is_removed(study.records[0])
                for series in study.series():
                    counts["Series"] += not _is_removed(series)
                    counts["Instances"] += sum(not _is_removed(instance) for instance in series.instances())
        except (InvalidInventory, MissingInstance):
            return None
        return counts


def _is_removed(record: Study | Series | Instance) -> bool:
    return record.value(_REMOVED) == "Y"


def _scope(root: Examined) -> dict[str, Any]:
    """As a user would write it."""
    if not any(root.scope):
        return {}
    sequence = {"ScopeOfInventorySequence": root.scope}
    try:
        return Scope.parse(sequence, root.attributes.get("TimezoneOffsetFromUTC", "")).simple()
    except InvalidScope:
        return sequence


def _creation_time(examined: Examined) -> str:
    """Instance Creation Date and Time, or those of the content, in Orthanc's form; empty where they cannot be read."""
    attributes = examined.attributes
    date, time = map(attributes.get, _CREATION)
    if not date or not time:
        date, time = attributes["ContentDate"], attributes["ContentTime"]
    try:
        # Not by strptime, see ``zone``.
        hour, minute, second = int(time[:2]), int(time[2:4] or 0), int(time[4:6] or 0)
        moment = datetime.datetime(
            int(date[:4]), int(date[4:6]), int(date[6:8]), hour, minute, second,
            tzinfo=zone(attributes.get("TimezoneOffsetFromUTC", "")),
        )
    except ValueError:
        return ""
    return utc_time(moment.astimezone(datetime.timezone.utc))
