"""The records of an inventory: studies, their series, their instances (PS3.3 Table C.38.1-1).

A record knows where it lies; its attributes are decoded when they are asked for. It keeps the buffer of its file alive.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..dicom.decoder import EncodedDataSet, Element, InvalidInventory, Place
from ..dicom.elements import item_header
from ..dicom.instants import microseconds
from ..dicom.recoding import json_object
from ..dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from ..dicom.uris import resolve
from .layouts import Layout, Layouts

_SERIES, _INSTANCES = 0x00080424, 0x00080425
_SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x00080018, 0x0020000D, 0x0020000E
_STORED_INSTANCE_BASE_URI, _ITEM_INVENTORY_DATE_TIME, _PATIENT_ID = 0x00080407, 0x00080404, 0x00100020
_FILE_ACCESS_SEQUENCE, _SPECIFIC_CHARACTER_SET = 0x0008041A, 0x00080005
# What ``Study.key`` is made of, ascending.
_KEY_TAGS = (_SPECIFIC_CHARACTER_SET, _ITEM_INVENTORY_DATE_TIME, _PATIENT_ID, _STUDY_INSTANCE_UID)

# How an instance item begins nearly always: SOP Class UID and SOP Instance UID. One match is much faster than two elements.
_EXPLICIT_HEAD, _IMPLICIT_HEAD = (
    re.compile(
        rb"\x08\0\x16\0%b[0-9.]++\0?\x08\0\x18\0%b([0-9](?:[0-9.]{0,62}[0-9])?)\0?" % (length, length), re.DOTALL
    ).match
    for length in (rb"UI(.)\0", rb"(.)\0\0\0")
)


class Context(NamedTuple):
    """What a file tells of all its records: UID, character set, offset from UTC ("" if it tells none), base URI."""

    inventory_uid: str
    character_set: str
    timezone: str
    base_uri: str


class EncodedItem(NamedTuple):
    """An item with its header, the transfer syntax of what is in it, and the character set in force around it."""

    content: bytes
    transfer_syntax: str
    character_set: str


# VR and value field.
ValueField = tuple[str, bytes]


class _Record:
    """``attributes`` has what stands in the item itself, not the records below it."""

    __slots__ = ("_above", "_data_set", "place")
    # The sequence of the records below; nothing has the tag 0.
    _BELOW = 0

    def __init__(self, data_set: EncodedDataSet, place: Place, above: Any) -> None:
        self._data_set = data_set
        self._above = above
        self.place = place

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Values by keyword, by "ggggeeee" where the dictionary has none, in the form of ``dicom.records``.

        Raises:
            InvalidInventory
        """
        return self._data_set.decode(self.place, self._above.character_set, without={self._BELOW})

    def json(self) -> dict[str, Any]:
        """The same as a DICOM JSON object (PS3.18 F)."""
        return json_object(self._data_set, self.place, self._above.character_set, without={self._BELOW})

    def invalid(self, problem: str, clause: str = "PS3.3 C.38.1") -> InvalidInventory:
        return self._data_set.invalid(self.place[0], problem, clause)

    @property
    def character_set(self) -> str:
        """The Specific Character Set in force: that of the item, or of what is above."""
        return self._data_set.character_set(self.place, self._above.character_set)

    @property
    def base_uri(self) -> str:
        """The nearest Stored Instance Base URI (PS3.3 C.38.1.2.6); empty if there is none."""
        return self.value(_STORED_INSTANCE_BASE_URI) or str(self._above.base_uri)

    @property
    def content(self) -> bytes:
        """The item as it is encoded, without its header."""
        start, stop, _ = self.place
        return self._data_set.buffer[start:stop]

    def value_fields(self, tags: Sequence[int]) -> tuple[ValueField, ...]:
        """VRs and value fields of these elements, whose tags ascend, in one pass; empty where there is no such element."""
        return _value_fields(self._data_set, self.place, tags)

    @property
    def inherited_character_set(self) -> str:
        """The Specific Character Set in force around the item."""
        return str(self._above.character_set)

    def release(self) -> None:
        """Gives back the memory in which the file is mapped; it is read again where it is looked at again."""
        self._data_set.release()

    def value(self, tag: int) -> str:
        """One value as text, without decoding the others; empty if there is none."""
        element = self._data_set.find(self.place, tag)
        return str(self._data_set.value(element, self.character_set)) if element else ""

    def texts(self, tags: Sequence[int]) -> list[str]:
        """Several values as ``value`` gives them, in one pass; ``tags`` ascend."""
        found = self._data_set.pick(self.place, tags)
        character_set = self.character_set
        return [str(self._data_set.value(found.get(tag), character_set)) for tag in tags]


class _Branch(_Record):
    """A record with records below it. Where these and the UID stand is looked for once, in one go."""

    __slots__ = ("_found",)
    _UID: int

    def __init__(self, data_set: EncodedDataSet, place: Place, above: Any) -> None:
        super().__init__(data_set, place, above)
        self._found: dict[int, Element] | None = None

    @property
    def uid(self) -> str:
        return self._data_set.uid(self._element(self._UID), self._UID, self.place)

    def _below(self) -> Iterator[Place]:
        return self._data_set.items(self._element(self._BELOW))

    def _element(self, tag: int) -> Element | None:
        if self._found is None:
            self._found = self._data_set.pick(self.place, (self._BELOW, self._UID))
        return self._found.get(tag)


