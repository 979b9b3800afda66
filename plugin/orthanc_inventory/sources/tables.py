"""Orthanc's tables in PostgreSQL: what is asked of them, and how their rows become what the plugin API would answer.

The tables: ``resources`` (patients, studies, series and instances, each with its parent), ``maindicomtags``, ``metadata``,
``attachedfiles`` and, since Orthanc 1.12, ``labels``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydicom.datadict import tag_for_keyword

from ..dicom.attributes import STUDY
from ..dicom.keys import TABLES
from .data_sets import SEQUENCES, DataSets
from .group import Resource
from .originals import NOTE

# Orthanc's numbers of metadata.
_METADATA = {2: "ReceptionDate", 5: NOTE, 7: "LastUpdate", 9: "TransferSyntax", 10: "SopClassUid", 16: SEQUENCES}
_OF_INSTANCES = (2, 5, 9, 10, 16)
# Of the file, so that no table of the attributes of instances has it.
_RATIO = "LossyImageCompressionRatio"

_TAGS = "(SELECT json_agg(json_build_array(taggroup * 65536 + tagelement, value)) FROM maindicomtags WHERE id = {0}.internalid)"
_NOTES = f"""(
    SELECT json_agg(json_build_array(type, value)) FROM metadata
    WHERE id = {{0}}.internalid AND type IN ({', '.join(map(str, _METADATA))})
)"""
KEY_OBJECTS = """
SELECT publicid, ARRAY(SELECT publicid FROM resources WHERE parentid = series.internalid)
FROM resources AS series WHERE resourcetype = 2 AND (
    SELECT value FROM maindicomtags WHERE id = series.internalid AND taggroup = 8 AND tagelement = 96
) = 'KO'
"""
# In one of the series, or of one of the studies.
SOME_KEY_OBJECTS = f"""
{KEY_OBJECTS} AND (publicid = ANY(%s) OR parentid = ANY(ARRAY(
    SELECT internalid FROM resources WHERE publicid = ANY(%s) AND resourcetype = 1
)))
"""
_LABELS = "(SELECT json_agg(label) FROM labels WHERE id = study.internalid)"
_HEADS = f"""
SELECT study.internalid, study.publicid, {_TAGS.format('study')}, {_NOTES.format('study')}, %s
FROM resources study WHERE study.publicid = ANY(%%s) AND study.resourcetype = 1
"""
SERIES = f"""
SELECT series.parentid, series.internalid, series.publicid, {_TAGS.format('series')}, {_NOTES.format('series')}, ARRAY(
    SELECT instance.publicid FROM resources instance WHERE instance.parentid = series.internalid ORDER BY instance.internalid
)
FROM resources series WHERE series.parentid = ANY(%s) ORDER BY series.internalid
"""
_INSTANCES = """
SELECT instance.parentid, instance.publicid, tags.*, notes.*, file.uncompressedsize, file.uncompressedhash
FROM unnest(%%s::bigint[]) AS series (internalid)
CROSS JOIN LATERAL (
    SELECT internalid, parentid, publicid FROM resources WHERE parentid = series.internalid ORDER BY internalid
) AS instance
CROSS JOIN LATERAL (SELECT %s FROM maindicomtags WHERE id = instance.internalid) AS tags
CROSS JOIN LATERAL (SELECT %s FROM metadata WHERE id = instance.internalid) AS notes
LEFT JOIN attachedfiles AS file ON file.id = instance.internalid AND file.filetype = 1
"""


class Instances(NamedTuple):
    """IDs of instances, their main DICOM tags and metadata by name, sizes and digests of their files, which may all be None."""

    identifiers: Sequence[str]
    tags: dict[str, Sequence[Any]]
    metadata: dict[str, Sequence[str]]
    sizes: Sequence[int]
    digests: Sequence[str]


class Tables:
    """``main_tags`` are the keywords of each level that Orthanc answers: others can stand in the tables from earlier days."""

    def __init__(self, main_tags: Mapping[str, frozenset[str]], labels: bool) -> None:
        self._names = {level: _numbered(keywords) for level, keywords in main_tags.items()}
        self._of_study = DataSets(STUDY)
        self.heads = _HEADS % (_LABELS if labels else "NULL")
        wanted = main_tags["INSTANCE"] & {*TABLES["INSTANCE"], _RATIO}
        columns = _numbered(sorted(wanted))
        self._instance_tags = list(columns.values())
        self.instances = _INSTANCES % (
            _columns(f"taggroup = {tag >> 16} AND tagelement = {tag & 0xFFFF}" for tag in columns),
            _columns(f"type = {number}" for number in _OF_INSTANCES),
        )
        self._instance_metadata = [_METADATA[number] for number in _OF_INSTANCES]

    def head(self, row: Sequence[Any]) -> Resource:
        """In the form of ``study_pages.head``; its series are still to be added, ``Internal`` is its number in the tables."""
        internal, identifier, tags, notes, labels = row
        metadata = self._metadata(notes)
        return {
            "ID": identifier,
            "Internal": internal,
            "MainDicomTags": dict(self._of_study.from_index(self._keywords("STUDY", tags), metadata)),
            "PatientMainDicomTags": {},
            "Series": [],
            "Labels": sorted(labels or ()),
            "LastUpdate": metadata.get("LastUpdate", ""),
            NOTE: metadata.get(NOTE, ""),
        }

    def series(self, row: Sequence[Any]) -> Resource:
        """As Orthanc expands it, with its metadata; ``Internal`` and ``InternalStudy`` are numbers in the tables."""
        study, internal, identifier, tags, notes, instances = row
        return {
            "ID": identifier,
            "Internal": internal,
            "InternalStudy": study,
            "MainDicomTags": self._keywords("SERIES", tags),
            "Metadata": self._metadata(notes),
            "Instances": instances,
        }

    def instance(self, row: Sequence[Any]) -> tuple[dict[str, str], dict[str, str], int | None, str]:
        """Main DICOM tags and metadata of an instance, size and MD5 of its file; no size: there is no file."""
        tags, notes = self._instance_tags, self._instance_metadata
        end = 2 + len(tags)
        return (
            {name: value for name, value in zip(tags, row[2:end]) if value is not None},
            {name: value for name, value in zip(notes, row[end:-2]) if value is not None},
            row[-2],
            row[-1] or "",
        )

    def instances_of(self, rows: Sequence[Sequence[Any]]) -> Instances | None:
        """The same of several instances, column by column; None: they do not have the same attributes."""
        columns = list(zip(*rows))
        if any(None in column and column.count(None) < len(rows) for column in columns):
            return None
        end = 2 + len(self._instance_tags)
        return Instances(
            columns[1],
            {name: column for name, column in zip(self._instance_tags, columns[2:end]) if column[0] is not None},
            {name: column for name, column in zip(self._instance_metadata, columns[end:-2]) if column[0] is not None},
            columns[-2],
            columns[-1],
        )

    def _keywords(self, level: str, tags: Iterable[tuple[int, str]] | None) -> dict[str, str]:
        names = self._names[level]
        return {names[tag]: value for tag, value in tags or () if tag in names}

    @staticmethod
    def _metadata(notes: Iterable[tuple[int, str]] | None) -> dict[str, str]:
        return {_METADATA[number]: value for number, value in notes or ()}


def _numbered(keywords: Iterable[str]) -> dict[int, str]:
    tags = {keyword: tag_for_keyword(keyword) for keyword in keywords}
    return {tag: keyword for keyword, tag in tags.items() if tag is not None}


def _columns(conditions: Iterable[str]) -> str:
    return ", ".join(f"max(value) FILTER (WHERE {condition})" for condition in conditions)
