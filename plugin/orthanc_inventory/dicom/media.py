"""The DICOMDIR of a file-set of inventories (PS3.10 8.6): a directory record for each, all of them in the root directory.

An inventory stands under no patient, so its record, INVENTORY (PS3.3 F.5.48), has no record above or below it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import dictionary_VR, tag_for_keyword

from . import uids
from .elements import element_header, encode_attributes, item_header
from .inventory import file_header

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_SPECIFIC_CHARACTER_SET = 0x00080005
# The keys of the record by tag, with what stands for one that the inventory lacks.
_WITHOUT_VALUE = {
    tag: element_header(tag, dictionary_VR(tag), 0)
    for tag in (
        tag_for_keyword(keyword) or 0
        for keyword in (
            "ContentDate",
            "ContentTime",
            "InventoryPurpose",
            "InventoryLevel",
            "ScopeOfInventorySequence",
            "InventoryCompletionStatus",
            "TotalNumberOfStudyRecords",
        )
    )
}
KEYS = frozenset({_SPECIFIC_CHARACTER_SET, *_WITHOUT_VALUE})


class MediaDirectory:
    """Collects the records, then gives the file."""

    def __init__(self) -> None:
        self._records: list[tuple[dict[str, str], bytes]] = []

    def add(self, file_id: tuple[str, ...], uid: str, transfer_syntax: str, keys: Mapping[int, bytes]) -> None:
        """An inventory: the components of its file name, and its elements with the tags of ``KEYS``, encoded."""
        reference = {
            "ReferencedFileID": "\\".join(file_id),
            "ReferencedSOPClassUIDInFile": uids.INVENTORY_STORAGE,
            "ReferencedSOPInstanceUIDInFile": uid,
            "ReferencedTransferSyntaxUIDInFile": transfer_syntax,
        }
        self._records.append((reference, b"".join(element for _, element in sorted({**_WITHOUT_VALUE, **keys}.items()))))

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
    return element_header(_DIRECTORY_RECORD_SEQUENCE, "SQ", length)


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
