"""The records of some studies that match a query, with as little read from the index as its keys need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from ..dicom.attributes import INSTANCE, SERIES, STUDY
from ..dicom.records import Attributes, InstanceRecord
from ..dicom.repository_query import RepositoryQuery
from ..dicom.response_identifiers import Branch
from ..dicom.uris import resolve
from ..host import HostError
from .data_sets import DataSets, add_other_patient_ids
from .resources import Content, Resources, Resource
from .objects import Objects
from .originals import Originals, date_time
from .query import IndexQuery
from .rejections import NO_MARKS, Marks, Rejections
from .study_order import names_of

REMOVAL = frozenset({"RemovedFromOperationalUse", "ReasonForRemovalCodeSequence"})
_COUNTS = frozenset({"ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"})
_FILE, _ORIGINALS, _METADATA = "FileAccessSequence", "OriginalAttributesSequence", "MetadataSequence"
# Of an instance: what its record has to be made for, rather than that its main DICOM tags are taken as they are.
_OF_RECORD = frozenset({_METADATA, *(row.keyword for row in INSTANCE if row.vr == "SQ")}) - REMOVAL
_SERIES_OF_METADATA = frozenset(row.keyword for row in SERIES if row.vr == "SQ") - {"FileSetAccessSequence", *REMOVAL}
# What Orthanc lists can be fetched at once.
_ONLINE: Attributes = {"InstanceAvailability": "ONLINE"}
# Of what nothing withdraws.
_IN_USE: Attributes = {"RemovedFromOperationalUse": "N"}


class Records:
    """Makes records of resources.

    Args:
        query: what the index can tell of keys.
        access: Retrieve AE Title and Retrieve URL, the same for each study.
        base_uri: where Orthanc's REST API is reached by others; empty if it is not.

    Attributes:
        known: the keywords of the attributes that are answered, by level.
    """

    def __init__(
        self, objects: Objects, originals: Originals, query: IndexQuery, access: Attributes, base_uri: str
    ) -> None:
        self.objects = objects
        self.originals = originals
        self._base: Attributes = {**_ONLINE, **({"StoredInstanceBaseURI": base_uri} if base_uri else {})}
        self._access = {**access, **self._base}
        self._base_uri = base_uri
        self._of_study, self._of_series = DataSets(STUDY), DataSets(SERIES)
        self._has_archives = urlsplit(base_uri).scheme in ("http", "https")
        above = {"StoredInstanceBaseURI"} if base_uri else set()
        above |= {"FileSetAccessSequence"} if self._has_archives else set()
        self.known: Mapping[str, frozenset[str]] = {
            "STUDY": query.known["STUDY"] | above,
            "SERIES": query.known["SERIES"] | above,
            "INSTANCE": query.known["INSTANCE"] | {"InstanceAvailability", _METADATA, f"Updated{_METADATA}"},
        }

    def study(self, study: Resource) -> dict[str, Any]:
        metadata = study.get("Metadata", {})
        tags = {**study["PatientMainDicomTags"], **study["MainDicomTags"]}
        attributes = {**self._of_study.from_index(tags, metadata), **self._access}
        attributes["StudyUpdateDateTime"] = date_time(study.get("LastUpdate", ""))
        self._add_archive(attributes, f"./studies/{study['ID']}/archive")
        add_other_patient_ids(attributes)
        return attributes

    def series(self, series: Resource) -> dict[str, Any]:
        attributes = {**self._of_series.from_index(series["MainDicomTags"], series.get("Metadata", {})), **self._base}
        self._add_archive(attributes, f"./series/{series['ID']}/archive")
        return attributes

    def instance(self, instance: Resource, whole: bool) -> dict[str, Any]:
        """Of an instance with its metadata; if not ``whole``, the SOP Class UID and its main DICOM tags. Raises: HostError."""
        if not whole:
            tags: dict[str, Any] = instance["MainDicomTags"]
            tags["SOPClassUID"] = self.objects.sop_class(instance["ID"], instance["Metadata"])
            return tags
        size, md5 = instance.get("Size", ""), instance.get("MD5", "")
        record = self.objects.record(instance["ID"], instance["MainDicomTags"], instance["Metadata"], size, md5)
        attributes = dict(record.attributes)
        if self._base_uri:  # an answer stands alone, so that its URIs must be whole
            [access] = attributes[_FILE]
            attributes[_FILE] = [{**access, "FileAccessURI": resolve(access["FileAccessURI"], self._base_uri)}]
        return attributes

    def _add_archive(self, attributes: dict[str, Any], uri: str) -> None:
        if self._has_archives:
            container = {"FileAccessURI": resolve(uri, self._base_uri), "ContainerFileType": "ZIP"}
            attributes["FileSetAccessSequence"] = [container]


class Matches:
    """Finds what matches; ``rejections`` are what is withdrawn, None where no key asks for it."""

    def __init__(self, resources: Resources, records: Records, query: RepositoryQuery, rejections: Rejections | None) -> None:
        self._resources = resources
        self._records = records
        self._scope = query.scope
        self._level = query.level
        self._rejections = rejections
        used = {level: {entry for entry in query.used if query.level_of(entry) == level} for level in records.known}
        self._originals = {level: _ORIGINALS in keywords for level, keywords in used.items()}
        self._counts = not used["STUDY"].isdisjoint(_COUNTS)
        self._with_metadata_sequence = _METADATA in used["INSTANCE"]
        self._tells_availability = not used["INSTANCE"].isdisjoint(_ONLINE)
        notes = self._originals["SERIES"] or self._originals["INSTANCE"] or self._with_metadata_sequence
        self._of_series = Content(
            metadata=notes or not used["SERIES"].isdisjoint(_SERIES_OF_METADATA),
            children=self._counts or rejections is not None,
        )
        self._with_records = not used["INSTANCE"].isdisjoint(_OF_RECORD)
        self._of_instances = Content(
            metadata=self._with_records or "SOPClassUID" in used["INSTANCE"],
            files=_FILE in used["INSTANCE"],
            checksums=records.objects.checksums,
        )
        self._matches_instances = any(query.scope.level_of(key) == "INSTANCE" for key in query.scope.keys)

    def of(self, found: Sequence[Resource]) -> tuple[list[Branch], int]:
        """The branches of these studies, in their order, and the number of records that were looked at.

        Raises:
            HostError
        """
        studies = list(self._studies(found))
        if self._level == "STUDY":
            names = names_of(study["ID"] for study, _, _, _ in studies)
            return [Branch({}, b"", names, [attributes for _, attributes, _, _ in studies])], len(studies)
        series_of = [self._series(*entry) for entry in studies]
        if self._level == "SERIES":
            branches = []
            for (study, above, _, _), series in zip(studies, series_of):
                [parent] = names_of([study["ID"]])
                names = names_of(entry["ID"] for entry, _, _ in series)
                branches.append(Branch(above, parent, names, [attributes for _, attributes, _ in series]))
            return branches, sum(len(below) for _, _, below, _ in studies)
        return self._instances(studies, series_of)

    def _studies(self, studies: Sequence[Resource]) -> Iterator[tuple[Resource, Attributes, list[Resource], Marks]]:
        """Those that match, each with its series, sorted, where these are needed."""
        found = [(study, self._records.study(study)) for study in studies]
        found = [entry for entry in found if self._scope.may_match_study(entry[1])]
        series: dict[str, list[Resource]] = {study["ID"]: [] for study, _ in found}
        if found and (self._level != "STUDY" or self._of_series.children):
            for entry in self._resources.series([study for study, _ in found], self._of_series):
                series[entry["ParentStudy"]].append(entry)
        for study, attributes in found:
            below = sorted(series[study["ID"]], key=itemgetter("ID"))
            if self._counts:
                attributes |= _counts(below)
            marks = self._rejections.marks(below) if self._rejections is not None else NO_MARKS
            whole = {**attributes, **(marks.study or _IN_USE)}
            if self._originals["STUDY"]:
                whole = dict(self._records.originals.of_study(study, whole))
            if self._scope.matches_study(whole):
                yield study, whole, below, marks

    def _series(
        self, study: Resource, above: Attributes, below: list[Resource], marks: Marks
    ) -> list[tuple[Resource, Attributes, Attributes]]:
        """The series of a study that match, each with its attributes and its mark."""
        found = []
        for entry in below:
            mark = marks.series.get(entry["ID"], marks.study or _IN_USE)
            attributes: Attributes = {**self._records.series(entry), **mark}
            if self._originals["SERIES"]:
                attributes = self._records.originals.of_series(entry, attributes)
            if self._scope.matches_series(attributes):
                found.append((entry, attributes, mark))
        return found

    def _instances(
        self, studies: list[tuple[Resource, Attributes, list[Resource], Marks]],
        found: list[list[tuple[Resource, Attributes, Attributes]]],
    ) -> tuple[list[Branch], int]:
        wanted = [entry for series in found for entry, _, _ in series]
        instances: dict[str, list[Resource]] = {entry["ID"]: [] for entry in wanted}
        for instance in self._resources.instances(wanted, self._of_instances) if wanted else ():
            instances[instance["ParentSeries"]].append(instance)
        branches: list[Branch] = []
        read = 0
        for (study, above, _, marks), series in zip(studies, found):
            for entry, attributes, mark in series:
                below = sorted(instances[entry["ID"]], key=itemgetter("ID"))
                read += len(below)
                records = self._of_branch(entry, {**attributes, **above}, below, mark, marks.instances)
                if self._matches_instances:
                    kept = [place for place, record in enumerate(records) if self._scope.matches_instance(record)]
                    below, records = [below[place] for place in kept], [records[place] for place in kept]
                parent = b"".join(names_of([study["ID"], entry["ID"]]))
                branches.append(Branch({**attributes, **above}, parent, names_of(map(itemgetter("ID"), below)), records))
        return branches, read

    def _of_branch(
        self, series: Resource, above: Attributes, below: list[Resource], mark: Attributes, marks: Mapping[str, Attributes]
    ) -> list[Attributes]:
        """The attributes of the instances of a series; ``below`` loses those that cannot be read."""
        if not self._of_instances.metadata:
            records: list[Attributes] = list(map(itemgetter("MainDicomTags"), below))
        else:
            records = []
            for instance in list(below):
                try:
                    records.append(self._records.instance(instance, self._with_records))
                except HostError:
                    below.remove(instance)
        if self._originals["INSTANCE"]:
            read = [InstanceRecord(instance["ID"], record) for instance, record in zip(below, records)]
            self._records.originals.add_to_instances(series, read)
            records = [record.attributes for record in read]
        if self._rejections is not None or self._tells_availability:
            marked = (marks.get(instance["ID"], mark) for instance in below)
            records = [{**record, **_ONLINE, **mark} for record, mark in zip(records, marked)]
        if self._with_metadata_sequence:
            records = [{**record, _METADATA: [{**above, **record}]} for record in records]
        return records


def _counts(series: list[Resource]) -> Attributes:
    return {
        "ModalitiesInStudy": "\\".join(sorted({entry["MainDicomTags"].get("Modality") or "OT" for entry in series})),
        "NumberOfStudyRelatedSeries": str(len(series)),
        "NumberOfStudyRelatedInstances": str(sum(len(entry["Instances"]) for entry in series)),
    }
