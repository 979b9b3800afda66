"""An archive of other make, of pynetdicom: it answers C-FIND and Repository Query, with limits, and with faults if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from tests.unit.limited_archive import LimitedArchive

from .peer import keys, serving

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
REPOSITORY_QUERY = "1.2.840.10008.5.1.4.1.1.201.6"
_UIDS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
_MATCHED = ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate", "StudyTime", "AccessionNumber")


class ForeignArchive:
    """``objects`` are the headers that it holds; ``limit`` records at most are in an answer, 0 for any number.

    Attributes:
        alter: changes an answer of a level before it is sent.
        fault: is called at each query with its number and the event; answers a status instead of records, or None.
        asked: the identifiers of all queries.
    """

    def __init__(self, objects: Iterable[Dataset], limit: int = 0) -> None:
        self._records: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {level: {} for level in _UIDS}
        for one in objects:
            place = (one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
            for depth, level in enumerate(_UIDS, 2):
                record = self._records[level].setdefault(place[:depth], {"Data": one, "Series": set(), "Instances": set()})
                record["Series"].add(place[:3])
                record["Instances"].add(place)
        self._limit = limit
        self._matching = LimitedArchive([])
        self.alter: Callable[[str, Dataset], None] = lambda level, answer: None
        self.fault: Callable[[int, evt.Event], int | None] = lambda number, event: None
        self.asked: list[Dataset] = []

    def serve(self, *sop_classes: str, **arguments: Any) -> AbstractContextManager[int]:
        """The port at which it listens."""
        handlers = [(evt.EVT_C_FIND, self._find)]
        return serving(*(sop_classes or (STUDY_ROOT,)), ae_title="FOREIGN", handlers=handlers, **arguments)

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        self.asked.append(identifier)
        status = self.fault(len(self.asked), event)
        if status is not None:
            yield status, None
            return
        level = identifier.QueryRetrieveLevel
        is_repository = event.request.AffectedSOPClassUID == REPOSITORY_QUERY
        wanted = {name: str(identifier[name].value or "") for name in _MATCHED if name in identifier and identifier[name].value}
        found = [
            (place, record)
            for place, record in sorted(self._records[level].items())
            if all(self._matching._matches(name, value, _texts(record["Data"])) for name, value in wanted.items())
        ]
        if is_repository and "PriorRecordKey" in identifier:
            prior = identifier.PriorRecordKey.rstrip(b"\0")
            found = [(place, record) for place, record in found if _key(place) > prior]
        for number, (place, record) in enumerate(found):
            if self._limit and number == self._limit:
                if is_repository:
                    yield 0xB001, None  # pynetdicom sends 0000H as well
                return
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, self._answer(level, identifier, place, record)

    def _answer(self, level: str, identifier: Dataset, place: tuple[str, ...], record: dict[str, Any]) -> Dataset:
        answer = keys(QueryRetrieveLevel=level)
        counts = {
            "NumberOfStudyRelatedSeries": len(record["Series"]),
            "NumberOfStudyRelatedInstances": len(record["Instances"]),
            "NumberOfSeriesRelatedInstances": len(record["Instances"]),
            "ModalitiesInStudy": record["Data"].get("Modality"),
            "RecordKey": _key(place),
        }
        for element in identifier:
            keyword = element.keyword
            if keyword == "PriorRecordKey":
                continue
            value = counts[keyword] if keyword in counts else record["Data"].get(keyword)
            if keyword not in answer:
                setattr(answer, keyword, [] if value is None and element.VR == "SQ" else value)
        self.alter(level, answer)
        return answer


def _key(place: tuple[str, ...]) -> bytes:
    return "|".join(place).encode()


def _texts(data: Dataset) -> dict[str, str]:
    return {name: str(data.get(name) or "") for name in _MATCHED}
