"""How Orthanc writes data sets in JSON, and what of them the attribute tables name.

Its short form has keys such as ``0010,0020``; its simplified form has keywords, as main DICOM tags have. Values are text in
both, several values joined by backslashes, or lists of data sets, or null where Orthanc does not hand the value out. The full
form has an object for each value, with its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.datadict import keyword_for_tag

from ..dicom.macros import ANY, Attribute
from ..dicom.records import Attributes

# Levels of sequences in Modified Attributes Sequence (0400,0550) that are read.
_DEEPEST = 8
# Where Orthanc keeps those main DICOM tags that are sequences.
SEQUENCES = "MainDicomSequences"
_OTHER_PATIENT_IDS = "OtherPatientIDsSequence"


class DataSets:
    """Reads what one table names, and the tables of its sequences."""

    def __init__(self, table: Sequence[Attribute]) -> None:
        self._rows = [(_short(row.tag), row) for row in table]
        self._items: dict[str, DataSets] = {}

    def from_short(self, data_set: Mapping[str, Any]) -> dict[str, Any]:
        """Of the short or the full form; attributes without a value are left out."""
        return self._read(data_set, ((key, row) for key, row in self._rows), short=True)

    def from_simplified(self, data_set: Mapping[str, Any]) -> dict[str, Any]:
        """Of the simplified form; attributes without a value are left out."""
        return self._read(data_set, ((row.keyword, row) for _, row in self._rows), short=False)

    def from_index(self, tags: Mapping[str, Any], metadata: Mapping[str, str]) -> Attributes:
        """The main DICOM tags of a resource, simplified, with its sequences, which some answers have as a metadata only."""
        lists = {keyword: value for keyword, value in tags.items() if isinstance(value, list)}
        if not lists and SEQUENCES not in metadata:
            return tags
        text = {keyword: value for keyword, value in tags.items() if keyword not in lists}
        return {**text, **self.from_simplified(lists), **self.from_short(_sequences(metadata))}

    def _read(self, data_set: Mapping[str, Any], rows: Any, short: bool) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        for key, row in rows:
            value = data_set.get(key)
            if isinstance(value, dict):
                value = value["Value"] if value["Type"] in ("String", "Sequence") else None
            if not value or isinstance(value, list) != bool(row.items):
                continue
            attributes[row.keyword] = self._sequence(row, value, short) if row.items else value
        return attributes

    def _sequence(self, row: Attribute, items: list[Any], short: bool) -> list[Attributes]:
        if row.items is ANY:
            return [_any(item, short, _DEEPEST) for item in items]
        if row.keyword not in self._items:
            self._items[row.keyword] = DataSets(row.items)
        of_item = self._items[row.keyword]
        return [of_item.from_short(item) if short else of_item.from_simplified(item) for item in items]


def _sequences(metadata: Mapping[str, str]) -> dict[str, Any]:
    """In the full form."""
    text = metadata.get(SEQUENCES)
    return json.loads(text)["Sequences"] if text else {}


def _short(tag: int) -> str:
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def _any(data_set: Mapping[str, Any], short: bool, depth: int) -> dict[str, Any]:
    """All that has a keyword of the data dictionary, with empty values too."""
    attributes: dict[str, Any] = {}
    for key, value in data_set.items():
        keyword = keyword_for_tag(int(key.replace(",", ""), 16)) if short else key
        if isinstance(value, dict):
            value = value["Value"]
        if not keyword or value is None:
            continue
        if isinstance(value, list):
            value = [_any(item, short, depth - 1) for item in value] if depth else []
        attributes[keyword] = value
    return attributes


def completed(index: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """What the index says, and the details where it says nothing, or less: of other patient IDs it may lack the issuers."""
    result = {**details, **{keyword: value for keyword, value in index.items() if value != ""}}
    if _OTHER_PATIENT_IDS in details:
        result[_OTHER_PATIENT_IDS] = details[_OTHER_PATIENT_IDS]
    return result


def add_other_patient_ids(attributes: dict[str, Any]) -> None:
    """Makes Other Patient IDs Sequence (0010,1002) from the list (0010,1000) that it has replaced, unless it is there."""
    identifiers = attributes.get("OtherPatientIDs", "").split("\\")
    if _OTHER_PATIENT_IDS not in attributes and any(identifiers):
        attributes[_OTHER_PATIENT_IDS] = [{"PatientID": identifier} for identifier in identifiers]
