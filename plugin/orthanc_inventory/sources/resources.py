"""Several studies read from Orthanc's index at once, and no more of them than is asked for: for queries.

Resources are as Orthanc expands them. A resource that vanishes meanwhile is left out, as one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from ..host import Host, HostError, NotFound
from .find import UIDS, Resource, file_of, with_uids

# Resources in one answer: the call holds up every other route of the plugin while it lasts.
_AIM = 2000
# By so many studies the place of one among all may be wrong.
SLACK = 16
# UIDs in one list: with more of them each instance costs more, with fewer Orthanc looks at all UIDs of a level more often.
_LIST = 40


class Content(NamedTuple):
    """What is wanted of resources besides their main DICOM tags."""

    metadata: bool = False
    children: bool = False
    files: bool = False
    checksums: bool = False


class Resources(Protocol):
    """One way of asking for many resources."""

    def studies(self, identifiers: Sequence[str], place: int | None) -> list[Resource]:
        """These studies, in any order; ``place`` is that of the first among all studies, sorted, if they follow each other."""

    def series(self, studies: Sequence[Resource], content: Content) -> list[Resource]:
        """The series of these studies, with ParentStudy."""

    def instances(self, series: Sequence[Resource], content: Content) -> list[Resource]:
        """The instances of these series, with ParentSeries; with files, Size and MD5 (empty where there is none)."""


class FindResources:
    """With the extended find, by lists of UIDs: see ``find``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        # Orthanc cuts each answer to its own limit without a word, so no more than that is asked for at once.
        configuration = host.configuration
        results, instances = (configuration.get(f"LimitFind{what}") or _AIM for what in ("Results", "Instances"))
        self._pages = {"Study": results, "Series": results, "Instance": instances}
        self._is_sorted = True

    def studies(self, identifiers: Sequence[str], place: int | None) -> list[Resource]:
        found: dict[str, Resource] = {}
        if place is not None and len(identifiers) > 1 and self._is_sorted:
            # Some before may be gone, or new.
            since, limit = max(0, place - SLACK), min(self._pages["Study"], len(identifiers) + 2 * SLACK)
            page: Resource = {"Query": {}, "Since": since, "Limit": limit, "ResponseContent": ["MainDicomTags", "Metadata"]}
            answers = self._host.post_json("/tools/find", {"Level": "Study", **page})
            found = {answer["ID"]: answer for answer in answers}
            for answer in found.values():
                answer["LastUpdate"] = answer["Metadata"].get("LastUpdate", "")
            # A page of all studies has them in the order of their IDs, unless a database plugin does it otherwise.
            self._is_sorted = list(found) == sorted(found)
        studies = (found.get(identifier) or self._study(identifier) for identifier in identifiers)
        return [study for study in studies if study is not None]

    def _study(self, identifier: str) -> Resource | None:
        try:
            return self._host.get_json(f"/studies/{identifier}")
        except NotFound:
            return None

    def series(self, studies: Sequence[Resource], content: Content) -> list[Resource]:
        asked = ["MainDicomTags", "Parent"] + ["Children"] * content.children + ["Metadata"] * content.metadata
        return self._children("Series", "Study", studies, asked)

    def instances(self, series: Sequence[Resource], content: Content) -> list[Resource]:
        asked = ["MainDicomTags", "Parent"] + ["Metadata"] * (content.metadata or content.files)
        found = self._children("Instance", "Series", series, asked + ["Attachments"] * content.files)
        if content.files:
            for answer in found:
                answer["Size"], answer["MD5"] = file_of(answer["Attachments"])
        return found

    def _children(self, level: str, parent: str, parents: Sequence[Resource], content: list[str]) -> list[Resource]:
        found: list[Resource] = []
        start, count = 0, _LIST
        while start < len(parents):
            part = parents[start : start + count]
            children = self._children_of_some(level, parent, part, content)
            if children is None:
                count = len(part) // 2
                continue
            found += children
            start += len(part)
            # As many as will give half of what one answer may hold, if they are as large as these.
            count = min(_LIST, max(1, len(part) * self._pages[level] // (2 * len(children) or 1)))
        return found

    def _children_of_some(
        self, level: str, parent: str, parents: Sequence[Resource], content: list[str]
    ) -> list[Resource] | None:
        """None: there are more than Orthanc answers at once.

        Some other patient may have resources with the same UIDs: an answer belongs where Orthanc says that it does.
        """
        page, belongs_to = self._pages[level], f"Parent{parent}"
        query: Resource = {"Level": level, "ResponseContent": content, "Limit": page}
        left = {entry["ID"] for entry in parents}
        found: list[Resource] = []
        if uids := with_uids(parents, f"{parent}InstanceUID"):
            answers = self._host.post_json("/tools/find", {**query, **uids})
            if len(answers) < page:
                found = [answer for answer in answers if answer[belongs_to] in left]
                left -= {answer[belongs_to] for answer in found}
            elif len(parents) > 1:
                return None
        # What is left cannot be looked for by its UID, or is more by itself than Orthanc answers at once.
        for identifier in left:
            found += self._all({**query, "Query": {}, belongs_to: identifier}, page)
        return found

    def _all(self, query: Resource, page: int) -> Iterator[Resource]:
        """Page by page, which are only complete in an order that stays."""
        order = [{"Type": "DicomTag", "Key": UIDS[query["Level"]], "Direction": "ASC"}]
        since = 0
        while True:
            found = self._host.post_json("/tools/find", {**query, "OrderBy": order, "Since": since})
            yield from found
            since += len(found)
            if len(found) < page:
                return


class BulkResources:
    """By their IDs, where Orthanc has no extended find."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def studies(self, identifiers: Sequence[str], place: int | None) -> list[Resource]:
        return self._expand("Study", identifiers, True)

    def series(self, studies: Sequence[Resource], content: Content) -> list[Resource]:
        return self._expand("Series", [study["ID"] for study in studies], content.metadata)

    def instances(self, series: Sequence[Resource], content: Content) -> list[Resource]:
        identifiers = iter([identifier for entry in series for identifier in entry["Instances"]])
        found: list[Resource] = []
        while page := list(islice(identifiers, _AIM)):
            found += self._expand("Instance", page, content.metadata or content.files)
        if content.files:
            for answer in found:
                answer["Size"] = answer["FileSize"]
                answer["MD5"] = self._md5(answer["ID"]) if content.checksums else ""
        return found

    def _expand(self, level: str, identifiers: Sequence[str], metadata: bool) -> list[Resource]:
        try:
            query = {"Level": level, "Resources": identifiers, "Metadata": metadata}
            return self._host.post_json("/tools/bulk-content", query)
        except HostError:
            self._host.get("/changes?last")  # unless nothing can be read any more
        if len(identifiers) == 1:
            return []
        # One by one, to leave out no more than what cannot be read.
        return [resource for identifier in identifiers for resource in self._expand(level, [identifier], metadata)]

    def _md5(self, identifier: str) -> str:
        try:
            return self._host.get(f"/instances/{identifier}/attachments/dicom/md5").decode("ascii")
        except NotFound:  # StoreMD5ForAttachments is false, or was when the object came
            return ""
