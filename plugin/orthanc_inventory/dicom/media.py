"""The DICOMDIR of a file-set of inventories (PS3.10 8.6): a directory record for each, all of them in the root directory.

An inventory stands under no patient, so its record, INVENTORY (PS3.3 F.5.48), has no record above or below it.
"""

from __future__ import annotations

from typing import BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from . import uids
from .elements import element_header, encode_attributes, item_header
from .inventory import file_header

# The keys of the record; what the inventory lacks is written without a value.
_KEYS = (
    "SpecificCharacterSet",
    "ContentDate",
    "ContentTime",
    "InventoryPurpose",
    "InventoryLevel",
    "ScopeOfInventorySequence",
    "InventoryCompletionStatus",
    "TotalNumberOfStudyRecords",
)
_TAGS = [tag_for_keyword(keyword) or 0 for keyword in ("SOPClassUID", "SOPInstanceUID", *_KEYS)]


class MediaDirectory:
    """Collects the records, then gives the file."""

    def __init__(self) -> None:
        self._records: list[tuple[dict[str, str], bytes]] = []

    def add(self, file_id: tuple[str, ...], file: BinaryIO) -> None:
        """An inventory, read from the beginning of its PS3.10 file; ``file_id`` are the components of its name."""
        inventory = pydicom.dcmread(file, specific_tags=_TAGS)
        reference = {
            "ReferencedFileID": "\\".join(file_id),
            "ReferencedSOPClassUIDInFile": inventory.SOPClassUID,
            "ReferencedSOPInstanceUIDInFile": inventory.SOPInstanceUID,
            "ReferencedTransferSyntaxUIDInFile": inventory.file_meta.TransferSyntaxUID,
        }
        self._records.append((reference, _keys(inventory)))

    def encode(self) -> bytes:
        """The file DICOMDIR. Offsets count from its beginning (PS3.3 F.3.2.2)."""
        head = file_header(uids.MEDIA_STORAGE_DIRECTORY, uids.new_uid())
        position = len(head) + len(_file_set(0, 0)) + len(_sequence_header(0))
        items: list[bytes] = []
        first = last = 0
        for number, (reference, keys) in enumerate(self._records, 1):
            last = position
            first = first or position
            size = len(_record(0, reference)) + len(keys)
            position += len(item_header(size)) + size
            following = position if number < len(self._records) else 0
            items += [item_header(size), _record(following, reference), keys]
        return b"".join([head, _file_set(first, last), _sequence_header(sum(map(len, items))), *items])


def _file_set(first: int, last: int) -> bytes:
    return encode_attributes(
        {
            "FileSetID": "INVENTORY",
            "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity": first,
            "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity": last,
            "FileSetConsistencyFlag": 0,
        }
    )


def _sequence_header(length: int) -> bytes:
    return element_header(tag_for_keyword("DirectoryRecordSequence") or 0, "SQ", length)


def _record(following: int, reference: dict[str, str]) -> bytes:
    return encode_attributes(
        {
            "OffsetOfTheNextDirectoryRecord": following,
            "RecordInUseFlag": 0xFFFF,
            "OffsetOfReferencedLowerLevelDirectoryEntity": 0,
            "DirectoryRecordType": "INVENTORY",
            **reference,
        }
    )


def _keys(inventory: Dataset) -> bytes:
    """In Explicit VR Little Endian, whatever the inventory itself is encoded in (PS3.10 8.6)."""
    keys = Dataset()
    for keyword in _KEYS:
        if keyword in inventory:
            keys[keyword] = inventory[keyword]
        elif keyword != "SpecificCharacterSet":
            setattr(keys, keyword, None)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, keys)
    return stream.getvalue()