class Instance(_Record):
    __slots__ = ("uid",)

    def __init__(self, data_set: EncodedDataSet, place: Place, series: "Series") -> None:
        self._data_set = data_set
        self.place = place
        self._above = series
        start, stop, explicit = place
        head = (_EXPLICIT_HEAD if explicit else _IMPLICIT_HEAD)(data_set.buffer, start)
        if head:
            class_length, length, uid = head.groups()
            if start + 16 + class_length[0] + length[0] == head.end() <= stop and b".." not in uid:
                self.uid = uid.decode("ascii")
                return
        self.uid = data_set.uid(data_set.find(place, _SOP_INSTANCE_UID), _SOP_INSTANCE_UID, place)

    @property
    def series(self) -> "Series":
        above: Series = self._above
        return above

    def values(self, tags: Container[int], file_tags: Container[int]) -> dict[int, Any]:
        """Values by tag in one pass; what is not there is left out.

        ``tags`` stand before the File Access Sequence (0008,041A), ``file_tags`` in its first item.
        """
        data_set, character_set = self._data_set, self._above.character_set
        found: dict[int, Any] = {}
        for element in data_set.elements(self.place):
            tag = element[0]
            if tag in tags:
                found[tag] = data_set.value(element, character_set)
            elif tag >= _FILE_ACCESS_SEQUENCE:
                if tag == _FILE_ACCESS_SEQUENCE:
                    for place in islice(data_set.items(element), 1):
                        for access in data_set.elements(place):
                            if access[0] in file_tags:
                                found[access[0]] = data_set.value(access, character_set)
                break
        return found

    def encoded_values(self, layouts: Layouts) -> tuple[Layout, tuple[bytes, ...]] | None:
        """See ``Layouts.read``: much faster than anything else where many instances are alike."""
        return layouts.read(self._data_set, self.place)

    def file_value_fields(self, tags: Sequence[int]) -> list[tuple[ValueField, ...]]:
        """``value_fields`` of each item of the File Access Sequence (0008,041A)."""
        data_set = self._data_set
        sequence = data_set.find(self.place, _FILE_ACCESS_SEQUENCE)
        return [_value_fields(data_set, place, tags) for place in data_set.items(sequence)]

    def files(self) -> Iterator[Mapping[str, Any]]:
        """The items of the File Access Sequence (0008,041A), their File Access URI absolute where there is a base."""
        base = self._above.base_uri
        for place in self._data_set.items(self._data_set.find(self.place, _FILE_ACCESS_SEQUENCE)):
            access = self._data_set.decode(place, self.character_set)
            if access.get("FileAccessURI"):
                access["FileAccessURI"] = resolve(access["FileAccessURI"], base)
            yield access


class Series(_Branch):
    __slots__ = ()
    _UID = _SERIES_INSTANCE_UID
    _BELOW = _INSTANCES

    @property
    def study(self) -> "Study":
        above: Study = self._above
        return above

    def instances(self) -> Iterator[Instance]:
        data_set = self._data_set
        for place in self._below():
            yield Instance(data_set, place, self)

    def instance(self, place: Place) -> Instance:
        """The instance record that lies there."""
        return Instance(self._data_set, place, self)


class Study(_Branch):
    __slots__ = ()
    _UID = _STUDY_INSTANCE_UID
    _BELOW = _SERIES

    @property
    def patient_id(self) -> str:
        return self.value(_PATIENT_ID)

    @property
    def inventory_uid(self) -> str:
        """The SOP Instance UID of the inventory instance that holds the record."""
        return str(self._above.inventory_uid)

    def key(self) -> tuple[str, str, int]:
        """UID, Patient ID and moment, looked for in one go."""
        data_set, place = self._data_set, self.place
        found = data_set.pick(place, _KEY_TAGS)
        element = found.get(_ITEM_INVENTORY_DATE_TIME)
        try:
            moment = microseconds(data_set.value(element), self._above.timezone)
        except (ValueError, TypeError):
            start = element[2] if element else place[0]
            raise data_set.invalid(start, "Item Inventory DateTime is no date and time", "PS3.3 C.38.1") from None
        character_set = data_set.own_character_set(found.get(_SPECIFIC_CHARACTER_SET), self._above.character_set)
        patient_id = str(data_set.value(found.get(_PATIENT_ID), character_set))
        return data_set.uid(found.get(self._UID), self._UID, place), patient_id, moment

    @property
    def moment(self) -> int:
        """Item Inventory DateTime (0008,0404) as microseconds since 1970 in UTC."""
        return self.key()[2]

    @property
    def encoded(self) -> EncodedItem:
        """The whole item with a header of its own: what a new inventory in the same syntax and character set takes over."""
        start, stop, explicit = self.place
        content = self._data_set.buffer[start:stop]
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if explicit else IMPLICIT_VR_LITTLE_ENDIAN
        return EncodedItem(item_header(len(content)) + content, syntax, self._above.character_set)

    def series(self) -> Iterator[Series]:
        data_set = self._data_set
        for place in self._below():
            yield Series(data_set, place, self)

    def one_series(self, place: Place) -> Series:
        """The series record that lies there."""
        return Series(self._data_set, place, self)

    def may_hold(self, uid: str) -> bool:
        """False if these characters stand nowhere in the record: much faster than a walk."""
        start, stop, _ = self.place
        return self._data_set.buffer.find(uid.encode(), start, stop) >= 0


def _value_fields(data_set: EncodedDataSet, place: Place, tags: Sequence[int]) -> tuple[ValueField, ...]:
    found = data_set.pick(place, tags) if tags else {}
    buffer = data_set.buffer
    return tuple([(found[tag][1], buffer[found[tag][2] : found[tag][3]]) if tag in found else ("", b"") for tag in tags])
