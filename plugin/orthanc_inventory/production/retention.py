"""How long inventories are kept: ``Retention`` of the configuration, applied at the start, after each run and daily."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable, Mapping, Sequence

from ..dicom import terms
from ..host import describe
from ..stores import StoreError
from .catalogue import Catalogue, InUse
from .journal_rows import KeptInventory
from .leases import Leases
from .transaction import utc_time

_DAY = 24 * 60 * 60.0
_LEASE = "retention"


class Retention:
    """``keep`` roots of each level, scope and source stay, for ``days``; 0 is no limit.

    ``schedules`` are those that have a limit of their own, by name: it holds for what they made, in place of ``keep``.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        leases: Leases,
        keep: int,
        days: int,
        schedules: Mapping[str, int],
        log: Callable[[str], None],
    ) -> None:
        self._leases = leases
        self._catalogue = catalogue
        self._keep = keep
        self._days = days
        self._schedules = schedules
        self._log = log
        self._stopping = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inventory-retention")

    def start(self) -> None:
        if self._keep or self._days or self._schedules:
            self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is a new inventory: look now."""
        self._awake.set()

    def _work(self) -> None:
        while True:
            self._awake.clear()
            if self._stopping:
                return
            try:
                # Where there are several Orthancs, one of them does it, which all are told of.
                if self._leases.take(_LEASE):
                    self._apply()
                    self._leases.give_back(_LEASE)
            except Exception as error:  # whatever it is, it may be over tomorrow
                self._log(f"retention fails: {describe(error)}")
            self._awake.wait(_DAY)

    def _apply(self) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        deleted = 0
        # The newest first: a root must be gone before what it incorporates can go.
        inventories = sorted(self._catalogue.inventories(), key=lambda inventory: inventory.document["CreationTime"])
        for inventory in outdated(inventories, self._keep, self._days, now, self._schedules):
            if self._stopping:
                break
            try:
                self._catalogue.delete(inventory)
                deleted += 1
            except (InUse, KeyError):  # or somebody was quicker
                continue
            except StoreError as error:
                self._log(f"retention: {inventory.uid} is no longer listed, but goes at the next start: {error}")
        if deleted:
            self._log(f"retention: {deleted} inventories were deleted")


def outdated(
    inventories: Sequence[KeptInventory],
    keep: int,
    days: int,
    now: datetime.datetime,
    schedules: Mapping[str, int],
) -> list[KeptInventory]:
    """Those that are older than ``days`` or have ``keep`` newer ones of their kind, the newest first.

    Their kind is their level, scope and source, or their schedule if it is one of ``schedules``, which say how many of theirs are
    kept. ``inventories`` begin with the oldest. What came from elsewhere, or may be another Orthanc's, is not ours to delete.
    A COMPLETE inventory is not superseded by PARTIAL ones alone.
    """
    oldest = utc_time(now - datetime.timedelta(days=days)) if days else ""
    newer: dict[str, int] = {}
    complete: set[str] = set()
    result = []
    for inventory in reversed(inventories):
        document = inventory.document
        if document.get("Origin") or document.get("Shared"):
            continue
        schedule = document.get("Schedule") or ""
        kind = json.dumps([document["InventoryLevel"], document["Scope"], document.get("Source")], sort_keys=True)
        limit = keep
        if schedule in schedules:
            kind, limit = schedule, schedules[schedule]
        is_complete = document["InventoryCompletionStatus"] == terms.COMPLETE
        superseded = limit and newer.get(kind, 0) >= limit and not (is_complete and kind not in complete)
        if superseded or document["CreationTime"] < oldest:
            result.append(inventory)
        newer[kind] = newer.get(kind, 0) + 1
        if is_complete:
            complete.add(kind)
    return result
