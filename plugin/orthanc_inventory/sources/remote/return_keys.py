"""What another archive is asked to tell of its studies, series and instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...dicom.attributes import INSTANCE, SERIES, STUDY
from ...dicom.macros import Attribute
from . import IMAGE
from . import SERIES as SERIES_LEVEL
from . import STUDY as STUDY_LEVEL

# What archives have at hand: the required keys of the Study Root (PS3.4 C.6.2.1), and the optional ones that are usual. For
# others some open the objects themselves.
_USUAL = {
    STUDY_LEVEL: (
        "StudyInstanceUID StudyDate StudyTime AccessionNumber PatientName PatientID StudyID StudyDescription "
        "ReferringPhysicianName PatientBirthDate PatientSex ModalitiesInStudy NumberOfStudyRelatedSeries "
        "NumberOfStudyRelatedInstances RetrieveAETitle RetrieveURL InstanceAvailability"
    ),
    SERIES_LEVEL: (
        "SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime BodyPartExamined "
        "NumberOfSeriesRelatedInstances"
    ),
    IMAGE: "SOPInstanceUID SOPClassUID InstanceNumber NumberOfFrames",
}
# Table C.6.4.1-1, without the metadata sequences: inventories have those attributes themselves.
_OF_REPOSITORIES = {
    STUDY_LEVEL: (
        "StudyUpdateDateTime RemovedFromOperationalUse ReasonForRemovalCodeSequence StoredInstanceBaseURI "
        "FileSetAccessSequence"
    ),
    SERIES_LEVEL: "RemovedFromOperationalUse ReasonForRemovalCodeSequence StoredInstanceBaseURI FileSetAccessSequence",
    IMAGE: "RemovedFromOperationalUse ReasonForRemovalCodeSequence FileAccessSequence",
}
# Only who makes an inventory can say these.
_OWN = ("ItemInventoryDateTime", "InventoriedSeriesSequence", "InventoriedInstancesSequence")


def return_keys(detail: str, repository: bool) -> Mapping[str, Sequence[str]]:
    """By level. With the detail ``Files`` all that records can hold; else what is usual, and for a Repository Query its own."""
    tables: Mapping[str, Sequence[Attribute]] = {STUDY_LEVEL: STUDY, SERIES_LEVEL: SERIES, IMAGE: INSTANCE}
    keys = {}
    for level, usual in _USUAL.items():
        wanted = usual.split()
        if repository:
            wanted += _OF_REPOSITORIES[level].split()
        if detail == "Files":
            wanted += [row.keyword for row in tables[level] if row.keyword not in _OWN]
        keys[level] = tuple(dict.fromkeys(wanted))
    return keys
