"""How items lie in a file: of many that are alike one is walked through, and the others are read at one stroke.

An item of the same length, with the same bytes wherever the first one has a header of an element, has the same elements in the
same places. So the items of a series need no more than one call and one comparison each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from struct import Struct

from ..dicom.decoder import Element, EncodedDataSet, Place

_SPECIFIC_CHARACTER_SET = 0x00080005
_UNDEFINED = b"\xff\xff\xff\xff"
# Layouts that are remembered, in all and of one length: more than there are where items are alike.
_REMEMBERED, _OF_ONE_LENGTH = 1000, 8


class Layout:
    """Where certain elements lie in an item; ``elements`` tells of each its number among those asked for, and its VR."""

    __slots__ = ("_expected", "_headers", "_unpack", "_values", "elements")

    def __init__(self, data_set: EncodedDataSet, place: Place, found: Sequence[tuple[Element, int | None]]) -> None:
        """``found`` covers all values of the item, with the numbers of those that are asked for."""
        start, stop, _ = place
        code, position = "<", start
        headers: list[int] = []
        values: list[tuple[int, str, int]] = []
        for (_, vr, value_start, value_stop, _), number in found:
            headers.append(len(headers) + len(values))
            if number is not None:
                values.append((number, vr, len(headers) + len(values)))
            code += f"{value_start - position}s{value_stop - value_start}{'x' if number is None else 's'}"
            position = value_stop
        headers.append(len(headers) + len(values))
        values.sort()
        self.elements = tuple((number, vr) for number, vr, _ in values)
        self._unpack = Struct(f"{code}{stop - position}s").unpack_from
        self._headers, self._values = _getter(headers), _getter([field for *_, field in values])
        self._expected = self._headers(self._unpack(data_set.buffer, start))

    def read(self, data_set: EncodedDataSet, place: Place) -> tuple[bytes, ...] | None:
        """The values of an item of this length, encoded, in the order of ``elements``; None if it is laid out otherwise."""
        fields = self._unpack(data_set.buffer, place[0])
        return self._values(fields) if self._headers(fields) == self._expected else None


class Layouts:
    """Reads the elements at ``paths`` from items: each is a tag behind that of the sequence in whose first item it stands.

    Without a sequence that is 0.
    """

    def __init__(self, paths: Iterable[tuple[int, int]]) -> None:
        self._numbers = {path: number for number, path in enumerate(paths)}
        self._sequences = {sequence for sequence, _ in self._numbers if sequence}
        self._known: dict[tuple[int, bool], list[Layout]] = {}
        self._number = 0

    def read(self, data_set: EncodedDataSet, place: Place) -> tuple[Layout, tuple[bytes, ...]] | None:
        """The layout of the item, and its values as they are encoded.

        None where the item must be decoded as a whole: it has a character set of its own, or lengths that are not defined.

        Raises:
            InvalidInventory: it is broken, or an element cannot have the value that it has.
        """
        start, stop, explicit = place
        alike = self._known.setdefault((stop - start, explicit), [])
        for layout in alike:
            values = layout.read(data_set, place)
            if values is not None:
                return layout, values
        found = self._walk(data_set, place)
        if found is None:
            return None
        layout = Layout(data_set, place, found)
        if len(alike) == _OF_ONE_LENGTH:
            alike.clear()
        alike.append(layout)
        self._number += 1
        if self._number % _REMEMBERED == 0:
            self._known.clear()
        return layout, layout.read(data_set, place) or ()

    def _walk(self, data_set: EncodedDataSet, place: Place) -> list[tuple[Element, int | None]] | None:
        found: list[tuple[Element, int | None]] = []
        for element in data_set.elements(place):
            tag, vr, _, stop, explicit = element
            if not _is_plain(data_set, element):
                return None
            first = next(data_set.items(element), None) if tag in self._sequences else None
            if first is None:
                found.append((element, self._numbers.get((0, tag))))
                continue
            if _is_undefined(data_set, first[0]):
                return None
            for inner in data_set.elements(first):
                if not _is_plain(data_set, inner):
                    return None
                found.append((inner, self._numbers.get((tag, inner[0]))))
            # The other items: no more is known of them than of a value that is not asked for.
            found.append(((tag, vr, first[1], stop, explicit), None))
        for element, number in found:
            if number is not None:
                data_set.value(element)
        return found


def _is_plain(data_set: EncodedDataSet, element: Element) -> bool:
    tag, vr, start, *_ = element
    return tag != _SPECIFIC_CHARACTER_SET and not (vr == "SQ" and _is_undefined(data_set, start))


def _is_undefined(data_set: EncodedDataSet, start: int) -> bool:
    """Whether the sequence or item whose content begins here has no length."""
    return data_set.buffer[start - 4 : start] == _UNDEFINED


def _getter(places: Sequence[int]) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
    """These fields as a tuple, however many they are."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda fields: tuple(fields[place] for place in places)
