"""What the journal knows of inventories and their instances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .journal_database import JournalDatabase
from .journal_rows import ROOTS, KeptInstance, KeptInventory


class JournalOfInventories:
    """What can be read of them; ``Journal`` writes it.

    Raises:
        sqlite3.Error: by any method, when the database cannot be read.
    """

    def __init__(self, database: JournalDatabase) -> None:
        self.database = database
        self._read = database.read

    def instances(self, study_uid: str) -> list[KeptInstance]:
        """The finished instances of a run in the order in which they were made; the root is the last."""
        rows = self._read("SELECT document FROM instances WHERE study_uid = ? ORDER BY place", study_uid)
        return [KeptInstance(**json.loads(document)) for (document,) in rows]

    def places(self, uids: Sequence[str]) -> dict[str, bytes]:
        """What ``checkpoint`` and ``finish`` were told of the records in these instances."""
        return dict(self._read(f"SELECT uid, places FROM places WHERE uid IN ({', '.join('?' * len(uids))})", *uids))

    def inventories(self) -> list[KeptInventory]:
        """The oldest first."""
        rows = self._read(f"SELECT uid, study_uid, document, number FROM inventories WHERE {ROOTS} ORDER BY number")
        return [KeptInventory(uid, study, json.loads(document), number) for uid, study, document, number in rows]

    def count_inventories(self) -> int:
        return self._read(f"SELECT COUNT(*) FROM inventories WHERE {ROOTS}")[0][0]

    def inventory(self, uid: str) -> KeptInventory | None:
        rows = self._read("SELECT uid, study_uid, document, number FROM inventories WHERE uid = ?", uid)
        return KeptInventory(rows[0][0], rows[0][1], json.loads(rows[0][2]), rows[0][3]) if rows else None

    def inventory_of(self, instance: str) -> tuple[KeptInventory, KeptInstance] | None:
        """The inventory that an instance belongs to, if that is finished."""
        rows = self._read(
            "SELECT inventories.uid, instances.document FROM instances JOIN inventories USING (study_uid)"
            " WHERE instances.uid = ?",
            instance,
        )
        if not rows:
            return None
        inventory = self.inventory(rows[0][0])
        return (inventory, KeptInstance(**json.loads(rows[0][1]))) if inventory else None

    def kept_instances(self, after: int, count: int) -> list[tuple[int, str, KeptInstance]]:
        """The instances of finished inventories behind a place: the place of each, and the inventory that it belongs to."""
        rows = self._read(
            "SELECT instances.rowid, inventories.uid, instances.document FROM instances JOIN inventories USING (study_uid)"
            " WHERE instances.rowid > ? ORDER BY instances.rowid LIMIT ?",
            after, count,
        )
        return [(place, uid, KeptInstance(**json.loads(document))) for place, uid, document in rows]

    def statistics(self, inventory: KeptInventory) -> dict[str, Any] | None:
        rows = self._read("SELECT document FROM statistics WHERE uid = ?", inventory.uid)
        return json.loads(rows[0][0]) if rows else None

    def places_of_inventories(self) -> list[set[tuple[str, str]]]:
        """Of each inventory the study and the store of its own instances."""
        rows = self._read(
            "SELECT DISTINCT inventories.uid, study_uid, instances.document ->> 'store'"
            " FROM inventories JOIN instances USING (study_uid)"
        )
        places: dict[str, set[tuple[str, str]]] = {}
        for uid, study_uid, store in rows:
            places.setdefault(uid, set()).add((study_uid, store))
        return list(places.values())

    def incorporated(self, root: str) -> list[tuple[str, str | None, KeptInstance | None]]:
        """What a root incorporates, directly or not, besides the instances of its own run: the UID of each instance, and
        where it is here, the inventory that it belongs to.
        """
        rows = self._read(
            "SELECT incorporated.uid, inventories.uid, instances.document FROM incorporated LEFT JOIN instances USING (uid)"
            " LEFT JOIN inventories USING (study_uid) WHERE root = ? ORDER BY incorporated.place",
            root,
        )
        return [
            (uid, inventory, KeptInstance(**json.loads(document)) if inventory else None) for uid, inventory, document in rows
        ]

    def incorporating(self, uid: str) -> list[str]:
        """The finished inventories that incorporate this one or an instance of it; it need not be here."""
        rows = self._read(
            "SELECT DISTINCT root FROM incorporated JOIN inventories ON inventories.uid = root"
            " WHERE root != ? AND (incorporated.uid = ? OR incorporated.uid IN (SELECT instances.uid FROM instances"
            " JOIN inventories USING (study_uid) WHERE inventories.uid = ?))",
            uid, uid, uid,
        )
        return [root for (root,) in rows]
