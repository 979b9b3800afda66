"""Inventories from elsewhere: checked, then kept exactly as they came.

They are kept in the folder of inventories and never in Orthanc: there, the attributes for filing would have to be put into
an encoding that is not ours, and taking in one large object costs Orthanc a multiple of its size in memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from ..dicom.uids import new_uid
from ..reader.examined import Examined, examine
from ..stores import Run, StoreError
from ..stores.directory import DirectoryStore, chunks_of
from .journal import Journal
from .journal_rows import KeptInstance, KeptInventory
from .transaction import utc_now


# The ways by which inventories come in, as their Origin tells.
IMPORT, C_STORE, DICOM_WEB = "Import", "C-STORE", "DICOMweb"


class UidTaken(Exception):
    """There is an instance with this SOP Instance UID already."""


class NotFitting(ValueError):
    """The inventory contradicts one that is here; the message says how."""


class Imports:
    """``store`` is named ``name`` in the journal."""

    def __init__(self, journal: Journal, store: DirectoryStore, name: str) -> None:
        self._journal = journal
        self._store = store
        self._name = name
        self._lock = threading.Lock()

    def take(self, open_file: Callable[[], BinaryIO], requestor: str, origin: str = IMPORT) -> KeptInventory:
        """Keeps a PS3.10 file; from then on it is listed like an inventory that was made here.

        Args:
            open_file: gives the file each time from its start.
            requestor: the user or AE title that brought it.
            origin: the way by which it came.

        Raises:
            InvalidInventory: it is none, or is damaged.
            NotFitting, UidTaken, StoreError
        """
        examined = examine(open_file)
        digest, size = hashlib.sha256(), 0
        for chunk in chunks_of(open_file()):
            digest.update(chunk)
            size += len(chunk)
        file = _File(open_file, size, digest.hexdigest())
        # Of two that come at the same time, one must see the other.
        with self._lock:
            return self._keep(file, examined, requestor, origin)

    def _keep(self, file: "_File", examined: Examined, requestor: str, origin: str) -> KeptInventory:
        self._check_fit(examined)
        run = Run(new_uid())
        instance = KeptInstance(
            examined.uid, 1, self._name, "", file.size, file.sha256, examined.studies, examined.total, examined.children,
        )
        # A crash between these steps leaves instances without an inventory, which go at the next start.
        if not self._journal.reserve(run.study_uid, instance):
            raise UidTaken
        document = document_of(examined, run, requestor, origin)
        try:
            self._store.write_origin(run, {key: document[key] for key in ("Origin", "Requestor", "CreationTime")})
            self._store.write(run, examined.uid, chunks_of(file.open()))
        except StoreError:
            self._store.keep_only(run, ())
            self._journal.forget_instances(run.study_uid)
            raise
        inventory = KeptInventory(examined.uid, run.study_uid, document)
        self._journal.add_inventory(inventory, examined.incorporated)
        return inventory

    def _check_fit(self, examined: Examined) -> None:
        """A tree has one level, and nothing in it is above itself (PS3.3 C.38.1.1.5)."""
        above = self._journal.incorporating(examined.uid)
        if cycle := set(above) & {examined.uid, *examined.incorporated}:
            raise NotFitting(f"the inventory incorporates {min(cycle)}, which incorporates it")
        for uid in [*above, *examined.incorporated]:
            other = self._journal.inventory(uid)
            if other is not None and other.document["InventoryLevel"] != examined.attributes["InventoryLevel"]:
                raise NotFitting(f"InventoryLevel is not that of {uid}, which belongs to the same tree")


class _File(NamedTuple):
    open: Callable[[], BinaryIO]
    size: int
    sha256: str


def document_of(examined: Examined, run: Run, requestor: str, origin: str) -> dict[str, Any]:
    """As for an inventory that was made here; the numbers of records are those of this one instance."""
    attributes = examined.attributes
    return {
        "TransactionUID": attributes.get("TransactionUID") or None,
        **{
            keyword: attributes.get(keyword, "")
            for keyword in (
                "ContentDate",
                "ContentTime",
                "InventoryLevel",
                "InventoryCompletionStatus",
                "InventoryPurpose",
                "InventoryInstanceDescription",
            )
        },
        "Scope": {"ScopeOfInventorySequence": examined.scope} if any(examined.scope) else {},
        "NumberOfStudyRecordsInInstance": examined.studies,
        "TotalNumberOfStudyRecords": examined.total,
        "Studies": examined.studies,
        "Series": examined.series,
        "Instances": examined.instances,
        "Base": None,
        "Incorporates": examined.children,
        "Expiration": None,
        "CreationTime": utc_now(),
        "Origin": origin,
        "Requestor": requestor,
        "Run": run._asdict(),
    }
