"""Asks for studies, series and instances by lists of their UIDs, with what Orthanc calls the extended find (1.12.5 and later).

What it costs is all in how the index is asked. SQLite, for which Orthanc gathers no statistics, expects a level of resources
to have no more of them than one resource has children. So for the children of one parent, however it is named, it looks at
all resources of their level: at each instance of the archive for the ten of a series. Each condition on the parents makes it
expect fewer of them. With the same condition four times it looks for the parents first, and finds their children by an index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..dicom.records import InstanceRecord, Skipped
from ..host import Host, HostError, NotFound
from .group import Read
from .objects import Objects
from .study_pages import STUDY_CONTENT, StudyPages, by_identifier, heads

# Resources in one answer, with one that shows that there are more: the call holds up every other route of the plugin while it
# lasts.
_PAGE = 1001
# UIDs in one list: with more of them each costs more.
_LIST = 40
# Pages are only complete in an order that stays.
UIDS = {"Series": "SeriesInstanceUID", "Instance": "SOPInstanceUID"}
_CONTENT = {
    "Series": ("MainDicomTags", "Children", "Metadata", "Parent"),
    "Instance": ("MainDicomTags", "Metadata", "Attachments", "Parent"),
}
# Names of one attribute, each of which Orthanc takes for a condition of its own.
_NAMES = {
    "StudyInstanceUID": ("StudyInstanceUID", "0020000d", "0020-000d", "0020,000d"),
    "SeriesInstanceUID": ("SeriesInstanceUID", "0020000e", "0020-000e", "0020,000e"),
}
# Others mean something else in a query, or are not in the index as they are in the object.
_UID = re.compile(r"[0-9.]+")
# The value of FileContentType for the DICOM file itself.
_DICOM = 1

Resource = dict[str, Any]


class Find:
    name = "find: /tools/find with ResponseContent, by lists of UIDs"
    studies_at_once = 64

    def __init__(self, host: Host, objects: Objects) -> None:
        self._host = host
        self._objects = objects
        self._series_page = self._page("LimitFindResults")
        self._instances_page = self._page("LimitFindInstances")
        self._pages = StudyPages(host, self._series_page)

    def _page(self, limit: str) -> int:
        """Orthanc cuts each answer to its own limit without a word, so no more than that is asked for at once."""
        return min(_PAGE, self._host.configuration.get(limit) or _PAGE)

    def forget(self) -> None:
        self._pages.forget()

    def heads(self, studies: Sequence[str], uids: Sequence[str] = (), following: int = 0) -> dict[str, Resource]:
        if not uids:
            return self._pages.read(studies, following)
        known = [{"ID": study, "MainDicomTags": {"StudyInstanceUID": uid}} for study, uid in zip(studies, uids)]
        found = self.heads_again(known)
        return {study: found[study] for study in studies if study in found}

    def heads_again(self, studies: Sequence[Resource]) -> dict[str, Resource]:
        found: dict[str, Resource] = {}
        for part in _parts(studies, lambda study: 1, self._series_page):
            query = with_uids(part, "StudyInstanceUID")
            if query is not None:
                body = {"Level": "Study", **query, "ResponseContent": STUDY_CONTENT, "Limit": self._series_page}
                found |= by_identifier(self._host.post_json("/tools/find", body))
        return found | heads(self._host, [study["ID"] for study in studies if study["ID"] not in found])

    def series(self, studies: Sequence[Resource]) -> dict[str, list[Resource]]:
        found = self._children("Series", studies, "Study", self._series_page)
        return {study: sorted(series, key=_series_uid) for study, series in found}

    def instances(self, series: Sequence[Resource]) -> Iterator[Read]:
        entries = {entry["ID"]: entry for entry in series}
        for identifier, answers in self._children("Instance", series, "Series", self._instances_page):
            entry, skipped = entries[identifier], list[Skipped]()
            expected = entry["Instances"]
            if len(answers) != len(expected) or {answer["ID"] for answer in answers} != set(expected):
                yield entry, None, skipped
            else:
                yield entry, self._records(answers, skipped), skipped

    def _children(
        self, level: str, parents: Sequence[Resource], parent: str, page: int
    ) -> Iterator[tuple[str, list[Resource]]]:
        """The children of each parent, with its ID.

        Some other patient may have resources with the same UIDs: an answer belongs where Orthanc says that it does.
        """
        listed = "Series" if parent == "Study" else "Instances"
        for part in _parts(parents, lambda entry: len(entry[listed]), page):
            query = with_uids(part, f"{parent}InstanceUID")
            found: dict[str, list[Resource]] = {entry["ID"]: [] for entry in part}
            # Orthanc has no pages of what is found by UIDs.
            is_one_page = sum(len(entry[listed]) for entry in part) < page
            for answer in self._find(level, query, page) if query and is_one_page else ():
                if answer[f"Parent{parent}"] in found:
                    found[answer[f"Parent{parent}"]].append(answer)
            for entry in part:
                identifier, children = entry["ID"], found.pop(entry["ID"])
                if {child["ID"] for child in children} != set(entry[listed]):
                    children = self._all(level, {"Query": {}, f"Parent{parent}": identifier}, page)
                yield identifier, children

    def _all(self, level: str, query: Resource, page: int) -> list[Resource]:
        """Page by page."""
        order = [{"Type": "DicomTag", "Key": UIDS[level], "Direction": "ASC"}]
        answers: list[Resource] = []
        while True:
            found = self._find(level, {**query, "OrderBy": order, "Since": len(answers)}, page)
            answers += found
            if len(found) < page:
                return answers

    def _find(self, level: str, query: Resource, page: int) -> list[Resource]:
        body = {"Level": level, **query, "ResponseContent": _CONTENT[level], "Limit": page}
        return self._host.post_json("/tools/find", body)

    def _records(self, answers: list[Resource], skipped: list[Skipped]) -> list[InstanceRecord] | None:
        record = self._objects.record
        records = []
        for answer in answers:
            identifier = answer["ID"]
            size, md5 = file_of(answer["Attachments"])
            try:
                read = record(identifier, answer["MainDicomTags"], answer["Metadata"], size, md5)
                read.file = _attachment(answer["Attachments"])
                records.append(read)
            except NotFound:
                return None
            except HostError as error:
                skipped.append(Skipped(identifier, "Instance", str(error)))
        return records


def _parts(resources: Sequence[Resource], weight: Callable[[Resource], int], page: int) -> Iterator[list[Resource]]:
    """Lists as long as one query is quick for. Their answers do not fill a page, unless those of one resource do."""
    part: list[Resource] = []
    total = 0
    for resource in resources:
        if part and (len(part) == _LIST or total + weight(resource) >= page):
            yield part
            part, total = [], 0
        part.append(resource)
        total += weight(resource)
    if part:
        yield part


def with_uids(resources: Iterable[Resource], keyword: str) -> Resource | None:
    """The query for all of these at once; None: there is none for some of them."""
    uids = [resource["MainDicomTags"].get(keyword, "") for resource in resources]
    if not all(map(_UID.fullmatch, uids)):
        return None
    return {"Query": dict.fromkeys(_NAMES[keyword], "\\".join(uids)), "CaseSensitive": True}


def _series_uid(series: Resource) -> str:
    return series["MainDicomTags"].get("SeriesInstanceUID", "")


def file_of(attachments: list[Resource]) -> tuple[int | str, str]:
    """Size in bytes and MD5 of the DICOM file; empty where Orthanc does not keep them."""
    file = _attachment(attachments) or {}
    return file.get("UncompressedSize", ""), file.get("UncompressedMD5", "")


def _attachment(attachments: list[Resource]) -> Resource | None:
    return next((attachment for attachment in attachments if attachment["ContentType"] == _DICOM), None)
