"""Asks for the children of each series, then for each instance by its ID: fast where Orthanc has no extended find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..dicom.records import InstanceRecord, Skipped
from ..host import Host, HostError, NotFound
from .index import Moved
from .objects import Objects


class Walk:
    name = "walk: children of each series, metadata and MD5 per instance"

    def __init__(self, host: Host, objects: Objects) -> None:
        self._host = host
        self._objects = objects

    def series(self, study: str) -> list[dict[str, Any]]:
        return self._host.get_json(f"/studies/{study}/series")

    def instances(
        self, study: str, series: list[dict[str, Any]], skipped: list[Skipped]
    ) -> Iterator[tuple[dict[str, Any], list[InstanceRecord]]]:
        for entry in series:
            instances = self._host.get_json(f"/series/{entry['ID']}/instances")
            if {instance["ID"] for instance in instances} != set(entry["Instances"]):
                raise Moved
            yield entry, self._records(instances, skipped)

    def _records(self, instances: list[dict[str, Any]], skipped: list[Skipped]) -> list[InstanceRecord]:
        get_json, record = self._host.get_json, self._objects.record
        records = []
        for instance in instances:
            identifier = instance["ID"]
            try:
                metadata = get_json(f"/instances/{identifier}/metadata?expand")
                md5 = self._md5(identifier) if self._objects.checksums else ""
                records.append(record(identifier, instance["MainDicomTags"], metadata, instance["FileSize"], md5))
            except HostError as error:
                self._check_still_there(identifier, error)
                skipped.append(Skipped(identifier, "Instance", str(error)))
        return records

    def _md5(self, identifier: str) -> str:
        try:
            return self._host.get(f"/instances/{identifier}/attachments/dicom/md5").decode("ascii")
        except NotFound:  # StoreMD5ForAttachments is false, or was when the object came
            return ""

    def _check_still_there(self, identifier: str, error: HostError) -> None:
        if isinstance(error, NotFound):
            try:
                self._host.get(f"/instances/{identifier}")
            except NotFound:
                raise Moved from None
