"""Asks for the instances of each series by their IDs: fast where Orthanc has no extended find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..dicom.records import InstanceRecord, Skipped
from ..host import Host, HostError, NotFound
from . import Moved
from .group import Read
from .objects import Objects
from .study_pages import heads

# Instances in one answer: the call holds up every other route of the plugin while it lasts.
_PAGE = 1000


class Walk:
    name = "walk: children of each series with metadata, MD5 per instance"
    studies_at_once = 1

    def __init__(self, host: Host, objects: Objects) -> None:
        self._host = host
        self._objects = objects

    def forget(self) -> None:
        """Nothing is kept."""

    def heads(self, studies: Sequence[str], uids: Sequence[str] = (), following: int = 0) -> dict[str, dict[str, Any]]:
        return heads(self._host, studies)

    def heads_again(self, studies: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return heads(self._host, [study["ID"] for study in studies])

    def series(self, studies: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        return {study["ID"]: self._host.get_json(f"/studies/{study['ID']}/series") for study in studies}

    def instances(self, series: Sequence[dict[str, Any]]) -> Iterator[Read]:
        for entry in series:
            skipped: list[Skipped] = []
            try:
                records = self._records(entry["Instances"], skipped)
            except Moved:
                yield entry, None, skipped
            else:
                yield entry, records, skipped

    def _records(self, identifiers: list[str], skipped: list[Skipped]) -> list[InstanceRecord]:
        record, get = self._objects.record, self._host.get
        records = []
        for instance in self._instances(identifiers, skipped):
            identifier = instance["ID"]
            md5 = ""
            try:
                if self._objects.checksums:
                    md5 = get(f"/instances/{identifier}/attachments/dicom/md5").decode("ascii")
            except NotFound:
                pass  # StoreMD5ForAttachments is false, or was when the object came
            except HostError as error:
                skipped.append(Skipped(identifier, "Instance", str(error)))
                continue
            try:
                records.append(record(identifier, instance["MainDicomTags"], instance["Metadata"], instance["FileSize"], md5))
            except NotFound:
                raise Moved from None
            except HostError as error:
                skipped.append(Skipped(identifier, "Instance", str(error)))
        return records

    def _instances(self, identifiers: list[str], skipped: list[Skipped]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(identifiers), _PAGE):
            page = identifiers[start : start + _PAGE]
            try:
                yield from self._expand(page)
            except HostError:  # one by one, to tell which
                for identifier in page:
                    try:
                        yield from self._expand([identifier])
                    except HostError as error:
                        skipped.append(Skipped(identifier, "Instance", str(error)))

    def _expand(self, identifiers: list[str]) -> list[dict[str, Any]]:
        query = {"Level": "Instance", "Resources": identifiers, "Metadata": True}
        answers = self._host.post_json("/tools/bulk-content", query)
        if len(answers) != len(identifiers):  # it leaves out what is gone
            raise Moved
        return answers
