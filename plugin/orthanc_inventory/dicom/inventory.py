"""One SOP Instance of the Inventory IOD (PS3.3 A.88) as a PS3.10 file, root or leaf.

The object is written around study items that are encoded already. An archive of patients refuses what has no patient,
study and series: the attributes of ``FILING`` are added for it, as a Standard Extended SOP Class (PS3.2 3.11) may, and
``plain`` takes them out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import unpack_from
from types import MappingProxyType
from typing import Any

from pydicom.datadict import tag_for_keyword

from . import uids
from .elements import LONG_FORM, attribute_pieces, element_header, encode_attributes

_PREAMBLE = b"\0" * 128 + b"DICM"
_LONG_FORM = frozenset(vr.encode("ascii") for vr in LONG_FORM)

# What may be added to file an inventory under a patient, a study and a series. None of it belongs to the IOD.
FILING = (
    "StudyDate",
    "StudyTime",
    "Modality",
    "StudyDescription",
    "SeriesDescription",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
)
_FILING_TAGS = frozenset(tag_for_keyword(keyword) for keyword in FILING)


@dataclass(frozen=True, slots=True)
class Reference:
    """An incorporated inventory (Table C.38.2-3), with the references of its own below it.

    ``total`` are the study records in it and in all that it incorporates.
    """

    uid: str
    mac: str
    access: Mapping[str, Any] = field(default_factory=dict)
    incorporates: tuple["Reference", ...] = ()
    total: int = 0

    @property
    def depth(self) -> int:
        """Levels of references, this one included."""
        return 1 + max((child.depth for child in self.incorporates), default=0)

    def uids(self) -> Iterator[str]:
        """This one and all below it."""
        yield self.uid
        for child in self.incorporates:
            yield from child.uids()

    def item(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "ReferencedSOPClassUID": uids.INVENTORY_STORAGE,
            "ReferencedSOPInstanceUID": self.uid,
            "StoredInstanceTransferSyntaxUID": uids.EXPLICIT_VR_LITTLE_ENDIAN,
            "MACAlgorithm": "SHA256",
            "MAC": self.mac,
            **self.access,
        }
        if self.incorporates:
            attributes["IncorporatedInventoryInstanceSequence"] = [child.item() for child in self.incorporates]
        return attributes


@dataclass(slots=True)
class Inventory:
    """One SOP Instance: root, leaf or a node between.

    ``attributes`` are those of the Equipment, Inventory and SOP Common modules, by keyword; ``studies`` the encoded items
    of the Inventoried Studies Sequence (0008,0423), ``records`` their number, ``total`` the same with all that this
    instance incorporates.
    """

    uid: str
    attributes: Mapping[str, Any]
    studies: bytes
    records: int
    total: int

    def encode(self, filing: Mapping[str, Any] = MappingProxyType({})) -> bytes:
        """The PS3.10 file; ``filing`` are the attributes under which an archive files it, see ``FILING``."""
        data_set = attribute_pieces(
            {
                "SpecificCharacterSet": "ISO_IR 192",
                "SOPClassUID": uids.INVENTORY_STORAGE,
                "SOPInstanceUID": self.uid,
                **self.attributes,
                "InventoriedStudiesSequence": self.studies,
                "NumberOfStudyRecordsInInstance": self.records,
                "TotalNumberOfStudyRecords": self.total,
                **filing,
            }
        )
        return b"".join([file_header(uids.INVENTORY_STORAGE, self.uid), *data_set])


def file_header(sop_class: str, uid: str, transfer_syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1)."""
    meta = element_header(0x00020001, "OB", 2) + b"\0\1"
    meta += encode_attributes(
        {
            "MediaStorageSOPClassUID": sop_class,
            "MediaStorageSOPInstanceUID": uid,
            "TransferSyntaxUID": transfer_syntax,
            "ImplementationClassUID": uids.IMPLEMENTATION_CLASS,
            "ImplementationVersionName": uids.IMPLEMENTATION_VERSION_NAME,
        }
    )
    return _PREAMBLE + element_header(0x00020000, "UL", 4) + len(meta).to_bytes(4, "little") + meta


def _elements(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Tag, start and end of each element of the data set of a file that this module wrote: all lengths are defined."""
    position = len(_PREAMBLE) + 12
    position += int.from_bytes(file[position - 4 : position], "little")
    while position < len(file):
        group, element, vr = unpack_from("<HH2s", file, position)
        start = position
        if vr in _LONG_FORM:
            position += 12 + int.from_bytes(file[position + 8 : position + 12], "little")
        else:
            position += 8 + int.from_bytes(file[position + 6 : position + 8], "little")
        yield group << 16 | element, start, position
    if position != len(file):
        raise ValueError("the stored inventory is cut off: an element is longer than the file")


def plain(file: bytes) -> Iterator[memoryview]:
    """The pieces of a stored inventory without the attributes of ``FILING``: the object that ``Inventory`` made."""
    view = memoryview(file)
    kept = 0
    for tag, start, end in _elements(file):
        if tag in _FILING_TAGS:
            yield view[kept:start]
            kept = end
    yield view[kept:]
