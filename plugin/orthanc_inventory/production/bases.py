"""Which inventory an increment builds on."""

from __future__ import annotations

from ..dicom import terms
from ..dicom.scope import Scope
from .catalogue import Catalogue
from .journal_rows import KeptInventory

LATEST = "latest"


class UnknownBase(Exception):
    """There is no such inventory."""


class InvalidBase(Exception):
    """The inventory cannot be the base of what was asked for; the message says why."""


def find_base(catalogue: Catalogue, wanted: str, level: str, scope: Scope) -> KeptInventory:
    """The root with the SOP Instance UID ``wanted``; or, for "latest", the newest COMPLETE one of the same level and scope.

    Raises:
        UnknownBase, InvalidBase
    """
    if wanted == LATEST:
        for inventory in reversed(catalogue.inventories()):
            document = inventory.document
            complete = "Mark" in document and document["InventoryCompletionStatus"] == terms.COMPLETE
            if complete and document["InventoryLevel"] == level and _is_same(Scope.parse(document["Scope"]), scope):
                if not catalogue.missing(inventory):
                    return inventory
        raise UnknownBase("Base: there is no COMPLETE inventory of this level and scope; leave Base out to make one")
    named = catalogue.inventory(wanted)
    if named is None:
        raise UnknownBase('Base must be "latest" or the SOP Instance UID of a root that GET /inventories lists')
    document = named.document
    if "Mark" not in document:
        raise InvalidBase("Base must be an inventory that this Orthanc made itself, and that is not Recovered")
    if document["InventoryLevel"] != level:
        raise InvalidBase(f"Base has the level {document['InventoryLevel']}; the Level of an increment must be the same")
    if not scope.is_within(Scope.parse(document["Scope"])):
        raise InvalidBase("Base has another scope: that of an increment must have all keys of its base's, with the same values")
    if catalogue.missing(named):
        raise InvalidBase("Base was removed in part: the Missing of its summary names the instances")
    return named


def _is_same(one: Scope, other: Scope) -> bool:
    return one.is_within(other) and other.is_within(one)
