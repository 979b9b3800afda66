"""One SOP Instance of the Inventory IOD: its attributes, its references, its own study records (PS3.3 C.38.1)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterator, Mapping
from functools import cached_property
from typing import Any, BinaryIO

from ..dicom.decoder import MAXIMUM_ELEMENTS, EncodedDataSet, Element, InvalidInventory, Place
from ..dicom.file_format import CHUNK, read_file
from ..dicom.recoding import explicit_elements, json_object
from ..dicom.terms import LEVELS
from ..dicom.uids import INVENTORY_STORAGE
from .records import Context, Study

# Levels of references below a root.
MAXIMUM_REFERENCE_DEPTH = 32

_SPECIFIC_CHARACTER_SET, _SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080005, 0x00080016, 0x00080018
_TIMEZONE_OFFSET, _INVENTORY_LEVEL, _COMPLETION_STATUS = 0x00080201, 0x00080403, 0x00080426
_INVENTORY_ACCESS_END_POINTS, _STUDY_ACCESS_END_POINTS = 0x00080420, 0x00080421
_INCORPORATED, _STUDIES = 0x00080422, 0x00080423
_STUDY_RECORDS, _TOTAL_STUDY_RECORDS = 0x00080427, 0x00080428
_REFERENCED_SOP_CLASS_UID, _REFERENCED_SOP_INSTANCE_UID = 0x00081150, 0x00081155
_DIGESTS = {"RIPEMD160": "ripemd160", "MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
# What has been walked past is given back after this many bytes.
_STEP = 16 * 1024 * 1024


class Reference:
    """An incorporated inventory (Table C.38.2-3); ``depth`` is 1 for a child of the root."""

    __slots__ = ("_data_set", "_place", "_character_set", "depth", "uid")

    def __init__(self, data_set: EncodedDataSet, place: Place, character_set: str, depth: int) -> None:
        self._data_set = data_set
        self._place = place
        self._character_set = character_set
        self.depth = depth
        sop_class = data_set.find(place, _REFERENCED_SOP_CLASS_UID)
        if data_set.uid(sop_class, _REFERENCED_SOP_CLASS_UID, place) != INVENTORY_STORAGE:
            raise data_set.invalid(place[0], "what is incorporated is no inventory", "PS3.3 C.38.2.3")
        instance = data_set.find(place, _REFERENCED_SOP_INSTANCE_UID)
        self.uid = data_set.uid(instance, _REFERENCED_SOP_INSTANCE_UID, place)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Values by keyword, without the references below."""
        return self._data_set.decode(self._place, self._character_set, without={_INCORPORATED})


