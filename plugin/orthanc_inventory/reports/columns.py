"""The columns of exports, by the keywords of PS3.3 Table C.38.1-1: which there are at each level, and which are usual.

A row of a series tells of its study too, and that of an instance of both, so that each row stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..dicom import attributes
from ..dicom.decoded_values import kind
from ..dicom.macros import Attribute
from ..dicom.terms import LEVELS


class ExportError(ValueError):
    """What cannot be exported; one line that names what is wrong and what is allowed."""


class Column(NamedTuple):
    """``level`` is that of the record that has the attribute, in the first item of ``sequence`` unless that is empty.

    Where an ``inherited`` attribute has no value, that of the record above counts. What is not an ``integer`` is text.
    """

    keyword: str
    tag: int
    vr: str
    level: str
    sequence: str
    integer: bool
    inherited: bool


# What holds for a record holds for those below it that say nothing else (PS3.3 C.38.1.2).
_INHERITED = frozenset({
    "InstanceAvailability", "ReasonForRemovalCodeSequence", "RemovedFromOperationalUse", "StorageMediaFileSetID",
    "StoredInstanceBaseURI",
})
# Sequences with columns for what stands in their first item: how to reach the file, or all files.
_ACCESS = frozenset({"FileAccessSequence", "FileSetAccessSequence"})
_BELOW = frozenset({"InventoriedSeriesSequence", "InventoriedInstancesSequence"})

_STUDY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "ModalitiesInStudy",
)
_STUDY_ALONE = (
    "ReferringPhysicianName", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "RetrieveAETitle", "RetrieveURL",
)
_SERIES = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined")
_SERIES_ALONE = ("SeriesDate", "SeriesTime", "Laterality")
_INSTANCE = (
    "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "StoredInstanceTransferSyntaxUID", "FileLengthInContainer", "FileAccessURI", "ContainerFileType", "MACAlgorithm", "MAC",
)
_STATE = ("ItemInventoryDateTime", "StudyUpdateDateTime", "InstanceAvailability", "RemovedFromOperationalUse")

# The usual columns of each level, in their order: a contract with those who read exports.
USUAL: Mapping[str, tuple[str, ...]] = {
    "STUDY": _STUDY + _STUDY_ALONE + _STATE,
    "SERIES": _STUDY + _SERIES + _SERIES_ALONE + _STATE,
    "INSTANCE": _STUDY + _SERIES + _INSTANCE + _STATE,
}


def available(level: str) -> dict[str, Column]:
    """All columns that rows of a level can have, by keyword; of several records the nearest."""
    columns: dict[str, Column] = {}
    for name in LEVELS[: LEVELS.index(level) + 1]:
        for entry in getattr(attributes, name):
            if entry.keyword in _BELOW:
                continue
            columns[entry.keyword] = _column(entry, name)
            if entry.keyword in _ACCESS:
                columns.update((inner.keyword, _column(inner, name, entry.keyword)) for inner in entry.items)
    return columns


def _column(entry: Attribute, level: str, sequence: str = "") -> Column:
    integer = entry.vr == "IS" or kind(entry.vr) == "number"
    return Column(entry.keyword, entry.tag, entry.vr, level, sequence, integer, entry.keyword in _INHERITED)


def chosen(level: str, keywords: Sequence[str]) -> list[Column]:
    """The columns of these names; the usual ones if there is no name.

    Raises:
        ExportError: there is no such column at this level, or it is named twice.
    """
    columns = available(level)
    for place, keyword in enumerate(keywords):
        shown = keyword if re.fullmatch("[A-Za-z]{1,64}", keyword) else "a name"
        if keyword not in columns:
            raise ExportError(f"columns: {shown} is unknown at level {level}; allowed: {', '.join(sorted(columns))}")
        if keyword in keywords[:place]:
            raise ExportError(f"columns: {shown} stands there twice; allowed: each column once")
    return [columns[keyword] for keyword in keywords or USUAL[level]]
