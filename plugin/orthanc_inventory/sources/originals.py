"""Original Attributes Sequence from Orthanc's note of what a resource was modified from (metadata ModifiedFrom).

The note is an ID, so there is something to tell only while the original itself is still there. The note of what was
anonymised is not followed: it would tell of whom.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..dicom.attributes import INSTANCE, SERIES, STUDY
from ..dicom.macros import Attribute
from ..dicom.records import Attributes, InstanceRecord
from ..host import Host, NotFound

_DATE_TIME = re.compile(r"([0-9]{8})T([0-9]{6})")
NOTE = "ModifiedFrom"


def date_time(text: str) -> str:
    """Orthanc's date and time, which is UTC, as a DT value; empty when it is none."""
    match = _DATE_TIME.fullmatch(text)
    return f"{match[1]}{match[2]}+0000" if match else ""


def _plain(table: Sequence[Attribute]) -> frozenset[str]:
    return frozenset(row.keyword for row in table if row.vr != "SQ")


_STUDY, _SERIES, _INSTANCE = map(_plain, (STUDY, SERIES, INSTANCE))


class Originals:
    """Finds earlier values.

    Args:
        system: the name of the system that modified, Orthanc's own.
    """

    def __init__(self, host: Host, system: str) -> None:
        self._host = host
        self._system = system

    def of_study(self, study: Mapping[str, Any], attributes: Attributes) -> Attributes:
        """The attributes of a study, which is given as Orthanc expands it, with those that it had before."""
        original = self._original("studies", study)
        if original is None:
            return attributes
        before = {**original["PatientMainDicomTags"], **original["MainDicomTags"]}
        return self._with_original(_STUDY, attributes, before, study.get("LastUpdate", ""))

    def of_series(self, series: Mapping[str, Any], attributes: Attributes) -> Attributes:
        """The same for a series."""
        original = self._original("series", series)
        if original is None:
            return attributes
        changed = series.get("LastUpdate") or series.get("Metadata", {}).get("LastUpdate", "")
        return self._with_original(_SERIES, attributes, original["MainDicomTags"], changed)

    def add_to_instances(self, series: Mapping[str, Any], instances: Sequence[InstanceRecord]) -> None:
        """The same for the instances of a series, whose attributes hold the note and the date of reception."""
        note = note_of(series)
        if note is None or not any(NOTE in instance.attributes for instance in instances):
            return
        try:
            originals = self._host.get_json(f"/series/{note}/instances")
        except NotFound:
            return
        before = {original["ID"]: original["MainDicomTags"] for original in originals}
        for instance in instances:
            attributes = instance.attributes
            original = before.get(attributes.get(NOTE, ""), {})
            changed = attributes.get("ReceptionDate", "")
            instance.attributes = self._with_original(_INSTANCE, attributes, original, changed)

    def _original(self, level: str, resource: Mapping[str, Any]) -> dict[str, Any] | None:
        note = note_of(resource)
        if note is None:
            return None
        try:
            return self._host.get_json(f"/{level}/{note}")
        except NotFound:
            return None

    def _with_original(
        self, keywords: frozenset[str], attributes: Attributes, before: Attributes, changed: str
    ) -> Attributes:
        """Unless nothing differs, or the time is not known, which is Type 1."""
        modified = {
            keyword: before[keyword]
            for keyword in sorted(keywords & before.keys())
            if before[keyword] != attributes.get(keyword, "")
        }
        when = date_time(changed)
        if not modified or not when:
            return attributes
        item = {
            "SourceOfPreviousValues": "",
            "AttributeModificationDateTime": when,
            "ModifyingSystem": self._system,
            "ReasonForTheAttributeModification": "CORRECT",
            "ModifiedAttributesSequence": [modified],
        }
        earlier = attributes.get("OriginalAttributesSequence", ())
        return {**attributes, "OriginalAttributesSequence": [*earlier, item]}


def note_of(resource: Mapping[str, Any]) -> str | None:
    """The ID of what a resource was modified from."""
    return resource.get(NOTE) or resource.get("Metadata", {}).get(NOTE)
