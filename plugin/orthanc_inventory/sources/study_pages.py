"""What Orthanc tells of studies themselves, for several at once: since 1.12 it looks at all studies to find one by its ID.

IDs are digests and pages of studies are in their order, so the place of a study among the others is known from its ID,
nearly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..host import Host, NotFound
from .originals import NOTE

STUDY_CONTENT = ("MainDicomTags", "Children", "Metadata", "Parent", "Labels")
_DIGITS = 8


class StudyPages:
    """Keeps one page; what is taken from it may have changed since."""

    def __init__(self, host: Host, size: int) -> None:
        self._host = host
        self._size = size
        self._in_order = True
        self._page: Mapping[str, dict[str, Any]] = {}

    def forget(self) -> None:
        self._page = {}

    def read(self, studies: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Each of the studies, without those that are gone."""
        missing = [study for study in studies if study not in self._page]
        if len(missing) > 1 and self._in_order:
            self._turn_to(min(missing), max(missing))
        found = {study: self._page[study] for study in studies if study in self._page}
        return found | heads(self._host, [study for study in studies if study not in found])

    def _turn_to(self, first: str, last: str) -> None:
        count = self._host.get_json("/statistics")["CountStudies"]
        place, end = _place(first, count), _place(last, count)
        if end - place > self._size // 2:
            return
        # Digests deviate by half as much, usually.
        margin = min(math.isqrt(count), self._size // 4)
        query = {"Level": "Study", "Query": {}, "ResponseContent": STUDY_CONTENT, "Limit": self._size}
        answers = self._host.post_json("/tools/find", {**query, "Since": max(0, place - margin)})
        identifiers = [answer["ID"] for answer in answers]
        self._in_order = identifiers == sorted(identifiers)
        self._page = by_identifier(answers)


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
