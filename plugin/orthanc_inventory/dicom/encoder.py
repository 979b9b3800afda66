"""Records as items of sequences, made from the attribute tables by plain bytes.

Sequences and items have defined lengths, so that a reader can jump over what it does not want. Elements ascend at
every level. Values are brought into a legal form on the way, and each one that had to be changed is counted. Many
records are encoded at a time, attribute by attribute: that costs half of encoding them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, groupby, islice, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from .attributes import INSTANCE, SERIES, STUDY
from .elements import LENGTH_32, LONG_FORM, NUMBERS, InvalidRecord, element_header, implicit_header, item_header
from .macros import ANY, Attribute, any_table
from .records import Attributes, InstanceTable, SeriesRecord, SingleItems, Skipped, StudyRecord
from .values import FITTING, legal_value, without_padding

# Headers for lengths below this (bytes) are made beforehand.
_SHORT = 256
_ITEM_HEADERS = [item_header(length) for length in range(4 * _SHORT)]
# These differ from one object to the next: remembering them would only cost.
_DISTINCT = frozenset({"SOPInstanceUID", "FileAccessURI", "FileLengthInContainer", "MAC"})
_REMEMBERED = 1024
# Combinations of keywords in Modified Attributes Sequence for which encoders are kept.
_SHAPES = 64
# The VR of bytes that nobody looks into.
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

# Encodes the values that one attribute has in many records.
Encode = Callable[[Iterable[Any]], Iterable[bytes]]
# Makes the data elements of so many records of the values of their attributes.
Join = Callable[[Iterator[Iterable[Any]], int], Iterable[bytes]]


class _Plan(NamedTuple):
    """For records with the same keywords: these, as they follow each other, how to take their values, and what to do with them."""

    present: list[str]
    values: Callable[[Attributes], tuple[Any, ...]]
    join: Join


class Corrections:
    """How many values were changed, or left out, because their VR cannot hold them."""

    def __init__(self) -> None:
        self.count = 0


class _Remembered(dict[Any, bytes]):
    """Encoded elements by value. Not of what had to be corrected, so that each occurrence is counted, nor of long text."""

    def __init__(self, encode: Encode, corrections: Corrections) -> None:
        super().__init__()
        self._encode = encode
        self._corrections = corrections

    def __missing__(self, value: Any) -> bytes:
        before = self._corrections.count
        (element,) = self._encode((value,))
        if self._corrections.count == before and len(element) < _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = element
        return element


class ItemEncoder:
    """Encodes records as items of one sequence, from its table; ``explicit`` tells whether with VRs.

    Records of one origin name the same keywords again and again, so the order of the work is planned once for each
    combination of keywords.
    """

    def __init__(
        self, table: Iterable[Attribute], corrections: Corrections, identifying: bool = True, explicit: bool = True
    ) -> None:
        self._rows = {row.keyword: row for row in sorted(table, key=lambda row: row.tag)}
        self._corrections = corrections
        self._identifying = identifying
        self._explicit = explicit
        self._header = element_header if explicit else implicit_header
        self._required = [keyword for keyword, row in self._rows.items() if row.type in ("1", "2")]
        self._encoders: dict[str, Encode] = {}
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def items(self, records: Iterable[Attributes]) -> list[bytes]:
        """One item for each record, in the same order.

        Raises:
            InvalidRecord: in one of them a Type 1 attribute has no legal value.
        """
        items: list[bytes] = []
        for shape, group in groupby(records, tuple):
            plan = self._plans.get(shape) or self._plan(shape)
            same = list(group)
            items += _items(plan.join(zip(*map(plan.values, same)), len(same)))
        return items

    def items_of(self, columns: Mapping[str, Sequence[Any]], number: int) -> list[bytes]:
        """The same for records that are given attribute by attribute."""
        shape = tuple(columns)
        plan = self._plans.get(shape) or self._plan(shape)
        return _items(plan.join((columns[keyword] for keyword in plan.present), number))

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        """How the data elements, in ascending order, of records with these keywords are made."""
        present = [keyword for keyword in self._rows if keyword in shape]
        # One keyword gives a bare value and none is an error, where a tuple is wanted.
        values = itemgetter(*present) if len(present) > 1 else lambda record: tuple(record[keyword] for keyword in present)
        columns: list[Encode | Iterable[bytes]] = []
        for keyword in self._rows:
            if keyword not in shape and keyword not in self._required:
                continue
            encode = self.column(keyword)
            columns.append(encode if keyword in shape else repeat(*encode(("",))))

        def join(given: Iterator[Iterable[Any]], number: int) -> Iterable[bytes]:
            # The first column makes as many rows as there are records, be the others constant or none.
            elements = (column if isinstance(column, repeat) else column(next(given)) for column in columns)  # type: ignore[operator]
            return map(b"".join, zip(repeat(b"", number), *elements))

        if len(self._plans) >= _REMEMBERED:
            self._plans.clear()
        self._plans[shape] = plan = _Plan(present, values, join)
        return plan

    def column(self, keyword: str) -> Encode:
        """Encodes the data elements of one attribute of the table, without those of Type 1C and 3 that have no value.

        Made when it is first wanted: few of the sequences, which hold sequences again, are ever seen.
        """
        if keyword not in self._encoders:
            self._encoders[keyword] = self._encoder(self._rows[keyword])
        return self._encoders[keyword]

    def _encoder(self, row: Attribute) -> Encode:
        if row.identifying and not self._identifying:
            withheld = self._header(row.tag, row.vr, 0) if row.type in ("1", "2") else b""
            return lambda values: [withheld for _ in values]
        if row.vr == "SQ":
            return self._sequence(row)
        if row.vr in NUMBERS or row.vr == "AT":
            encode = self._number(row)
        elif row.vr in _BYTES:
            encode = self._bytes(row)
        else:
            encode = self._text(row)
        if row.keyword in _DISTINCT:
            return encode
        remembered = _Remembered(encode, self._corrections).__getitem__
        return lambda values: map(remembered, values)

    def _empty(self, row: Attribute) -> bytes:
        """What is written for a value that is missing or cannot be encoded."""
        if row.type == "1":
            raise InvalidRecord(f"{row.keyword} has no value that its VR ({row.vr}) allows")
        return b"" if row.type in ("1C", "3") else self._header(row.tag, row.vr, 0)

    def _text(self, row: Attribute) -> Encode:
        heads = _short_headers(row.tag, row.vr, self._explicit)
        longest = 0xFFFFFFFE if row.vr in LONG_FORM or not self._explicit else 0xFFFE
        padding = b"\0" if row.vr == "UI" else b" "
        fits = FITTING[row.vr].fullmatch if row.vr in FITTING else _nothing_fits

        def encode(values: Iterable[str]) -> list[bytes]:
            elements = []
            for value in values:
                content = value.encode() if fits(value) else self._corrected(row, value)
                length = len(content)
                if length & 1:
                    content += padding
                    length += 1
                if 0 < length < _SHORT:
                    elements.append(heads[length] + content)
                elif 0 < length <= longest:
                    elements.append(self._header(row.tag, row.vr, length) + content)
                else:
                    self._corrections.count += length > longest
                    elements.append(self._empty(row))
            return elements

        return encode

    def _corrected(self, row: Attribute, value: str) -> bytes:
        given = without_padding(value)
        legal = legal_value(row.vr, given, row.multiple) or row.default
        self._corrections.count += legal != given
        return legal.encode()

    def _number(self, row: Attribute) -> Encode:
        kind = NUMBERS["UL" if row.vr == "AT" else row.vr]
        pack = kind.pack
        number = _NUMBER_FROM_TEXT.get(row.vr, int)
        head = self._header(row.tag, row.vr, kind.size)

        def several(value: int | str) -> bytes:
            content = b"".join([pack(number(part)) for part in str(value).split("\\")])
            return self._header(row.tag, row.vr, len(content)) + content

        def encode(values: Iterable[int | str]) -> list[bytes]:
            elements = []
            for value in values:
                try:
                    elements.append(several(value) if row.multiple else head + pack(number(value)))
                except Exception:  # struct.error, ValueError, OverflowError: the number does not fit
                    self._corrections.count += value != ""
                    elements.append(self._empty(row))
            return elements

        return encode

    def _bytes(self, row: Attribute) -> Encode:
        heads = _short_headers(row.tag, row.vr, self._explicit)

        def encode(values: Iterable[str]) -> list[bytes]:
            elements = []
            for value in values:
                try:
                    content = bytes.fromhex(value)
                except ValueError:
                    self._corrections.count += 1
                    content = b""
                if not content:
                    elements.append(self._empty(row))
                    continue
                if len(content) & 1:
                    content += b"\0"
                length = len(content)
                elements.append((heads[length] if length < _SHORT else self._header(row.tag, row.vr, length)) + content)
            return elements

        return encode

    def _sequence(self, row: Attribute) -> Encode:
        head = self._header(row.tag, row.vr, 0)[:-4]
        if not row.items:
            return lambda values: [head + LENGTH_32(len(value)) + value for value in values]
        nested = None if row.items is ANY else self._nested(row.items)
        items = nested.items if nested else self._any_items()

        def encode(values: Iterable[Sequence[Attributes]]) -> list[bytes]:
            if nested and isinstance(values, SingleItems):
                corrected = self._corrections.count
                try:
                    return [head + LENGTH_32(len(item)) + item for item in nested.items_of(values.columns, len(values))]
                except InvalidRecord:  # one by one, to leave out no more than is wrong
                    self._corrections.count = corrected
            values = list(values)
            encoded = iter(self._possible(items, list(chain.from_iterable(values))))
            contents = [b"".join(islice(encoded, len(value))) for value in values]
            return [head + LENGTH_32(len(content)) + content if content else self._empty(row) for content in contents]

        return encode

    def _nested(self, table: Iterable[Attribute]) -> "ItemEncoder":
        return ItemEncoder(table, self._corrections, self._identifying, self._explicit)

    def _possible(self, items: Callable[[list[Attributes]], list[bytes]], records: list[Attributes]) -> list[bytes]:
        """The encoded items; an item that lacks what is demanded of it is left out, as one value of its record."""
        corrected = self._corrections.count
        try:
            return items(records)
        except InvalidRecord:  # one by one, to leave out no more than that
            self._corrections.count = corrected
        encoded: list[bytes] = []
        for record in records:
            try:
                encoded += items([record])
            except InvalidRecord:
                self._corrections.count += 1
                encoded.append(b"")
        return encoded

    def _any_items(self) -> Callable[[list[Attributes]], list[bytes]]:
        """For items whose table is what the data dictionary says of the keywords in them."""
        encoders: dict[tuple[str, ...], ItemEncoder] = {}

        def items(records: list[Attributes]) -> list[bytes]:
            encoded: list[bytes] = []
            for record in records:
                shape = tuple(record)
                if shape not in encoders:
                    if len(encoders) >= _SHAPES:
                        encoders.clear()
                    encoders[shape] = self._nested(any_table(shape))
                encoded += encoders[shape].items([record])
            return encoded

        return items


def _items(contents: Iterable[bytes]) -> list[bytes]:
    return [
        (_ITEM_HEADERS[length] if (length := len(elements)) < len(_ITEM_HEADERS) else item_header(length)) + elements
        for elements in contents
    ]


@lru_cache(maxsize=None)
def _short_headers(tag: int, vr: str, explicit: bool) -> list[bytes]:
    """Once for all runs: making them takes longer than encoding many studies."""
    header = element_header if explicit else implicit_header
    return [header(tag, vr, length) for length in range(_SHORT)]


def _tag(value: str) -> int:
    """An attribute tag such as ``(0008,1030)`` as the integer whose little endian bytes are group and element (PS3.5 6.2)."""
    digits = value.strip("() ").replace(",", "")
    if len(digits) != 8:
        raise ValueError
    return int(digits[4:], 16) << 16 | int(digits[:4], 16)


_NUMBER_FROM_TEXT: dict[str, Callable[[Any], Any]] = {"AT": _tag, "FD": float, "FL": float}


def _nothing_fits(value: str) -> None:
    """For a VR whose values are always looked at closely."""


class EncodedStudy(NamedTuple):
    """An item of the Inventoried Studies Sequence (0008,0423), and how it came to be.

    ``series`` and ``instances`` are the numbers of items in it, ``corrected`` that of the values that were changed,
    ``unread`` that of the headers that could not be read; ``skipped`` could not be records.
    """

    item: bytes
    series: int
    instances: int
    corrected: int
    unread: int
    skipped: list[Skipped]


class StudyEncoder:
    """Encodes study records; ``identifying=False`` leaves out what identifies patients."""

    def __init__(self, level: str, identifying: bool = True) -> None:
        self._corrections = Corrections()
        self._level = level
        self._study = ItemEncoder(STUDY, self._corrections, identifying)
        self._series = ItemEncoder(SERIES, self._corrections, identifying)
        self._instance = ItemEncoder(INSTANCE, self._corrections, identifying)

    def encode(self, study: StudyRecord) -> EncodedStudy:
        """Raises: InvalidRecord, when the study itself cannot be a record."""
        corrected = self._corrections.count
        skipped: list[Skipped] = []
        attributes = study.attributes
        series: list[bytes] = []
        instances, unread = 0, study.unread
        if self._level != "STUDY":
            for entry in study.series:
                try:
                    item, count = self._series_item(entry, skipped)
                except InvalidRecord as error:
                    skipped.append(Skipped(entry.identifier, "Series", str(error)))
                    continue
                series.append(item)
                instances += count
                unread += entry.unread
            attributes = {**attributes, "InventoriedSeriesSequence": b"".join(series)}
        (item,) = self._study.items((attributes,))
        return EncodedStudy(item, len(series), instances, self._corrections.count - corrected, unread, skipped)

    def _series_item(self, series: SeriesRecord, skipped: list[Skipped]) -> tuple[bytes, int]:
        attributes = series.attributes
        instances: list[bytes] = []
        if self._level == "INSTANCE":
            instances = self._instance_items(series, skipped)
            attributes = {**attributes, "InventoriedInstancesSequence": b"".join(instances)}
        (item,) = self._series.items((attributes,))
        return item, len(instances)

    def _instance_items(self, series: SeriesRecord, skipped: list[Skipped]) -> list[bytes]:
        corrected = self._corrections.count
        instances = series.instances
        try:
            if isinstance(instances, InstanceTable) and instances.columns:
                return self._instance.items_of(instances.columns, len(instances))
            return self._instance.items([instance.attributes for instance in instances])
        except InvalidRecord:  # one by one, to tell which
            self._corrections.count = corrected
        items: list[bytes] = []
        for instance in series.instances:
            try:
                items += self._instance.items((instance.attributes,))
            except InvalidRecord as error:
                skipped.append(Skipped(instance.identifier, "Instance", str(error)))
        return items
