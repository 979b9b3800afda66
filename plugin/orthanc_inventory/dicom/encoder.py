"""Explicit VR Little Endian, made from the attribute tables by plain bytes (PS3.5 7.1.2).

Sequences and items have defined lengths, so that a reader can jump over what it does not want. Elements ascend at
every level. Values are brought into a legal form on the way, and each one that had to be changed is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import call, itemgetter
from struct import Struct
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from .attributes import INSTANCE, SERIES, STUDY, Attribute
from .records import Attributes, SeriesRecord, Skipped, StudyRecord
from .values import FITTING, legal_value, without_padding

_ITEM = b"\xfe\xff\x00\xe0"
_LENGTH_32 = Struct("<I").pack
# Headers of values below this length (bytes) are made beforehand.
_SHORT = 256
_LONG_FORM = frozenset({"OB", "SQ", "UC", "UN", "UR", "UT", "UV"})
_INTEGERS = {"US": Struct("<H"), "UL": Struct("<I"), "UV": Struct("<Q")}
# These differ from one object to the next: remembering them would only cost.
_DISTINCT = frozenset({"SOPInstanceUID", "FileAccessURI", "FileLengthInContainer", "MAC", "FileAccessSequence"})
_REMEMBERED = 1024

Encode = Callable[[Any], bytes]
# How to take the values out of a record, how to encode each, and the required keywords that the record lacks.
_Plan = tuple[Callable[[Attributes], tuple[Any, ...]], list[Encode], dict[str, str]]


class InvalidRecord(ValueError):
    """A record lacks a value that the standard demands; the message names the keyword, never the value."""


class Corrections:
    """How many values were changed, or left out, because their VR cannot hold them."""

    def __init__(self) -> None:
        self.count = 0


class _Remembered(dict[Any, bytes]):
    """Encoded elements by value. What had to be corrected is not remembered, so that each occurrence is counted."""

    def __init__(self, encode: Encode, corrections: Corrections) -> None:
        super().__init__()
        self._encode = encode
        self._corrections = corrections

    def __missing__(self, value: Any) -> bytes:
        before = self._corrections.count
        element = self._encode(value)
        if self._corrections.count == before:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = element
        return element


def element_header(tag: int, vr: str, length: int) -> bytes:
    """The header of a data element with an explicit VR; lengths in bytes."""
    head = Struct("<HH").pack(tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _LONG_FORM:
        return head + b"\0\0" + _LENGTH_32(length)
    return head + length.to_bytes(2, "little")


def _short_headers(row: Attribute) -> list[bytes]:
    return [element_header(row.tag, row.vr, length) for length in range(_SHORT)]


def _nothing_fits(value: str) -> None:
    """For a VR whose values are always looked at closely."""


class ItemEncoder:
    """Encodes the data elements of one item, or of a whole data set, from its table.

    Records of one origin name the same keywords again and again, so the order of the work is planned once for each
    combination of keywords.
    """

    def __init__(self, table: Iterable[Attribute], corrections: Corrections, identifying: bool = True) -> None:
        self._rows = {row.keyword: row for row in sorted(table, key=lambda row: row.tag)}
        self._corrections = corrections
        self._identifying = identifying
        self._required = [keyword for keyword, row in self._rows.items() if row.type in ("1", "2")]
        self._encoders = {keyword: self._encoder(row) for keyword, row in self._rows.items()}
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def encode(self, record: Attributes) -> bytes:
        """The data elements of a record in ascending order.

        Raises:
            InvalidRecord: a Type 1 attribute has no legal value.
        """
        shape = tuple(record)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plan(shape)
        values, encoders, missing = plan
        if missing:
            record = {**record, **missing}
        return b"".join(map(call, encoders, values(record)))

    def item(self, record: Attributes) -> bytes:
        """The same as an item of a sequence."""
        return _item(self.encode(record))

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        missing = {keyword: "" for keyword in self._required if keyword not in shape}
        present = [keyword for keyword in self._rows if keyword in shape or keyword in missing]
        # One keyword gives a bare value and none is an error, where a tuple is wanted.
        values = itemgetter(*present) if len(present) > 1 else lambda record: tuple(record[keyword] for keyword in present)
        if len(self._plans) >= _REMEMBERED:
            self._plans.clear()
        self._plans[shape] = plan = values, [self._encoders[keyword] for keyword in present], missing
        return plan

    def _encoder(self, row: Attribute) -> Encode:
        if row.identifying and not self._identifying:
            withheld = element_header(row.tag, row.vr, 0) if row.type in ("1", "2") else b""
            return lambda value: withheld
        if row.vr == "SQ":
            encode = self._sequence(row)
        elif row.vr in _INTEGERS:
            encode = self._integer(row)
        elif row.vr == "OB":
            encode = self._bytes(row)
        else:
            encode = self._text(row)
        if row.keyword in _DISTINCT or row.vr == "SQ":
            return encode
        return _Remembered(encode, self._corrections).__getitem__

    def _empty(self, row: Attribute) -> bytes:
        """What is written for a value that is missing or cannot be encoded."""
        if row.type == "1":
            raise InvalidRecord(f"{row.keyword} has no value that its VR ({row.vr}) allows")
        return b"" if row.type in ("1C", "3") else element_header(row.tag, row.vr, 0)

    def _text(self, row: Attribute) -> Encode:
        heads = _short_headers(row)
        longest = 0xFFFFFFFE if row.vr in _LONG_FORM else 0xFFFE
        padding = b"\0" if row.vr == "UI" else b" "
        corrections = self._corrections
        multiple, vr, default = row.multiple, row.vr, row.default
        fits = FITTING[vr].fullmatch if vr in FITTING else _nothing_fits

        def encode(value: str) -> bytes:
            if fits(value):
                legal = value
            else:
                given = without_padding(value)
                legal = legal_value(vr, given, multiple) or default
                if legal != given:
                    corrections.count += 1
                if not legal:
                    return self._empty(row)
            encoded = legal.encode()
            if len(encoded) & 1:
                encoded += padding
            length = len(encoded)
            if length < _SHORT:
                return heads[length] + encoded
            if length > longest:
                corrections.count += 1
                return self._empty(row)
            return element_header(row.tag, vr, length) + encoded

        return encode

    def _integer(self, row: Attribute) -> Encode:
        pack = _INTEGERS[row.vr].pack
        head = element_header(row.tag, row.vr, _INTEGERS[row.vr].size)

        def encode(value: int | str) -> bytes:
            if value == "":
                return self._empty(row)
            try:
                return head + pack(int(value))
            except Exception:  # struct.error, ValueError: the number does not fit
                self._corrections.count += 1
                return self._empty(row)

        return encode

    def _bytes(self, row: Attribute) -> Encode:
        heads = _short_headers(row)

        def encode(value: str) -> bytes:
            try:
                content = bytes.fromhex(value)
            except ValueError:
                self._corrections.count += 1
                content = b""
            if not content:
                return self._empty(row)
            if len(content) & 1:
                content += b"\0"
            length = len(content)
            return (heads[length] if length < _SHORT else element_header(row.tag, row.vr, length)) + content

        return encode

    def _sequence(self, row: Attribute) -> Encode:
        head = element_header(row.tag, row.vr, 0)[:-4]
        if not row.items:

            def encode_items(value: bytes) -> bytes:
                return head + _LENGTH_32(len(value)) + value

            return encode_items
        item = ItemEncoder(row.items, self._corrections, self._identifying).item

        def encode_records(value: list[Attributes]) -> bytes:
            content = item(value[0]) if len(value) == 1 else b"".join(map(item, value))
            return head + _LENGTH_32(len(content)) + content

        return encode_records


class StudyEncoder:
    """Encodes study records as items of the Inventoried Studies Sequence (0008,0423).

    ``corrections`` counts the values that were changed; ``identifying=False`` leaves out what identifies patients.
    """

    def __init__(self, level: str, identifying: bool = True) -> None:
        self.corrections = Corrections()
        self._level = level
        self._study = ItemEncoder(STUDY, self.corrections, identifying)
        self._series = ItemEncoder(SERIES, self.corrections, identifying)
        self._instance = ItemEncoder(INSTANCE, self.corrections, identifying)

    def encode(self, study: StudyRecord) -> tuple[bytes, int, int, list[Skipped]]:
        """The item, the numbers of series and instance items in it, and what could not be a record.

        Raises:
            InvalidRecord: the study itself cannot be a record.
        """
        skipped: list[Skipped] = []
        if self._level == "STUDY":
            return self._study.item(study.attributes), 0, 0, skipped
        items: list[bytes] = []
        instances = 0
        for series in study.series:
            try:
                item, count = self._series_item(series, skipped)
            except InvalidRecord as error:
                skipped.append(Skipped(series.identifier, "Series", str(error)))
                continue
            items.append(item)
            instances += count
        attributes = {**study.attributes, "InventoriedSeriesSequence": b"".join(items)}
        return self._study.item(attributes), len(items), instances, skipped

    def _series_item(self, series: SeriesRecord, skipped: list[Skipped]) -> tuple[bytes, int]:
        if self._level == "SERIES":
            return self._series.item(series.attributes), 0
        encode = self._instance.item
        items: list[bytes] = []
        for instance in series.instances:
            try:
                items.append(encode(instance.attributes))
            except InvalidRecord as error:
                skipped.append(Skipped(instance.identifier, "Instance", str(error)))
        return self._series.item({**series.attributes, "InventoriedInstancesSequence": b"".join(items)}), len(items)


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
        return value if isinstance(value, bytes) else b"".join(_item(encode_attributes(item)) for item in value)
    if vr in _INTEGERS:
        return _INTEGERS[vr].pack(value)
    content = bytes.fromhex(value) if vr == "OB" else value.encode()
    return content + (b"\0" if vr in ("OB", "UI") else b" ") * (len(content) & 1)


def _item(elements: bytes) -> bytes:
    return _ITEM + _LENGTH_32(len(elements)) + elements
