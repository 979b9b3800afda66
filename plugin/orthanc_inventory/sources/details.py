"""What the headers of objects tell beyond the index: ``"Detail": "Files"``.

Attributes of a study and of its series are taken from one object of each series. Where the index has a value, that one
counts: it is what the archive answers to queries, and the files may be older (PS3.17 YYYY.7.9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dicom.attributes import INSTANCE, SERIES, STUDY
from ..dicom.macros import CODE, Attribute, row
from ..dicom.records import Attributes, InstanceRecord
from ..host import Host, HostError, NotFound
from . import Moved
from .data_sets import DataSets, add_other_patient_ids, completed
from .headers import Headers

# What these mean in an inventory, only the archive itself can say, whatever an object brought along.
OF_THE_ARCHIVE = frozenset(
    {
        "AlternateRepresentationSequence", "AnatomicRegionsInStudyCodeSequence", "FileAccessSequence", "FileSetAccessSequence",
        "InstanceAvailability", "ItemInventoryDateTime", "ModalitiesInStudy", "NumberOfStudyRelatedInstances",
        "NumberOfStudyRelatedSeries", "ReasonForRemovalCodeSequence", "RemovedFromOperationalUse", "RetrieveAETitle",
        "RetrieveURL", "StorageMediaFileSetID", "StoredInstanceBaseURI", "StudyUpdateDateTime",
    }
)
_ORIGINAL = "OriginalAttributesSequence"
_MODIFIED = "ModifiedAttributesSequence"
_RATIO = "LossyImageCompressionRatio"
_REGIONS = "AnatomicRegionSequence"


def _of_objects(table: Sequence[Attribute]) -> tuple[Attribute, ...]:
    return tuple(entry for entry in table if entry.keyword not in OF_THE_ARCHIVE)


_STUDY = _of_objects(STUDY)
_SERIES = _of_objects(SERIES)
_KEYWORDS = {level: {entry.keyword for entry in table} for level, table in (("Study", STUDY), ("Series", SERIES))}


class Details:
    """Reads headers; those of the first objects of series serve all three levels, and are read once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._headers = Headers(host)
        # The regions that a study shows stand in its objects under another name (PS3.3 10.5).
        self._study = DataSets((*_STUDY, row(_REGIONS, "3", CODE), row("OtherPatientIDs", "3")))
        self._series = DataSets(_SERIES)
        self._instance = DataSets((*_of_objects(INSTANCE), row(_RATIO, "3")))
        self._first: dict[str, dict[str, Any] | None] = {}

    @property
    def name(self) -> str:
        return self._headers.name

    def of_study(self, series: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Attributes], int]:
        """Attributes of the study, those of its series by ID, and how many headers cannot be read.

        Args:
            series: the series as Orthanc expands them, with ID and Instances.

        Raises:
            Moved: an object is no longer there.
        """
        self._first = {}
        study: dict[str, Any] = {}
        of_series: dict[str, Attributes] = {}
        regions: list[Attributes] = []
        for entry in series:
            if not entry["Instances"]:
                continue
            identifier = min(entry["Instances"])  # the same one each time
            header = self._header(identifier)
            if header is None:
                self._first[identifier] = None
                continue
            found = self._study.from_short(header)
            add_other_patient_ids(found)
            regions += [code for code in found.pop(_REGIONS, ()) if code not in regions]
            study = {**_of_level(found, "Study"), **study}
            of_series[entry["ID"]] = _of_level(self._series.from_short(header), "Series")
            self._first[identifier] = self._of_instance(header)
        if regions:
            study["AnatomicRegionsInStudyCodeSequence"] = regions
        return study, of_series, sum(details is None for details in self._first.values())

    def add_to_instances(self, instances: Sequence[InstanceRecord]) -> None:
        """Completes records of the index, or marks them as ``unread``.

        Raises:
            Moved: an object is no longer there.
        """
        for instance in instances:
            identifier = instance.identifier
            if identifier in self._first:
                details = self._first.pop(identifier)
            else:
                header = self._header(identifier)
                details = None if header is None else self._of_instance(header)
            if details is None:
                instance.unread = True
                continue
            attributes = completed(instance.attributes, details)
            if _RATIO in details:  # of the file, not of the object (Table C.38.2-2)
                (access,) = attributes["FileAccessSequence"]
                attributes["FileAccessSequence"] = [{_RATIO: details[_RATIO], **access}]
            instance.attributes = attributes

    def _of_instance(self, header: dict[str, Any]) -> dict[str, Any]:
        return _of_level(self._instance.from_short(header), "Instance")

    def _header(self, identifier: str) -> dict[str, Any] | None:
        try:
            return self._headers.read(identifier)
        except (HostError, ValueError, RecursionError):  # no file, no JSON, or sequences nested beyond all reason
            try:
                self._host.get(f"/instances/{identifier}")
            except NotFound:
                raise Moved from None
            return None


def _of_level(attributes: dict[str, Any], level: str) -> dict[str, Any]:
    """Of the original attributes those that belong to the level; an object has them of all levels in one place."""
    if _ORIGINAL in attributes:
        items = [_with_modified(item, level) for item in attributes[_ORIGINAL]]
        attributes[_ORIGINAL] = [item for item in items if item[_MODIFIED][0]]
    return attributes


def _with_modified(item: Mapping[str, Any], level: str) -> dict[str, Any]:
    modified = {keyword: value for values in item.get(_MODIFIED, ()) for keyword, value in values.items()}
    kept = {keyword: value for keyword, value in modified.items() if _level_of(keyword) == level}
    return {**item, _MODIFIED: [kept]}


def _level_of(keyword: str) -> str:
    """What no table names counts as of the object, so that nothing is lost."""
    return next((level for level, keywords in _KEYWORDS.items() if keyword in keywords), "Instance")
