"""What Orthanc's index can say of a scope: which keys it can answer, and which studies may match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from ..dicom.keys import TABLES, Key, Kind, name
from ..dicom.scope import InvalidScope, Scope
from ..dicom.terms import FUZZY, LEVELS, TIMEZONE_ADJUST
from ..host import Host
from .details import OF_THE_ARCHIVE

# All but what every step of Orthanc and of ours leaves as it is.
_UNSURE = re.compile(r"[^A-Za-z0-9^._*-]")
# Main DICOM tags of an Orthanc that does not tell them: it does since 1.11.0, when they became configurable.
_MAIN_TAGS = {
    "STUDY": "PatientName PatientID PatientBirthDate PatientSex OtherPatientIDs StudyDate StudyTime StudyID StudyDescription "
    "AccessionNumber StudyInstanceUID ReferringPhysicianName",
    "SERIES": "SeriesDate SeriesTime Modality SeriesDescription BodyPartExamined SeriesInstanceUID SeriesNumber",
    "INSTANCE": "SOPInstanceUID InstanceNumber NumberOfFrames",
}
# What is recorded besides them: counted, from Orthanc's metadata, or from the configuration.
_RECORDED = {
    "STUDY": "ModalitiesInStudy NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances StudyUpdateDateTime RetrieveAETitle "
    "RetrieveURL InstanceAvailability OriginalAttributesSequence RemovedFromOperationalUse ReasonForRemovalCodeSequence",
    "SERIES": "InstanceAvailability OriginalAttributesSequence RemovedFromOperationalUse ReasonForRemovalCodeSequence",
    "INSTANCE": "SOPClassUID FileAccessSequence OriginalAttributesSequence RemovedFromOperationalUse "
    "ReasonForRemovalCodeSequence",
}
_NOT_IN_FILES = OF_THE_ARCHIVE - {"AnatomicRegionsInStudyCodeSequence"}
# Keys of which a file says the same as the index, as Orthanc tells studies apart by them.
_IDENTIFIERS = ("StudyInstanceUID", "PatientID")


class IndexQuery:
    """``system`` is what Orthanc tells at ``/system``; ``files`` whether records hold what files say too.

    Attributes:
        known: the keywords of the attributes that records have, by level.
    """

    def __init__(self, host: Host, system: Mapping[str, Any], files: bool) -> None:
        self._host = host
        self._files = files
        self._has_labels = bool(system.get("HasLabels"))
        self.known = {level: recorded_tags(level, system.get("MainDicomTags")) for level in LEVELS}
        if files:
            self.known = {level: known | (frozenset(TABLES[level]) - _NOT_IN_FILES) for level, known in self.known.items()}

    def unknown(self, scope: Scope) -> list[Key]:
        """The keys whose attribute is not in the index, so that no record could match."""
        return [key for key in scope.keys if key.path[0] not in self.known[scope.level_of(key)]]

    def check(self, scope: Scope) -> None:
        """Refuses what this Orthanc cannot answer.

        Raises:
            InvalidScope
        """
        if scope.labels and not self._has_labels:
            raise InvalidScope("Scope.Labels cannot be matched: this Orthanc has no labels, which came with 1.12.0")
        for key in self.unknown(scope):
            if self._files:
                raise InvalidScope(f"{name(key.path)} cannot be matched: this archive does not tell it")
            raise InvalidScope(
                f"{name(key.path)} cannot be matched: Orthanc's index does not hold this attribute; ask with Detail Files, or "
                "see ExtraMainDicomTags of Orthanc 1.11 and later"
            )

    def studies(self, scope: Scope) -> list[str]:
        """Orthanc's IDs of all studies that may match; what is found must be matched again."""
        found = self.selected(scope)
        return self._host.get_json("/studies") if found is None else found

    def selected(self, scope: Scope) -> list[str] | None:
        """The same; None where the index cannot leave out any."""
        query = {} if self._is_limited() else dict(_pushed_down(scope))
        if self._files:  # they have what the index lacks
            query = {keyword: value for keyword, value in query.items() if keyword in _IDENTIFIERS}
        if not query and (not scope.labels or self._is_limited()):
            return None
        body: dict[str, Any] = {"Level": "Study", "Query": query, "CaseSensitive": False}
        if scope.labels:
            body |= {"Labels": list(scope.labels), "LabelsConstraint": "All"}
        return self._host.post_json("/tools/find", body)

    def condition(self, scope: Scope) -> tuple[str, list[Any]]:
        """The same for the tables of the index: what is to be true of a row ``study`` of ``resources``, with its parameters."""
        conditions, parameters = "", list[Any]()
        for keyword, value in _pushed_down(scope):
            if self._files and keyword not in _IDENTIFIERS:
                continue
            text, values = _identified(keyword, value)
            conditions += text
            parameters += values
        for label in scope.labels:
            conditions += " AND internalid IN (SELECT id FROM labels WHERE label = %s)"
            parameters.append(label)
        return conditions, parameters

    def _is_limited(self) -> bool:
        # Both limits cut the answer of /tools/find short, on some versions without a word (platform section 3).
        limits = ("LimitFindResults", "LimitFindInstances")
        return any(self._host.configuration.get(limit) for limit in limits)


