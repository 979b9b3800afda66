"""The finished inventories: what each is, where its instances are, and their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from ..reader import Inventory, MissingInstance
from ..stores import InstanceGone, Run, Store, StoreError
from .journal import Journal
from .journal_rows import KeptInstance, KeptInventory


# How many instances are looked at together.
_PAGE = 5000
# What an inventory's document holds for its own sake.
_HIDDEN = frozenset({"Run", "Mark", "Withdrawn", "Notes", "Shared"})


class InUse(Exception):
    """The inventory cannot go yet; the message says why."""


class Member(NamedTuple):
    """One instance of a tree: it belongs to the root's own run or to another inventory, or is not here at all."""

    uid: str
    inventory: KeptInventory | None = None
    instance: KeptInstance | None = None


class Catalogue:
    """Inventories as the journal knows them, over the stores that keep their instances.

    Args:
        stores: by name, as in the configuration key ``StoreIn``. An inventory stays where it was made.
    """

    def __init__(self, journal: Journal, stores: Mapping[str, Store]) -> None:
        self._journal = journal
        self._stores = stores
        # Of two that delete the same inventory, one comes too late.
        self._deletion = threading.Lock()

    def inventories(self) -> list[KeptInventory]:
        """The roots, the oldest first."""
        return self._journal.inventories()

    def inventory(self, uid: str) -> KeptInventory | None:
        return self._journal.inventory(uid)

    def is_listed(self, inventory: KeptInventory) -> bool:
        """Whether it is still there. A deletion takes it from the list first, and then what it is made of."""
        found = self._journal.inventory(inventory.uid)
        return found is not None and found.number == inventory.number

    def summary(self, inventory: KeptInventory) -> dict[str, Any] | None:
        """What users are told of an inventory; ``Missing`` are the instances of the tree that are not here (any more).

        None: it was deleted meanwhile.
        """
        members = self.tree(inventory)
        kept = [member.instance for member in members if member.instance is not None]
        missing, description = self._missing(members), self.describe(inventory)
        if not self.is_listed(inventory):
            return None
        return {
            **description,
            "InstanceUIDs": [member.uid for member in members],
            "Missing": missing,
            "Size": sum(instance.size for instance in kept),
            "SHA256": {instance.uid: instance.sha256 for instance in kept},
            "OrthancID": kept[0].identifier or None,
        }

    def describe(self, inventory: KeptInventory) -> dict[str, Any]:
        """The part of the summary that needs no look at the instances."""
        document = {key: value for key, value in inventory.document.items() if key not in _HIDDEN}
        if document.get("Origin"):
            document.update(_counts(self.tree(inventory)))
        return {"SOPInstanceUID": inventory.uid, "Origin": None, "Schedule": None, "Recovered": None, **document}

    def instances(self) -> Iterator[Member]:
        """Each instance of the finished inventories, roots or not, that is still here; the oldest first."""
        for rows in self._pages():
            inventories: dict[str, KeptInventory | None] = {}
            members = []
            for uid, instance in rows:
                if uid not in inventories:
                    inventories[uid] = self._journal.inventory(uid)
                members.append(Member(instance.uid, inventories[uid], instance))
            yield from self.present(members)

    def digests(self) -> Iterator[str]:
        """The SHA-256 of each instance of the finished inventories."""
        return (instance.sha256 for rows in self._pages() for _, instance in rows)

    def _pages(self) -> Iterator[list[tuple[str, KeptInstance]]]:
        last = 0
        while rows := self._journal.kept_instances(last, _PAGE):
            last = rows[-1][0]
            yield [(uid, instance) for _, uid, instance in rows]

    def instance(self, uid: str) -> Member | None:
        """One of them, which may have gone: ``open`` will tell."""
        found = self._journal.inventory_of(uid)
        return Member(uid, *found) if found else None

    def present(self, members: list[Member]) -> list[Member]:
        """Those of them that are still here."""
        missing = set(self._missing(members))
        return [member for member in members if member.uid not in missing]

    def tree(self, inventory: KeptInventory) -> list[Member]:
        """The root and all that it incorporates, directly or not; the root is the first."""
        own = [Member(instance.uid, inventory, instance) for instance in self._journal.instances(inventory.study_uid)[::-1]]
        others: dict[str | None, KeptInventory | None] = {None: None}
        members = []
        for uid, other, instance in self._journal.incorporated(inventory.uid):
            if other is not None and other not in others:
                others[other] = self._journal.inventory(other)
            members.append(Member(uid, others[other], instance))
        return own + members

    def missing(self, inventory: KeptInventory) -> list[str]:
        """Instances of the tree that are not here, or not any more."""
        return self._missing(self.tree(inventory))

    def _missing(self, members: list[Member]) -> list[str]:
        uids: dict[tuple[str, Run], list[str]] = {}
        for uid, inventory, instance in members:
            if inventory is not None and instance is not None:
                uids.setdefault((instance.store, _run(inventory)), []).append(uid)
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
        return instance.size, self._stores[instance.store].read(_run(inventory), uid)

    def open(self, member: Member) -> BinaryIO:
        """The bytes of one instance, to be read from anywhere in them.

        Raises:
            InstanceGone
        """
        if member.inventory is None or member.instance is None:
            raise InstanceGone
        return self._stores[member.instance.store].open(_run(member.inventory), member.uid)

    def read(self, inventory: KeptInventory, before_open: Callable[[], None] = lambda: None) -> Inventory:
        """Its records. ``before_open`` is called before each of its instances is opened, and may raise what ends that.

        Raises:
            InvalidInventory: it was damaged, or came in so.
            MissingInstance: also while it is read.
        """
        members = {member.uid: member for member in self.tree(inventory)}

        def open_instance(uid: str) -> BinaryIO:
            before_open()
            try:
                return self.open(members[uid])
            except (KeyError, InstanceGone):
                raise MissingInstance(uid) from None

        return Inventory(inventory.uid, open_instance)

    def reopen(self, uid: str, before_open: Callable[[], None]) -> Inventory:
        """The same for a run that was asked for earlier. Raises: MissingInstance, too, if there is no such inventory."""
        inventory = self.inventory(uid)
        if inventory is None:
            raise MissingInstance(uid)
        return self.read(inventory, before_open)

    def statistics(self, inventory: KeptInventory) -> dict[str, Any] | None:
        """What ``keep_statistics`` was given for the inventory as it is."""
        return self._journal.statistics(inventory)

    def keep_statistics(self, inventory: KeptInventory, document: dict[str, Any]) -> None:
        self._journal.keep_statistics(inventory, document)

    def _check_unused(self, inventory: KeptInventory) -> None:
        """Raises: InUse."""
        for transaction in self._journal.unfinished():
            # An increment that is not finished yet will incorporate its base.
            if transaction.base == inventory.uid:
                raise InUse(f"{transaction.uid} makes an increment of this inventory: wait for it, or cancel it")
        if self._journal.incorporating(inventory.uid):
            raise InUse("another inventory incorporates this one; delete that first")

    def delete(self, inventory: KeptInventory) -> None:
        """It is no longer listed, then its instances go; what a crash leaves of them goes at the next start.

        Raises:
            InUse
            KeyError: somebody else has deleted it meanwhile.
            StoreError: it is no longer listed, but its instances are there; they go at the next start, too.
        """
        with self._deletion:
            if self._journal.inventory(inventory.uid) is None:
                raise KeyError(inventory.uid)
            stores = self._take_off_the_list(inventory)
        for study_uid, store in stores:
            self._delete_instances(study_uid, store)

    def _take_off_the_list(self, inventory: KeptInventory) -> set[tuple[str, str]]:
        """Study and store of the instances that have to go now. Raises: InUse."""
        self._check_unused(inventory)
        going = {inventory.uid: inventory, **(self._imported_with(inventory) if inventory.document.get("Origin") else {})}
        for transaction in self._journal.unfinished():
            if transaction.verified_uid in going:
                raise InUse(f"{transaction.uid} verifies this inventory: wait for it, or cancel it")
        stores = {
            (entry.study_uid, instance.store)
            for entry in going.values()
            for instance in self._journal.instances(entry.study_uid)
        }
        self._journal.forget_inventories(going)
        return stores

    def _imported_with(self, root: KeptInventory) -> dict[str, KeptInventory]:
        """The imported inventories that this imported one incorporates, and no other that stays."""
        found = {member.inventory.uid: member.inventory for member in self.tree(root)[1:] if member.inventory is not None}
        parts = {uid: entry for uid, entry in found.items() if entry.document.get("Origin")}
        while used := [uid for uid in parts if not {root.uid, *parts}.issuperset(self._journal.incorporating(uid))]:
            for uid in used:
                del parts[uid]
        return parts

    def marks(self) -> Iterator[str]:
        """The points in the record of changes from which increments may ask."""
        yield from (inventory.document["Mark"] for inventory in self._journal.inventories() if "Mark" in inventory.document)
        yield from (transaction.mark for transaction in self._journal.unfinished() if transaction.mark)

    def finish_deletions(self, log: Callable[[str], None]) -> None:
        """Deletes the instances of inventories and runs whose end was cut short; ``log`` is told of what does not go."""
        for study_uid, store in self._journal.abandoned():
            try:
                self._delete_instances(study_uid, store)
            except StoreError as error:
                log(f"what is left of a deletion cannot go, and is tried again at the next start: {error}")

    def _delete_instances(self, study_uid: str, store: str) -> None:
        self._stores[store].keep_only(Run(study_uid), ())
        self._journal.forget_instances(study_uid)


def _run(inventory: KeptInventory) -> Run:
    return Run(**inventory.document["Run"])


def _counts(members: list[Member]) -> dict[str, int]:
    """Records in a tree of inventories that came one by one."""
    documents = {member.inventory.uid: member.inventory.document for member in members if member.inventory is not None}
    return {level: sum(document[level] for document in documents.values()) for level in ("Studies", "Series", "Instances")}
