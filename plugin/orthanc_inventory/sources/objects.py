"""What the record of one stored object is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dicom.attributes import INSTANCE
from ..dicom.records import InstanceRecord, InstanceTable, SingleItems
from ..dicom.terms import PLAIN_FILE
from ..host import Host, NotFound
from .data_sets import SEQUENCES, DataSets
from .originals import NOTE


class Objects:
    """Makes instance records.

    Args:
        uris: whether files can be reached by a URI, relative to the Stored Instance Base URI (PS3.3 C.38.1.2.6).
        checksums: whether to write the MD5 that Orthanc keeps.
    """

    def __init__(self, host: Host, uris: bool, checksums: bool) -> None:
        self._host = host
        self._uris = uris
        self.checksums = checksums
        self._data_sets = DataSets(INSTANCE)

    def record(
        self, identifier: str, tags: dict[str, Any], metadata: dict[str, str], size: int | str, md5: str
    ) -> InstanceRecord:
        """One record, from what the index says; ``size`` in bytes and ``md5`` are those of the uncompressed file.

        It holds when the object was received, too, by Orthanc's own name: that is not written into inventories.

        Raises:
            HostError: the index lacks the transfer syntax, and the file cannot be read.
        """
        if SEQUENCES in metadata:
            tags = dict(self._data_sets.from_index(tags, metadata))
        transfer_syntax = metadata.get("TransferSyntax") or self._transfer_syntax(identifier)
        access: dict[str, int | str] = {"FileLengthInContainer": size, "StoredInstanceTransferSyntaxUID": transfer_syntax}
        if self._uris:
            access["FileAccessURI"] = f"./instances/{identifier}/file"
            access["ContainerFileType"] = PLAIN_FILE
        if md5 and self.checksums:
            access["MACAlgorithm"] = "MD5"
            access["MAC"] = md5
        if "LossyImageCompressionRatio" in tags:
            access["LossyImageCompressionRatio"] = tags["LossyImageCompressionRatio"]
        tags["ReceptionDate"] = metadata.get("ReceptionDate", "")
        if NOTE in metadata:
            tags[NOTE] = metadata[NOTE]
        tags["SOPClassUID"] = self.sop_class(identifier, metadata)
        tags["FileAccessSequence"] = [access]
        return InstanceRecord(identifier, tags)

    def table(
        self,
        identifiers: Sequence[str],
        tags: Mapping[str, Sequence[Any]],
        metadata: Mapping[str, Sequence[str]],
        sizes: Sequence[int],
        digests: Sequence[str],
    ) -> InstanceTable | None:
        """The same records of several instances, attribute by attribute; None: there is more to be looked at in each."""
        known = metadata.get("TransferSyntax"), metadata.get("SopClassUid")
        if SEQUENCES in metadata or not all(column and all(column) for column in known):
            return None
        number = len(identifiers)
        access: dict[str, Sequence[Any]] = {
            "FileLengthInContainer": sizes, "StoredInstanceTransferSyntaxUID": metadata["TransferSyntax"],
        }
        if self._uris:
            access["FileAccessURI"] = [f"./instances/{identifier}/file" for identifier in identifiers]
            access["ContainerFileType"] = [PLAIN_FILE] * number
        if self.checksums:
            access["MACAlgorithm"] = ["MD5"] * number
            access["MAC"] = digests
        if "LossyImageCompressionRatio" in tags:
            access["LossyImageCompressionRatio"] = tags["LossyImageCompressionRatio"]
        columns = {**tags, "ReceptionDate": metadata.get("ReceptionDate") or [""] * number}
        if NOTE in metadata:
            columns[NOTE] = metadata[NOTE]
        return InstanceTable(
            identifiers, {**columns, "SOPClassUID": metadata["SopClassUid"], "FileAccessSequence": SingleItems(access)}
        )

    def sop_class(self, identifier: str, metadata: dict[str, str]) -> str:
        """From the index, or from the file itself, where that is missing. Raises: HostError."""
        return metadata.get("SopClassUid") or self._sop_class(identifier)

    def _transfer_syntax(self, identifier: str) -> str:
        """From the file itself: very old records lack it in the index."""
        return self._host.get_json(f"/instances/{identifier}/header?simplify").get("TransferSyntaxUID", "")

    def _sop_class(self, identifier: str) -> str:
        try:
            return self._host.get(f"/instances/{identifier}/content/0008-0016").decode("ascii", "replace")
        except NotFound:
            return ""
