"""The finished inventories: what each is, where its instances are, and their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..stores import Run, Store
from .journal import Journal, KeptInventory


class Catalogue:
    """Inventories as the journal knows them, over the stores that keep their instances.

    Args:
        stores: by name, as in the configuration key ``StoreIn``. An inventory stays where it was made.
    """

    def __init__(self, journal: Journal, stores: Mapping[str, Store]) -> None:
        self._journal = journal
        self._stores = stores

    def inventories(self) -> list[KeptInventory]:
        """The roots, the oldest first."""
        return self._journal.inventories()

    def inventory(self, uid: str) -> KeptInventory | None:
        return self._journal.inventory(uid)

    def summary(self, inventory: KeptInventory) -> dict[str, Any]:
        """What users are told of an inventory; ``Missing`` are the instances that someone removed by hand."""
        document = dict(inventory.document)
        run = Run(**document.pop("Run"))
        instances = self._journal.instances(inventory.study_uid)[::-1]
        uids = [instance.uid for instance in instances]
        root = instances[0]
        present = self._stores[root.store].present(run, uids)
        return {
            "SOPInstanceUID": inventory.uid,
            **document,
            "InstanceUIDs": uids,
            "Missing": [uid for uid in uids if uid not in present],
            "Size": sum(instance.size for instance in instances),
            "SHA256": {instance.uid: instance.sha256 for instance in instances},
            "OrthancID": root.identifier or None,
        }

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

    def delete(self, inventory: KeptInventory) -> None:
        """It is no longer listed, then its instances go; what a crash leaves of them goes at the next start."""
        store = self._journal.instances(inventory.study_uid)[0].store
        self._journal.forget_inventory(inventory)
        self._delete_instances(inventory.study_uid, store)

    def finish_deletions(self) -> None:
        """Deletes the instances of inventories and runs whose end was cut short."""
        for study_uid, store in self._journal.abandoned():
            self._delete_instances(study_uid, store)

    def _delete_instances(self, study_uid: str, store: str) -> None:
        self._stores[store].keep_only(Run(study_uid), ())
        self._journal.forget_instances(study_uid)
