"""The files of stored objects, read and hashed to find those that are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..host import Host, HostError, NotFound
from . import Moved

_CHUNK = 1024 * 1024
_WRONG = "the file does not have the MD5 with which Orthanc stored it"


class StoredFiles:
    """``system`` is what Orthanc tells at ``/system``.

    Files are read directly, unless a plugin keeps them: 1.10.1 and 1.13.0 verify what is in their cache instead of what is on
    the disk, and since 1.12 Orthanc looks at all instances to find one by its ID.
    """

    def __init__(self, host: Host, system: Mapping[str, Any]) -> None:
        self._host = host
        folder = host.configuration.get("StorageDirectory") or "OrthancStorage"
        self._folder = None if system.get("StorageAreaPlugin") else host.folder_of_configuration / folder

    def problem(self, identifier: str, file: Mapping[str, Any] | None) -> str:
        """Why the DICOM file of an instance is damaged; empty if it is as Orthanc stored it, and has kept the MD5 of.

        Args:
            file: what Orthanc told of it, if it did.

        Raises:
            Moved: the instance is no longer there.
        """
        try:
            return self._problem(identifier, file)
        except NotFound:
            pass
        try:
            self._host.get(f"/instances/{identifier}")
        except NotFound:
            raise Moved from None
        return _WRONG  # so Orthanc answers then, as if it knew nothing of the object

    def _problem(self, identifier: str, file: Mapping[str, Any] | None) -> str:
        path = f"/instances/{identifier}/attachments/dicom"
        if self._folder is not None:
            if file is not None and not self._problem_on_disk(self._folder, file):
                return ""
            # The object may have been replaced since.
            return self._problem_on_disk(self._folder, self._host.get_json(f"{path}/info"))
        try:
            self._host.post(f"{path}/verify-md5", b"")
        except NotFound:
            raise
        except HostError as error:
            return f"the file cannot be read: {error}"
        return ""

    def _problem_on_disk(self, folder: Path, file: Mapping[str, Any]) -> str:
        name = file["Uuid"]
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with open(folder / name[:2] / name[2:4] / name, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            return f"the file cannot be read: {error.strerror}"
        return "" if digest.hexdigest() == file["CompressedMD5"] else _WRONG

    def read(self, identifier: str) -> bytes:
        """The DICOM file, uncompressed.

        Raises:
            Moved: the instance is no longer there.
            HostError: it cannot be read.
        """
        try:
            return self._host.get(f"/instances/{identifier}/attachments/dicom/data")
        except NotFound:
            raise Moved from None
