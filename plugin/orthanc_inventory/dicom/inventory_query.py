"""Queries over the top-level attributes of inventories (PS3.4 JJ.2): which can be asked for, and which inventory matches.

Own choice, as the table of keys is: all attributes of the Equipment and Inventory IEs but the study records, each for
matching and for return.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from .attributes import INSTANCE, SERIES, STUDY
from .keys import EMPTY, InvalidScope, Key, Kind, parse_value
from .macros import STORED_FILE_ACCESS, Attribute, row
from .matching import Conditions, Test, tests
from .periods import offset_minutes
from .records import Attributes

_END_POINTS = (row("RetrieveAETitle", "3"), row("RetrieveURL", "3"), row("StoredInstanceBaseURI", "3"))
_REFERENCE = (
    row("ReferencedSOPClassUID", "1"),
    row("ReferencedSOPInstanceUID", "1"),
    row("InventoryAccessEndPointsSequence", "3", _END_POINTS),
    *STORED_FILE_ACCESS,
)
# Any attribute that records have can be a key of a scope.
_SCOPE_KEYS = tuple({entry.keyword: entry for entry in (*STUDY, *SERIES, *INSTANCE)}.values())
_SCOPE = (
    row("SpecificCharacterSet", "1C"),
    row("QueryRetrieveLevel", "1C"),
    row("TimezoneOffsetFromUTC", "1C"),
    row("ExtendedMatchingMechanisms", "1C"),
    row("RangeMatchingSequence", "1C", _SCOPE_KEYS),
    row("ListOfUIDMatchingSequence", "1C", _SCOPE_KEYS),
    row("EmptyValueMatchingSequence", "1C", _SCOPE_KEYS),
    row("GeneralMatchingSequence", "1C", _SCOPE_KEYS),
)
INVENTORY: Mapping[str, Attribute] = {
    entry.keyword: entry
    for entry in (
        row("SpecificCharacterSet", "1C"),
        row("InstanceCreationDate", "3"),
        row("InstanceCreationTime", "3"),
        row("InstanceCreatorUID", "3"),
        row("SOPClassUID", "1"),
        row("SOPInstanceUID", "1"),
        row("ContentDate", "1"),
        row("ContentTime", "1"),
        row("Manufacturer", "2"),
        row("InstitutionName", "3"),
        row("InstitutionAddress", "3"),
        row("TimezoneOffsetFromUTC", "3"),
        row("StationName", "3"),
        row("InstitutionalDepartmentName", "3"),
        row("ManufacturerModelName", "3"),
        row("ScopeOfInventorySequence", "2", _SCOPE),
        row("InventoryPurpose", "2"),
        row("InventoryInstanceDescription", "3"),
        row("InventoryLevel", "1"),
        row("InventoryAccessEndPointsSequence", "3", _END_POINTS),
        row("StudyAccessEndPointsSequence", "3", _END_POINTS),
        row("IncorporatedInventoryInstanceSequence", "2", _REFERENCE),
        row("InventoryCompletionStatus", "1"),
        row("NumberOfStudyRecordsInInstance", "1"),
        row("TotalNumberOfStudyRecords", "1"),
        row("TransactionUID", "1C"),
        row("DeviceSerialNumber", "3"),
        row("SoftwareVersions", "3"),
    )
}
# As they can be large, they are not kept at hand.
INCORPORATED = "IncorporatedInventoryInstanceSequence"
# They tell how the query is written.
_NEVER_MATCHED = ("SpecificCharacterSet", "TimezoneOffsetFromUTC")
_TIMEZONE = "TimezoneOffsetFromUTC"
# Text of these may be two quotation marks.
_TEXT = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})


class InvalidQuery(ValueError):
    """One line that names the key and what is allowed, without the value."""


class Mechanisms(NamedTuple):
    """Kinds of matching that need more than a key (PS3.4 C.2.2.2), as C-FIND of inventories has them.

    ``time_zones``: Timezone Offset From UTC (0008,0201) of the query is the zone of its dates and times.
    """

    fuzzy_names: bool = False
    combined_date_time: bool = False
    empty_values: bool = True
    multiple_values: bool = True
    time_zones: bool = False


class InventoryQuery:
    """``written`` has values by keyword, as ``decoder`` reads them: text, numbers, and lists of the items of sequences.

    Attributes:
        wanted: the keywords of the attributes that are asked for, in the order of their tags.
        unsupported: whether there are keys that no inventory has; they are not looked at.

    Raises:
        InvalidQuery
    """

    def __init__(self, written: Mapping[str, Any], mechanisms: Mechanisms = Mechanisms()) -> None:
        if "QueryRetrieveLevel" in written:
            raise InvalidQuery("QueryRetrieveLevel must not be there: inventories have a single level")
        known = (keyword for keyword in written if keyword in INVENTORY)
        self.wanted = sorted(known, key=lambda keyword: INVENTORY[keyword].tag)
        self.unsupported = len(self.wanted) < len(written)
        self._conditions = _conditions(written, mechanisms)
        self._keys: list[Key] = []
        for keyword in self.wanted:
            if keyword not in _NEVER_MATCHED:
                self._keys += _keys((keyword,), INVENTORY[keyword], written[keyword], mechanisms)

    @property
    def needs_references(self) -> bool:
        """Whether ``INCORPORATED`` is asked for or looked at."""
        return INCORPORATED in self.wanted

    @property
    def uids(self) -> tuple[str, ...] | None:
        """The SOP Instance UIDs of which one must match; None for any."""
        return next((key.values for key in self._keys if key.path == ("SOPInstanceUID",) and key.values), None)

    @cached_property
    def _tests(self) -> list[Test]:
        return [test for _, test in tests(self._keys, INVENTORY, self._conditions)]

    def matches(self, attributes: Attributes) -> bool:
        return all(test(attributes) for test in self._tests)


def _conditions(written: Mapping[str, Any], mechanisms: Mechanisms) -> Conditions:
    """Inventories that do not tell their zone are in that of the query."""
    offset = str(written.get(_TIMEZONE, "")).strip(" ") if mechanisms.time_zones else ""
    zone = offset_minutes(offset)
    if offset and zone is None:
        raise InvalidQuery(f"{_TIMEZONE} must be an offset from UTC such as +0100 (PS3.3 C.12.1.1.8)")
    return Conditions(mechanisms.fuzzy_names, mechanisms.combined_date_time, zone or 0, zone)


def _keys(path: tuple[str, ...], attribute: Attribute, value: Any, mechanisms: Mechanisms) -> Iterator[Key]:
    """Those of a value, or below a sequence; none for universal matching."""
    if isinstance(value, list):
        if len(value) > 1:
            raise InvalidQuery(f"{'.'.join(path)} must have at most one item (PS3.4 C.2.2.2.6)")
        rows = {entry.keyword: entry for entry in attribute.items}
        for keyword, below in _items(value):
            if keyword not in rows:
                raise InvalidQuery(f"{'.'.join((*path, keyword))} cannot be matched")
            yield from _keys((*path, keyword), rows[keyword], below, mechanisms)
    elif text := str(value).strip(" "):
        if text == EMPTY and not mechanisms.empty_values and attribute.vr in _TEXT:
            yield Key(path, attribute, Kind.GENERAL, (EMPTY,))
            return
        try:
            key = parse_value(path, attribute, str(value))
        except InvalidScope as error:
            raise InvalidQuery(str(error).removeprefix("Scope.")) from None
        if key.kind is Kind.EMPTY and not mechanisms.empty_values:
            raise InvalidQuery(f"{'.'.join(path)} must not be {EMPTY}, as empty value matching was not asked for")
        if key.kind is Kind.GENERAL and len(key.values) > 1 and not mechanisms.multiple_values:
            raise InvalidQuery(f"{'.'.join(path)} must have one value, as multiple value matching was not asked for")
        yield key


def _items(items: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for item in items:
        yield from item.items()
