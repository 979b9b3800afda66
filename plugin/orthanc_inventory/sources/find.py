"""Asks for all instances of a study at once, with what Orthanc calls the extended find (1.12.5 and later)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..dicom.records import InstanceRecord, Skipped
from ..host import Host, HostError, NotFound
from . import Moved
from .objects import Objects

# Resources in one answer: the call holds up every other route of the plugin while it lasts.
_PAGE = 1000
# Pages are only complete in an order that stays.
_KEYS = {"Series": "SeriesInstanceUID", "Instance": "SOPInstanceUID"}
# The value of FileContentType for the DICOM file itself.
_DICOM = 1


class Find:
    name = "find: /tools/find with ResponseContent per study"

    def __init__(self, host: Host, objects: Objects) -> None:
        self._host = host
        self._objects = objects
        self._series_page = self._page("LimitFindResults")
        self._instances_page = self._page("LimitFindInstances")

    def _page(self, limit: str) -> int:
        """Orthanc cuts each answer to its own limit without a word, so no more than that is asked for at once."""
        return min(_PAGE, self._host.configuration.get(limit) or _PAGE)

    def series(self, study: str) -> list[dict[str, Any]]:
        return self._find("Series", study, ["MainDicomTags", "Children", "Metadata"], self._series_page, ordered=True)

    def instances(
        self, study: str, series: list[dict[str, Any]], skipped: list[Skipped]
    ) -> Iterator[tuple[dict[str, Any], list[InstanceRecord]]]:
        content = ["MainDicomTags", "Metadata", "Attachments", "Parent"]
        expected = {instance for entry in series for instance in entry["Instances"]}
        # Orthanc needs a quarter more time to put them in order; a single page needs none.
        ordered = len(expected) >= self._instances_page
        answers = self._find("Instance", study, content, self._instances_page, ordered)
        if len(answers) != len(expected) or {answer["ID"] for answer in answers} != expected:
            raise Moved
        by_series: dict[str, list[dict[str, Any]]] = {entry["ID"]: [] for entry in series}
        for answer in answers:
            by_series[answer["ParentSeries"]].append(answer)
        for entry in series:
            yield entry, self._records(by_series[entry["ID"]], skipped)

    def _records(self, answers: list[dict[str, Any]], skipped: list[Skipped]) -> list[InstanceRecord]:
        record = self._objects.record
        records = []
        for answer in answers:
            identifier = answer["ID"]
            size, md5 = _file(answer["Attachments"])
            try:
                records.append(record(identifier, answer["MainDicomTags"], answer["Metadata"], size, md5))
            except HostError as error:
                if isinstance(error, NotFound):
                    raise Moved from None
                skipped.append(Skipped(identifier, "Instance", str(error)))
        return records

    def _find(self, level: str, study: str, content: list[str], page: int, ordered: bool) -> list[dict[str, Any]]:
        query: dict[str, Any] = {
            "Level": level,
            "Query": {},
            "ParentStudy": study,
            "ResponseContent": content,
            "Limit": page,
        }
        if ordered:
            query["OrderBy"] = [{"Type": "DicomTag", "Key": _KEYS[level], "Direction": "ASC"}]
        answers: list[dict[str, Any]] = []
        while True:
            found = self._host.post_json("/tools/find", {**query, "Since": len(answers)})
            answers += found
            if len(found) < page:
                return answers


def _file(attachments: list[dict[str, Any]]) -> tuple[int | str, str]:
    """Size in bytes and MD5 of the DICOM file; empty where Orthanc does not keep them."""
    for attachment in attachments:
        if attachment["ContentType"] == _DICOM:
            return attachment.get("UncompressedSize", ""), attachment.get("UncompressedMD5", "")
    return "", ""