def recorded_tags(level: str, told: Mapping[str, str] | None) -> frozenset[str]:
    """Keywords of what is recorded of a level by the index; ``told`` is what Orthanc says of its main DICOM tags."""
    keywords = _RECORDED[level].split()
    if told is None:
        keywords += _MAIN_TAGS[level].split()
    else:
        of_level = told[level.capitalize()] + (";" + told["Patient"] if level == "STUDY" else "")
        keywords += [keyword_for_tag(tag.replace(",", "")) for tag in of_level.split(";") if tag]
    if "OtherPatientIDs" in keywords:
        keywords.append("OtherPatientIDsSequence")
    return frozenset(keywords)


def _pushed_down(scope: Scope) -> Iterator[tuple[str, str]]:
    """A query that finds at least what the scope means.

    Orthanc compares without accents and before values are brought into a legal form, so every character that could
    differ is left open, and of dates, which it compares as text, only the years are asked for.
    """
    for key in scope.keys:
        keyword = key.path[0]
        if key.path[1:] or key.kind is Kind.EMPTY:
            continue
        if keyword == "StudyInstanceUID":
            yield keyword, key.text
        elif keyword in ("StudyDate", "PatientBirthDate"):
            if len(key.values) == 1 or key.kind is Kind.RANGE:
                if TIMEZONE_ADJUST not in scope.mechanisms or keyword != "StudyDate":
                    yield keyword, _years(key.values[0], key.values[-1])
        elif keyword in ("PatientID", "AccessionNumber", "PatientName") and len(key.values) == 1:
            if keyword == "PatientName" and FUZZY in scope.mechanisms:
                continue
            pattern = _UNSURE.sub("*", key.values[0])
            # A longer value may have been cut to the length that its VR allows; a name has several component groups.
            if len(pattern) >= 16 or keyword == "PatientName":
                pattern += "*"
            yield keyword, f"*{pattern}" if keyword == "PatientName" else pattern


def _identified(keyword: str, value: str) -> tuple[str, list[Any]]:
    """By the table in which Orthanc keeps, in capitals, the values that it searches: with a study those of its patient, too."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    values: list[Any]
    if keyword == "StudyInstanceUID":
        comparison, values = "= ANY(%s)", [value.split("\\")]
    elif keyword in ("StudyDate", "PatientBirthDate"):
        first, _, last = value.partition("-")
        comparison, values = 'COLLATE "C" BETWEEN %s AND %s', [first, last or "\uffff"]
    else:
        comparison, values = "LIKE %s", [value.upper().replace("_", r"\_").replace("*", "%")]
    known = f"taggroup = {tag >> 16} AND tagelement = {tag & 0xFFFF} AND value {comparison}"
    return f" AND internalid IN (SELECT id FROM dicomidentifiers WHERE {known})", values


def _years(first: str, last: str) -> str:
    """From the beginning of one year to that of the year after another, however the dates in between are written."""
    end = min(9999, int(last[:4]) + 1) if last else None
    return f"{first[:4]}-{'' if end is None else f'{end:04}'}"