class InventoryFile:
    """Reads ``stream`` from its start and closes it. Messages call it by its path, or ``name`` if it has none.

    Raises:
        InvalidInventory: no inventory, or a broken one. What is wrong in the records is found when they are read; if they
            have no defined length, what is wrong behind them as well.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        path = getattr(stream, "name", None)
        with stream:
            file = read_file(stream, str(path) if isinstance(path, (str, os.PathLike)) else name)
        self.transfer_syntax = file.transfer_syntax
        self.raw = file.raw
        self._data_set = data_set = file.data_set
        self._place = file.place
        self._released = 0
        self._elements: dict[int, Element] = {}
        self._unread = data_set.elements(file.place)
        self._read(_STUDIES)
        sop_class, self.uid = self._uid(_SOP_CLASS_UID), self._uid(_SOP_INSTANCE_UID)
        if sop_class != INVENTORY_STORAGE:
            raise data_set.invalid(file.place[0], "the SOP class is not Inventory Storage", "PS3.3 A.88")
        if (sop_class, self.uid) != (file.sop_class_uid, file.sop_instance_uid):
            raise data_set.invalid(file.place[0], "the File Meta Information names another object", "PS3.10 7.1")
        self.level: str = self._required(_INVENTORY_LEVEL, "Inventory Level")
        if self.level not in LEVELS:
            raise data_set.invalid(file.place[0], f"Inventory Level is not {', '.join(LEVELS)}", "PS3.3 C.38.1")
        self._character_set = data_set.character_set(file.place, "")
        studies = self._elements.get(_STUDIES)
        if studies is None or studies[3] >= 0:
            _ = self._behind_records

    @property
    def completion_status(self) -> str:
        return self._behind_records[0]

    @property
    def study_records(self) -> int:
        """Number of Study Records in Instance (0008,0427)."""
        return self._behind_records[1]

    @property
    def total_study_records(self) -> int:
        """Total Number of Study Records (0008,0428): those of the whole tree."""
        return self._behind_records[2]

    @cached_property
    def _behind_records(self) -> tuple[str, int, int]:
        self._read()
        return (
            self._required(_COMPLETION_STATUS, "Inventory Completion Status"),
            self._count(_STUDY_RECORDS, "Number of Study Records in Instance"),
            self._count(_TOTAL_STUDY_RECORDS, "Total Number of Study Records"),
        )

    def _read(self, last: int | None = None) -> None:
        """The elements up to this tag: to read further is to look for the end of the records, or to have walked them."""
        for element in self._unread:
            self._elements[element[0]] = element
            if len(self._elements) > MAXIMUM_ELEMENTS:
                raise self._data_set.invalid(element[2], "too many elements", "limit of this reader")
            if last is not None and element[0] >= last:
                break

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the data set by keyword, without references and studies."""
        return self._data_set.decode(self._place, "", without={_INCORPORATED, _STUDIES})

    def json(self) -> dict[str, Any]:
        """The same as a DICOM JSON object (PS3.18 F)."""
        return json_object(self._data_set, self._place, "", without={_INCORPORATED, _STUDIES})

    def explicit_elements(self, tags: Container[int]) -> dict[int, bytes]:
        """These elements of the data set in Explicit VR Little Endian."""
        return explicit_elements(self._data_set, self._place, tags)

    def digest(self, algorithm: str) -> str | None:
        """The MAC of the file in hexadecimal digits, by a MAC Algorithm (0400,0015); None if that is not known here."""
        if algorithm not in _DIGESTS or _DIGESTS[algorithm] not in hashlib.algorithms_available:
            return None
        digest = hashlib.new(_DIGESTS[algorithm], usedforsecurity=False)
        for start in range(0, len(self.raw), CHUNK):
            digest.update(self.raw[start : start + CHUNK])
        return digest.hexdigest()

    def references(self) -> Iterator[Reference]:
        """The tree below this instance: each child, followed by what is below it."""
        data_set = self._data_set
        stack = [data_set.items(self._elements.get(_INCORPORATED))]
        while stack:
            place = next(stack[-1], None)
            if place is None:
                stack.pop()
                continue
            yield Reference(data_set, place, self._character_set, len(stack))
            below = data_set.find(place, _INCORPORATED)
            if below is not None:
                if len(stack) == MAXIMUM_REFERENCE_DEPTH:
                    problem = f"inventories are incorporated deeper than {MAXIMUM_REFERENCE_DEPTH}"
                    raise data_set.invalid(place[0], problem, "limit of this reader")
                stack.append(data_set.items(below))

    def studies(self) -> Iterator[Study]:
        """The study records of this instance alone.

        Raises:
            InvalidInventory: at the end, if their number is not what the instance says, or what it says of them is missing.
        """
        count = 0
        for place in self._data_set.items(self._elements.get(_STUDIES)):
            count += 1
            yield self.study(place)
        if count != self.study_records:
            problem = f"{count} study records, and not {self.study_records} as Number of Study Records in Instance says"
            raise self.invalid(problem)

    def study(self, place: Place) -> Study:
        """The study record that lies there."""
        if abs(place[0] - self._released) > _STEP:
            self._data_set.release()
            self._released = place[0]
        return Study(self._data_set, place, self.context)

    def invalid(self, problem: str, clause: str = "PS3.3 C.38.1") -> InvalidInventory:
        return self._data_set.invalid(self._place[0], problem, clause)

    @cached_property
    def context(self) -> Context:
        timezone = self._data_set.value(self._elements.get(_TIMEZONE_OFFSET), self._character_set)
        return Context(self.uid, self._character_set, timezone, self._base_uri(_STUDY_ACCESS_END_POINTS))

    @property
    def base_uri(self) -> str:
        """Stored Instance Base URI (0008,0407) of the inventory instances; empty if there is none."""
        return self._base_uri(_INVENTORY_ACCESS_END_POINTS)

    def _base_uri(self, end_points: int) -> str:
        base_uri = ""
        for place in self._data_set.items(self._elements.get(end_points)):
            base_uri = self._data_set.decode(place, self._character_set).get("StoredInstanceBaseURI", "")
        return base_uri

    def _uid(self, tag: int) -> str:
        return self._data_set.uid(self._elements.get(tag), tag, self._place)

    def _required(self, tag: int, name: str) -> Any:
        value = self._data_set.value(self._elements.get(tag))
        if value == "":
            raise self.invalid(f"{name} is missing")
        return value

    def _count(self, tag: int, name: str) -> int:
        value = self._required(tag, name)
        if not isinstance(value, int):
            raise self.invalid(f"{name} is not one number")
        return value
