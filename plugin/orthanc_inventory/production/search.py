"""Queries for inventory instances, roots and leaves alike, by what they say at their top level (PS3.4 JJ, PS3.18 12.6)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice
from typing import Any, NamedTuple

from ..dicom.decoder import EncodedDataSet, InvalidInventory, Place
from ..dicom.elements import element_header
from ..dicom.inventory_query import INCORPORATED, INVENTORY, InventoryQuery
from ..reader.inventory_file import InventoryFile
from ..stores import InstanceGone
from .catalogue import Catalogue, Member
from .instance_attributes import InstanceAttributes

_SPECIFIC_CHARACTER_SET = INVENTORY["SpecificCharacterSet"].tag
_REFERENCES = INVENTORY[INCORPORATED].tag
_AT_HAND = frozenset(entry.tag for entry in INVENTORY.values()) - {_REFERENCES}
# Instances whose attributes are looked up together.
_GROUP = 100


class EncodedAttributes(NamedTuple):
    """A data set in Explicit VR Little Endian, and where it lies."""

    data_set: EncodedDataSet
    place: Place


class Search:
    """``attributes`` are those at hand; others are read from the instances and added."""

    def __init__(self, catalogue: Catalogue, attributes: InstanceAttributes) -> None:
        self._catalogue = catalogue
        self._attributes = attributes

    def find(self, query: InventoryQuery) -> Iterator[EncodedAttributes | None]:
        """The attributes that are asked for of each instance that matches, encoded in Explicit VR Little Endian.

        What an instance does not have is empty. None for each instance that does not match: who asks may stop there.
        """
        members = self._members(query)
        while group := list(islice(members, _GROUP)):
            known = self._attributes.find([member.instance.sha256 for member in group if member.instance])
            read: dict[str, bytes] = {}
            for member in group:
                assert member.instance is not None
                digest = member.instance.sha256
                try:
                    if digest not in known:
                        known[digest] = read[digest] = b"".join(self._read(member, _AT_HAND).values())
                    elements = _split(known[digest])
                    if query.needs_references:
                        elements |= self._read(member, {_REFERENCES})
                except (InstanceGone, InvalidInventory):  # it went, or was damaged, since it was listed
                    continue
                yield _answer(query, elements)
            if read:
                self._attributes.keep(read)

    def forget_deleted(self) -> None:
        """What deleted inventories said is no longer at hand."""
        self._attributes.keep_only(self._catalogue.digests())

    def _members(self, query: InventoryQuery) -> Iterator[Member]:
        if query.uids is None:
            return self._catalogue.instances()
        found = [self._catalogue.instance(uid) for uid in dict.fromkeys(query.uids)]
        return iter(self._catalogue.present([member for member in found if member is not None]))

    def _read(self, member: Member, tags: Container[int]) -> dict[int, bytes]:
        return InventoryFile(self._catalogue.open(member), member.uid).explicit_elements(tags)


def _split(encoded: bytes) -> dict[int, bytes]:
    """The encoded elements of a data set by tag."""
    elements = {}
    begin = 0
    for tag, _, _, end, _ in EncodedDataSet(encoded, "the attributes").elements((0, len(encoded), True)):
        elements[tag] = encoded[begin:end]
        begin = end
    return elements


def _answer(query: InventoryQuery, elements: dict[int, bytes]) -> EncodedAttributes | None:
    if not query.matches(_decoded(elements)):
        return None
    rows = [INVENTORY[keyword] for keyword in query.wanted]
    empty = {row.tag: element_header(row.tag, row.vr, 0) for row in rows}
    told = {tag: element for tag, element in elements.items() if tag in empty or tag == _SPECIFIC_CHARACTER_SET}
    return _joined({**empty, **told})


def _joined(elements: dict[int, bytes]) -> EncodedAttributes:
    encoded = b"".join(element for _, element in sorted(elements.items()))
    return EncodedAttributes(EncodedDataSet(encoded, "the attributes"), (0, len(encoded), True))


def _decoded(elements: dict[int, bytes]) -> dict[str, Any]:
    data_set, place = _joined(elements)
    return data_set.decode(place, "")
