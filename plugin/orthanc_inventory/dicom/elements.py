"""Data elements in Little Endian (PS3.5 7.1), and the few data sets that are not made of records."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

LENGTH_32 = Struct("<I").pack
LONG_FORM = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
NUMBERS = {
    "FD": Struct("<d"), "FL": Struct("<f"), "SL": Struct("<i"), "SS": Struct("<h"), "SV": Struct("<q"),
    "UL": Struct("<I"), "US": Struct("<H"), "UV": Struct("<Q"),
}
_ITEM = b"\xfe\xff\x00\xe0"


class InvalidRecord(ValueError):
    """A record lacks a value that the standard demands; the message names the keyword, never the value."""


def element_header(tag: int, vr: str, length: int) -> bytes:
    """The header of a data element with an explicit VR; lengths in bytes. One too long for its VR is UN (PS3.5 6.2.2)."""
    if length > 0xFFFF and vr not in LONG_FORM:
        vr = "UN"
    head = Struct("<HH").pack(tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in LONG_FORM:
        return head + b"\0\0" + LENGTH_32(length)
    return head + length.to_bytes(2, "little")


def implicit_header(tag: int, vr: str, length: int) -> bytes:
    """The header of a data element without its VR (PS3.5 7.1.3)."""
    return Struct("<HHI").pack(tag >> 16, tag & 0xFFFF, length)


def item_header(length: int) -> bytes:
    """The header of an item of a sequence (PS3.5 7.5.1); lengths in bytes."""
    return _ITEM + LENGTH_32(length)


def encode_attributes(attributes: Mapping[str, Any]) -> bytes:
    """Data elements of any keywords of the data dictionary (PS3.6), ascending, with the values as they are given.

    For the few attributes around the records, whose values are checked where they come in; the tables serve the records
    themselves. An empty value gives an empty element. Sequences take a list of mappings, or items already encoded.
    """
    return b"".join(attribute_pieces(attributes))


def attribute_pieces(attributes: Mapping[str, Any]) -> list[bytes]:
    """The same in pieces, headers and values apart: copying a large value takes longer than encoding it."""
    elements = []
    for keyword, value in attributes.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise InvalidRecord(f"{keyword} is not a keyword of the DICOM data dictionary")
        vr = dictionary_VR(tag).split(" ")[0]
        content = _content(vr, value)
        elements.append((tag, element_header(tag, vr, len(content)), content))
    return [piece for _, *pieces in sorted(elements) for piece in pieces]


def _content(vr: str, value: Any) -> bytes:
    """The value field, of even length (PS3.5 7.1.1)."""
    if value is None or value == "":
        return b""
    if vr == "SQ":
        return value if isinstance(value, bytes) else b"".join(map(_item, value))
    if vr in NUMBERS:
        return NUMBERS[vr].pack(value)
    content = bytes.fromhex(value) if vr == "OB" else value.encode()
    return content + (b"\0" if vr in ("OB", "UI") else b" ") * (len(content) & 1)


def _item(attributes: Mapping[str, Any]) -> bytes:
    elements = encode_attributes(attributes)
    return item_header(len(elements)) + elements
