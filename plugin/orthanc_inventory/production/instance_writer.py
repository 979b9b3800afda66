"""The instances of one run: their attributes, their way into the store, and the references to them."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..dicom import terms
from ..dicom.inventory import Inventory, Reference
from ..dicom.scope import Scope
from ..dicom.uids import new_uid
from ..stores import Store
from .journal_rows import KeptInstance
from .throttle import Throttle
from .transaction import Transaction


MANUFACTURER = "orthanc-inventory"
# How the instances of a run but its root describe themselves: numbers of studies, or UIDs.
_LEAF, _NODE = "Study records {} to {}", "Instances {} to {}"
_PART = re.compile(r"Study records \d+ to \d+(; .*)?|Instances [\d.]+ to [\d.]+(; .*)?", re.DOTALL)


def describe_leaf(first: int, last: int) -> str:
    return _LEAF.format(first, last)


def describe_node(first: str, last: str) -> str:
    return _NODE.format(first, last)


def is_part(attributes: Mapping[str, Any]) -> bool:
    """Whether an instance that was made here says that it belongs below a root."""
    description = attributes.get("InventoryInstanceDescription", "")
    return attributes.get("InventoryCompletionStatus") == terms.PARTIAL and bool(_PART.fullmatch(description))


@dataclass(frozen=True)
class Settings:
    """What the administrator decided about production.

    ``attributes`` stand in each instance (equipment, end points); ``reference_access`` tells how a referenced inventory is
    reached, with ``{uid}`` in place of its UID; ``throttle`` are the rests between studies; ``timezone`` is an offset such
    as ``+0100``, or empty for that of the server; ``days`` is how long inventories are kept, 0 for ever.
    """

    store: str
    records_per_instance: int
    throttle: Throttle
    timezone: str
    attributes: Mapping[str, Any]
    reference_access: Mapping[str, str]
    days: int = 0

    @property
    def access(self) -> Mapping[str, Any]:
        """Where inventories are fetched: the item of Inventory Access End Points Sequence, if there is one."""
        end_points = self.attributes.get("InventoryAccessEndPointsSequence") or [{}]
        return end_points[0]

    def of_archive(self, access: Mapping[str, str]) -> Settings:
        """The same for an inventory of another archive, whose studies are fetched by that ``access``."""
        return replace(self, attributes={**self.attributes, "StudyAccessEndPointsSequence": [access] if access else []})


class InstanceWriter:
    """Writes root, leaves and what is between for one transaction."""

    def __init__(self, transaction: Transaction, store: Store, settings: Settings) -> None:
        self._transaction = transaction
        self._store = store
        self._settings = settings

    def write(
        self,
        place: int,
        description: str,
        status: str,
        scope: Scope,
        references: Sequence[Reference] = (),
        items: Sequence[bytes] = (),
    ) -> KeptInstance:
        """Puts one instance with these references and study items into the store; ``place`` is its number in the run.

        Raises:
            StoreError
        """
        transaction = self._transaction
        records = len(items)
        total = records + sum(reference.total for reference in references)
        attributes = self._attributes(description, status, scope, references)
        inventory = Inventory(new_uid(), attributes, b"".join(items), records, total)
        file = inventory.encode()
        identifier = self._store.put(transaction.run, inventory, file, place)
        return KeptInstance(
            inventory.uid,
            place,
            self._settings.store,
            identifier,
            len(file),
            hashlib.sha256(file).hexdigest(),
            records,
            total,
            [reference.uid for reference in references],
        )

    def reference(self, instance: KeptInstance, incorporates: tuple[Reference, ...] = ()) -> Reference:
        return reference(instance, self._settings, incorporates)

    def tree(self, root: str, instances: Mapping[str, KeptInstance]) -> Reference:
        """The reference to an inventory with the copy of all its own; ``instances`` by UID are its whole tree."""
        instance = instances[root]
        return self.reference(instance, tuple(self.tree(child, instances) for child in instance.children))

    def _attributes(
        self, description: str, status: str, scope: Scope, references: Sequence[Reference]
    ) -> dict[str, Any]:
        transaction = self._transaction
        now = datetime.datetime.now(datetime.timezone.utc).astimezone(zone(transaction.timezone))
        attributes = {
            **self._settings.attributes,
            "InstanceCreationDate": now.strftime("%Y%m%d"),
            "InstanceCreationTime": now.strftime("%H%M%S.%f"),
            "ContentDate": transaction.started[:8],
            "ContentTime": transaction.started[8:],
            "TimezoneOffsetFromUTC": transaction.timezone,
            "ScopeOfInventorySequence": scope.sequence(),
            "TransactionUID": transaction.uid,
            "InventoryPurpose": transaction.purpose,
            "InventoryLevel": transaction.level,
            "InventoryCompletionStatus": status,
            "IncorporatedInventoryInstanceSequence": [reference.item() for reference in references],
        }
        if said := "; ".join(filter(None, (description, scope.note))):
            attributes["InventoryInstanceDescription"] = said
        return attributes


def reference(instance: KeptInstance, settings: Settings, incorporates: tuple[Reference, ...] = ()) -> Reference:
    access = {keyword: value.format(uid=instance.uid) for keyword, value in settings.reference_access.items()}
    return Reference(instance.uid, instance.sha256, access, incorporates, instance.total)


def zone(offset: str) -> datetime.tzinfo | None:
    """The time zone of an offset such as ``+0100``; that of the server for an empty one."""
    if not offset:
        return None
    # Not by strptime, which finds a dead module after POST /tools/reset, for Python starts anew in the same process.
    size = datetime.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return datetime.timezone(-size if offset[0] == "-" else size)
