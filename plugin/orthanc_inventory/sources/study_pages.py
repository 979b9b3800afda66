"""What Orthanc tells of studies themselves, for several at once: since 1.12 it looks at all studies to find one by its ID.

IDs are digests and pages of studies are in their order, so the place of a study among the others is known from its ID,
nearly. Those of an increment are too far apart for that, but most of them are what was updated last.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..host import Host, NotFound
from .originals import NOTE

STUDY_CONTENT = ("MainDicomTags", "Children", "Metadata", "Parent", "Labels")
_DIGITS = 8
# So many studies are sooner found one by one than in the list of all.
_FEW = 3
_UPDATED_LAST = [{"Type": "Metadata", "Key": "LastUpdate", "Direction": "DESC"}]


class StudyPages:
    """Keeps a page of studies that follow each other, and those that were updated last; they may have changed since.

    Args:
        size: studies in one answer.
    """

    def __init__(self, host: Host, size: int) -> None:
        self._host = host
        self._size = size
        self._in_order = True
        self._page: dict[str, dict[str, Any]] = {}
        # The first and the last on it.
        self._ends = "", ""
        self._updated_last: dict[str, dict[str, Any]] | None = None
        # As many studies there were some time ago.
        self._count = 0

    def forget(self) -> None:
        self._page, self._ends, self._updated_last, self._count = {}, ("", ""), None, 0

    def read(self, studies: Sequence[str], following: int = 0) -> dict[str, dict[str, Any]]:
        """Each of the studies, without those that are gone; so many others will be read next."""
        missing = self._missing(studies)
        if len(missing) > 1:
            if self._in_order and self._are_near(studies):
                # What is not on a page where it would be was not there when that was read.
                if min(missing) < self._ends[0] or max(missing) > self._ends[1]:
                    self._turn_to(min(missing))
            elif self._updated_last is None:
                limit = min(self._size, 2 * (len(studies) + following))
                self._updated_last = by_identifier(self._find(OrderBy=_UPDATED_LAST, Limit=limit))
        missing = self._missing(studies)
        if len(missing) > _FEW:
            present = self._host.get("/studies")
            missing = [study for study in missing if study.encode() in present]
        known = self._known()
        return {study: known[study] for study in studies if study in known} | heads(self._host, missing)

    def _known(self) -> Mapping[str, dict[str, Any]]:
        return ChainMap(self._page, self._updated_last or {})

    def _missing(self, studies: Sequence[str]) -> list[str]:
        known = self._known()
        return [study for study in studies if study not in known]

    def _are_near(self, studies: Sequence[str]) -> bool:
        """Whether one page has them."""
        count = self._count or self._count_studies()
        return _place(max(studies), count) - _place(min(studies), count) <= self._size // 2

    def _turn_to(self, first: str) -> None:
        count = self._count_studies()
        # Digests deviate by half as much, usually.
        margin = min(math.isqrt(count), self._size // 4)
        answers = self._find(Since=max(0, _place(first, count) - margin), Limit=self._size)
        identifiers = [answer["ID"] for answer in answers]
        self._in_order = identifiers == sorted(identifiers)
        self._page, self._ends = by_identifier(answers), (min(identifiers, default=""), max(identifiers, default=""))

    def _count_studies(self) -> int:
        # Orthanc counts them one by one.
        self._count = self._host.get_json("/statistics")["CountStudies"]
        return self._count

    def _find(self, **page: Any) -> list[dict[str, Any]]:
        query = {"Level": "Study", "Query": {}, "ResponseContent": STUDY_CONTENT, **page}
        return self._host.post_json("/tools/find", query)


def head(host: Host, study: str) -> dict[str, Any]:
    """What Orthanc tells of one study: ID, LastUpdate, MainDicomTags, PatientMainDicomTags, Series, Labels.

    Raises:
        NotFound, HostError
    """
    return _head(host.get_json(f"/studies/{study}"), {})


def heads(host: Host, studies: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The same of several, without those that are gone."""
    found = {}
    for study in studies:
        try:
            found[study] = head(host, study)
        except NotFound:
            continue
    return found


def by_identifier(answers: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same, from answers of ``/tools/find`` with STUDY_CONTENT, which do not have all where a value is a sequence."""
    return {
        answer["ID"]: _head(answer, answer["Metadata"])
        for answer in answers
        if "MainDicomSequences" not in answer["Metadata"]
    }


def _head(study: Mapping[str, Any], metadata: Mapping[str, str]) -> dict[str, Any]:
    """In one form, so that two of them can be compared."""
    return {
        "ID": study["ID"],
        "MainDicomTags": study["MainDicomTags"],
        "PatientMainDicomTags": study["PatientMainDicomTags"],
        "Series": sorted(study["Series"]),
        "Labels": sorted(study.get("Labels", ())),
        **{name: study.get(name) or metadata.get(name) or "" for name in ("LastUpdate", NOTE)},
    }


def _place(study: str, count: int) -> int:
    return int(study[:_DIGITS], 16) * count >> 4 * _DIGITS
