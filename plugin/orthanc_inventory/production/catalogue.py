"""The finished inventories: what each is, where its instances are, and their end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from ..stores import InstanceGone, Run, Store
from .journal import Journal, KeptInstance, KeptInventory

# What is larger is held on disk while it is read (bytes).
_IN_MEMORY = 4 * 1024 * 1024


class InUse(Exception):
    """Another inventory incorporates this one."""


class Member(NamedTuple):
    """One instance of a tree; it may have been made by another run than the root, or not be here at all."""

    uid: str
    run: Run | None = None
    instance: KeptInstance | None = None


class Catalogue:
    """Inventories as the journal knows them, over the stores that keep their instances.

    Args:
        stores: by name, as in the configuration key ``StoreIn``. An inventory stays where it was made.
        folder: for files without a name, each of which exists while an instance is read.
    """

    def __init__(self, journal: Journal, stores: Mapping[str, Store], folder: Path) -> None:
        self._journal = journal
        self._stores = stores
        self._folder = folder

    def inventories(self) -> list[KeptInventory]:
        """The roots, the oldest first."""
        return self._journal.inventories()

    def inventory(self, uid: str) -> KeptInventory | None:
        return self._journal.inventory(uid)

    def summary(self, inventory: KeptInventory) -> dict[str, Any]:
        """What users are told of an inventory; ``Missing`` are the instances of the tree that are not here (any more)."""
        members = self.tree(inventory)
        missing = self._missing(members)
        kept = [member.instance for member in members if member.instance is not None]
        return {
            "SOPInstanceUID": inventory.uid,
            **{key: value for key, value in inventory.document.items() if key != "Run"},
            "InstanceUIDs": [member.uid for member in members],
            "Missing": missing,
            "Size": sum(instance.size for instance in kept),
            "SHA256": {instance.uid: instance.sha256 for instance in kept},
            "OrthancID": kept[0].identifier or None,
        }

    def tree(self, inventory: KeptInventory) -> list[Member]:
        """The root and all that it incorporates, directly or not; the root is the first."""
        run = Run(**inventory.document["Run"])
        return [Member(instance.uid, run, instance) for instance in self._journal.instances(inventory.study_uid)[::-1]]

    def missing(self, inventory: KeptInventory) -> list[str]:
        """Instances of the tree that are not here, or not any more."""
        return self._missing(self.tree(inventory))

    def _missing(self, members: list[Member]) -> list[str]:
        uids: dict[tuple[str, Run], list[str]] = {}
        for member in members:
            if member.run is not None and member.instance is not None:
                uids.setdefault((member.instance.store, member.run), []).append(member.uid)
        present = {uid for (store, run), group in uids.items() for uid in self._stores[store].present(run, group)}
        return [member.uid for member in members if member.uid not in present]

    def file(self, uid: str) -> tuple[int, Iterator[bytes | memoryview]]:
        """Size and bytes of one instance, root or not.

        Raises:
            KeyError: no finished inventory has this instance.
            InstanceGone
        """
        found = self._journal.inventory_of(uid)
        if found is None:
            raise KeyError(uid)
        inventory, instance = found
        return instance.size, self._stores[instance.store].read(Run(**inventory.document["Run"]), uid)

    def open(self, member: Member) -> BinaryIO:
        """The bytes of one instance, to be read from anywhere in them.

        Raises:
            InstanceGone
        """
        if member.run is None or member.instance is None:
            raise InstanceGone
        # A file without a name, open to this process alone.
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=self._folder)
        try:
            for chunk in self._stores[member.instance.store].read(member.run, member.uid):
                file.write(chunk)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return cast(BinaryIO, file)

    def is_in_use(self, inventory: KeptInventory) -> bool:
        """Whether another inventory incorporates this one or some of its instances."""
        uids = {instance.uid for instance in self._journal.instances(inventory.study_uid)}
        others = (other.document for other in self._journal.inventories() if other.uid != inventory.uid)
        return any(other["Base"] == inventory.uid or not uids.isdisjoint(other["Incorporates"]) for other in others)

    def delete(self, inventory: KeptInventory) -> None:
        """It is no longer listed, then its instances go; what a crash leaves of them goes at the next start.

        Raises:
            InUse
        """
        if self.is_in_use(inventory):
            raise InUse
        stores = {instance.store for instance in self._journal.instances(inventory.study_uid)}
        self._journal.forget_inventory(inventory)
        for store in stores:
            self._delete_instances(inventory.study_uid, store)

    def finish_deletions(self) -> None:
        """Deletes the instances of inventories and runs whose end was cut short."""
        for study_uid, store in self._journal.abandoned():
            self._delete_instances(study_uid, store)

    def _delete_instances(self, study_uid: str, store: str) -> None:
        self._stores[store].keep_only(Run(study_uid), ())
        self._journal.forget_instances(study_uid)
