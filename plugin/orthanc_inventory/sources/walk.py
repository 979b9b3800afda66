"""Asks for the instances of each series by their IDs: fast where Orthanc has no extended find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..dicom.records import InstanceRecord, Skipped
from ..host import Host, HostError, NotFound
from . import Moved
from .objects import Objects

# Instances in one answer: the call holds up every other route of the plugin while it lasts.
_PAGE = 1000


class Walk:
    name = "walk: children of each series with metadata, MD5 per instance"

    def __init__(self, host: Host, objects: Objects) -> None:
        self._host = host
        self._objects = objects

    def series(self, study: str) -> list[dict[str, Any]]:
        return self._host.get_json(f"/studies/{study}/series")

    def instances(
        self, study: str, series: list[dict[str, Any]], skipped: list[Skipped]
    ) -> Iterator[tuple[dict[str, Any], list[InstanceRecord]]]:
        for entry in series:
            yield entry, self._records(entry["Instances"], skipped)

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
