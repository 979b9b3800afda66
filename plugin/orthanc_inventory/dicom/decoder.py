"""Data sets in Explicit and Implicit VR Little Endian, read where they lie (PS3.5 7).

Nothing is decoded before it is asked for, and nothing recurses: an element or item is a place in a buffer, and what has
a defined length is jumped over. Values come out as the encoder takes them, see ``records``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from mmap import MADV_DONTNEED, mmap
from struct import Struct
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

from .decoded_values import UnknownCharacterSet, character_sets, decoded_value, kind
from .elements import LONG_FORM
from .usual_elements import DEPTH, usual_elements, usual_item
from .values import FITTING

# Levels of nested sequences; the references of a tree may take up half of them.
MAXIMUM_DEPTH = 64
# Bytes of one value that is decoded, and elements and items that are decoded in one go.
MAXIMUM_VALUE = 16 * 1024 * 1024
MAXIMUM_ELEMENTS = 1_000_000

_SHORT_VRS = {
    vr.encode("ascii"): vr
    for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
}
_LONG_VRS = {vr.encode("ascii"): vr for vr in LONG_FORM}
_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHI").unpack_from
_LENGTH = Struct("<I").unpack_from
_ITEM_HEADER = Struct("<4sI").unpack_from
_ITEM_BYTES, _ITEM_END_BYTES = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0"
# Ends of items and sequences of undefined length: those of one study usually, so that they are not looked for at each level.
_REMEMBERED = 20_000
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SPECIFIC_CHARACTER_SET = 0x00080005
_NO_TAG = 1 << 32  # above all


class InvalidInventory(ValueError):
    """Not a DICOM Inventory, or a broken one. One line: file, byte, what is wrong, clause; never a value of a patient."""

    def __init__(self, file: str, offset: int, problem: str, clause: str) -> None:
        super().__init__(f"{file}, byte {offset}: {problem} ({clause})")
        self.problem = problem
        self.clause = clause


# Where the elements of an item lie: start and end, and whether there are VRs.
Place = tuple[int, int, bool]
# Tag, VR, start and end of the value, and whether there are VRs in the items of a sequence. A sequence of undefined length
# ends where walking its items comes to its delimiter; its end here is that of what is around it, as a negative number.
Element = tuple[int, str, int, int, bool]


@lru_cache(maxsize=4096)
def _vr(tag: int) -> str:
    """The VR of the data dictionary (PS3.6), the first where there is a choice; LO of a private creator (PS3.5 7.8.1)."""
    try:
        return dictionary_VR(tag).split(" ")[0]
    except KeyError:
        return "LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"


@lru_cache(maxsize=4096)
def _kinds(tag: int) -> frozenset[str]:
    """The kinds of value that the attribute may have; none if the data dictionary does not know it."""
    try:
        return frozenset(map(kind, dictionary_VR(tag).split(" or ")))
    except KeyError:
        return frozenset()


@lru_cache(maxsize=4096)
def _keyword(tag: int) -> str:
    return keyword_for_tag(tag) or f"{tag:08x}"


class EncodedDataSet:
    """A data set in ``buffer``; ``name`` is that of the file, for messages."""

    __slots__ = ("_ends", "buffer", "name")

    def __init__(self, buffer: bytes | mmap, name: str) -> None:
        self.buffer = buffer
        self.name = name
        self._ends: dict[int, int] = {}

    def invalid(self, offset: int, problem: str, clause: str) -> InvalidInventory:
        return InvalidInventory(self.name, offset, problem, clause)

    def release(self) -> None:
        """Gives back the memory in which a file is mapped: the pages stay with the system, which may need the memory."""
        if isinstance(self.buffer, mmap):
            self.buffer.madvise(MADV_DONTNEED)

    def elements(self, place: Place) -> Iterator[Element]:
        """The elements of a data set or item, ascending.

        Where a sequence of undefined length ends is looked for when the next element is asked for, so not at all if its
        items have been walked by then.

        Raises:
            InvalidInventory: from this generator and all others here, when they come to what is broken.
        """
        position, stop, explicit = place
        previous = -1
        while position < stop:
            tag, vr, start, length, inner = self._header(position, stop, explicit)
            if tag <= previous:
                raise self.invalid(position, f"element {tag:08x} is out of order", "PS3.5 7.1")
            previous = tag
            position = start + length
            if length == _UNDEFINED:
                yield tag, vr, start, -stop, inner
                position = self._end(start, stop, inner, False) + 8
            else:
                yield tag, vr, start, position, inner

    def pick(self, place: Place, tags: Sequence[int]) -> dict[int, Element]:
        """Those of the elements that are there, of ascending ``tags``; what lies behind the last is not looked at.

        The same walk as that of ``elements``, with the usual case apart: this is where reading spends its time.
        """
        position, stop, explicit = place
        buffer = self.buffer
        found: dict[int, Element] = {}
        wanted = iter(tags)
        next_wanted = next(wanted)
        previous = -1
        usable = len(buffer) - 8
        while position < stop:
            if position <= usable:
                if explicit:
                    group, number, code, length = _EXPLICIT(buffer, position)
                    usual = code in _SHORT_VRS
                else:
                    group, number, length = _IMPLICIT(buffer, position)
                    usual = True
                tag, end = group << 16 | number, position + 8 + length
                if usual and previous < tag < next_wanted and end <= stop and not length & 1:
                    previous, position = tag, end
                    continue
            tag, vr, start, length, inner = self._header(position, stop, explicit)
            if tag <= previous:
                raise self.invalid(position, f"element {tag:08x} is out of order", "PS3.5 7.1")
            previous = tag
            position = start + length
            while next_wanted < tag:
                next_wanted = next(wanted, _NO_TAG)
            if tag == next_wanted:
                found[tag] = tag, vr, start, -stop if length == _UNDEFINED else position, inner
                next_wanted = next(wanted, _NO_TAG)
            if next_wanted == _NO_TAG:
                break
            if length == _UNDEFINED:
                position = self._end(start, stop, inner, False) + 8
        return found

    def items(self, sequence: Element | None) -> Iterator[Place]:
        """The items of a sequence; none if there is no such element."""
        if sequence is None:
            return
        tag, vr, position, stop, explicit = sequence
        if vr != "SQ":
            raise self.invalid(position, f"element {tag:08x} is not a sequence", "PS3.6 6")
        buffer = self.buffer
        content, undefined, stop = position, stop < 0, abs(stop)
        while undefined or position < stop:
            start = position + 8
            if start <= stop:  # the usual cases first, for there are many
                item, length = _ITEM_HEADER(buffer, position)
                end = start + length
                if item == _ITEM_BYTES:
                    if length == _UNDEFINED:
                        end = self._ends.get(start) or self._end(start, stop, explicit, True)
                        yield start, end, explicit
                        position = end + 8
                        continue
                    if end <= stop and not length & 1:
                        yield start, end, explicit
                        position = end
                        continue
            tag, _ = self._item_header(position, stop)
            if tag == _SEQUENCE_END and undefined:
                self._remember(content, position)
                break
            problem = "an item ends that has not begun" if tag == _ITEM_END else "a delimiter stands where an item should begin"
            raise self.invalid(position, problem, "PS3.5 7.5")

    def find(self, place: Place, tag: int) -> Element | None:
        """The element with this tag; what lies behind it is not looked at."""
        return self.pick(place, (tag,)).get(tag)

    def uid(self, element: Element | None, tag: int, place: Place) -> str:
        """The value of an element that must be there and hold one UID."""
        if element is None:
            raise self.invalid(place[0], f"element {tag:08x} is missing", "PS3.3 C.38")
        uid = self.buffer[element[2] : element[3]].rstrip(b"\0 ").decode("latin-1")
        if not FITTING["UI"].fullmatch(uid):
            raise self.invalid(element[2], f"the value of {tag:08x} is no UID", "PS3.5 9.1")
        return uid

    def value(self, element: Element | None, character_set: str = "") -> Any:
        """The value of an element that is no sequence; empty text if there is none."""
        if element is None:
            return ""
        tag, vr, start, stop, _ = element
        self._check_kind(element)
        if vr == "SQ":
            raise self.invalid(start, f"element {tag:08x} is a sequence", "PS3.6 6")
        if stop - start > MAXIMUM_VALUE:
            raise self.invalid(start, f"the value of {tag:08x} is longer than {MAXIMUM_VALUE} bytes", "limit of this reader")
        try:
            return decoded_value(vr, self.buffer[start:stop], character_set)
        except UnknownCharacterSet as error:
            raise self.invalid(start, str(error), "PS3.3 C.12.1.1.2") from None
        except ValueError:
            raise self.invalid(start, f"the value of {tag:08x} does not fit its VR {vr}", "PS3.5 6.2") from None

    def character_set(self, place: Place, inherited: str) -> str:
        """The Specific Character Set in force in an item: its own, or what is in force around it."""
        return self.own_character_set(self.find(place, _SPECIFIC_CHARACTER_SET), inherited)

    def decode(self, place: Place, character_set: str, without: Container[int] = ()) -> dict[str, Any]:
        """All attributes of an item by keyword (by "ggggeeee" where the dictionary has none) but for the tags ``without``."""
        result: dict[str, Any] = {}
        # Innermost last: what is being walked, where it goes, and the character set in force.
        stack: list[tuple[Iterator[Any], Any, str]] = [(self.elements(place), result, character_set)]
        count = 0
        while stack:
            walk, target, character_set = stack[-1]
            entry = next(walk, None)
            count += 1
            if entry is None:
                stack.pop()
            elif count > MAXIMUM_ELEMENTS or len(stack) > 2 * MAXIMUM_DEPTH:
                raise self.invalid(place[0], "too many elements, or too deep, to be decoded", "limit of this reader")
            elif isinstance(target, list):
                attributes: dict[str, Any] = {}
                target.append(attributes)
                stack.append((self.elements(entry), attributes, character_set))
            elif entry[0] in without and len(stack) == 1:
                continue
            elif entry[1] == "SQ":
                self._check_kind(entry)
                items: list[dict[str, Any]] = []
                target[_keyword(entry[0])] = items
                stack.append((self.items(entry), items, character_set))
            else:
                target[_keyword(entry[0])] = self.value(entry, character_set)
                if entry[0] == _SPECIFIC_CHARACTER_SET:
                    stack[-1] = (walk, target, self.own_character_set(entry, character_set))
        return result

    def _check_kind(self, element: Element) -> None:
        """Text must be text, whatever VR a file claims: that is what the callers of a value rely on."""
        tag, vr, start, *_ = element
        kinds = _kinds(tag)
        if kinds and kind(vr) not in kinds:
            raise self.invalid(start, f"element {tag:08x} cannot have the VR {vr}", "PS3.6 6")

    def own_character_set(self, element: Element | None, inherited: str) -> str:
        """What the element Specific Character Set of an item says, or what is in force around it if there is none."""
        if element is None:
            return inherited
        terms = str(self.value(element))
        try:
            character_sets(terms)
        except UnknownCharacterSet as error:
            raise self.invalid(element[2], str(error), "PS3.3 C.12.1.1.2") from None
        return terms

    def _header(self, position: int, stop: int, explicit: bool) -> tuple[int, str, int, int, bool]:
        """Tag, VR, where the value begins, its length, and whether there are VRs in it if it is a sequence."""
        value = position + 8
        if value > stop:
            raise self.invalid(position, "the data ends in the header of an element", "PS3.5 7.1")
        group, number, length = _IMPLICIT(self.buffer, position)
        if group == 0xFFFE:
            raise self.invalid(position, "an item or delimiter stands outside a sequence", "PS3.5 7.5")
        if explicit:
            _, _, code, length = _EXPLICIT(self.buffer, position)
            vr = _SHORT_VRS.get(code)
            if vr is None:
                vr = _LONG_VRS.get(code)
                if vr is None:
                    raise self.invalid(position + 4, "unknown VR", "PS3.5 6.2")
                value += 4
                if value > stop:
                    raise self.invalid(position, "the data ends in the header of an element", "PS3.5 7.1.2")
                (length,) = _LENGTH(self.buffer, position + 8)
                if vr == "UN":  # the content is that of Implicit VR (PS3.5 6.2.2)
                    vr = _vr(group << 16 | number)
                    explicit = False
        else:
            vr = _vr(group << 16 | number)
        if length == _UNDEFINED:
            if vr == "UN":
                vr = "SQ"
            if vr != "SQ":
                raise self.invalid(position, "only a sequence can have an undefined length", "PS3.5 7.1.1")
        elif value + length > stop:
            raise self.invalid(position, "an element is longer than what is around it", "PS3.5 7.1.1")
        elif length & 1:
            raise self.invalid(position, "an element has an odd length", "PS3.5 7.1.1")
        return group << 16 | number, vr, value, length, explicit

    def _item_header(self, position: int, stop: int) -> tuple[int, int]:
        """Tag and length of an item, or of a delimiter."""
        if position + 8 > stop:
            raise self.invalid(position, "the data ends in the header of an item", "PS3.5 7.5")
        group, number, length = _IMPLICIT(self.buffer, position)
        tag = group << 16 | number
        if tag == _ITEM:
            if length != _UNDEFINED and (length & 1 or position + 8 + length > stop):
                problem = "an item has an odd length" if length & 1 else "an item is longer than its sequence"
                raise self.invalid(position, problem, "PS3.5 7.5.1")
        elif tag not in (_ITEM_END, _SEQUENCE_END):
            raise self.invalid(position, "a sequence holds something else than items", "PS3.5 7.5")
        elif length:
            raise self.invalid(position, "a delimiter has a length", "PS3.5 7.5.1")
        return tag, length

    def _end(self, position: int, stop: int, explicit: bool, item: bool) -> int:
        """Where the delimiter of the item or sequence of undefined length stands whose content begins here."""
        if position in self._ends:
            return self._ends[position]
        buffer = self.buffer
        # Of each item and sequence that is open, innermost last: where it begins, is it an item, are there VRs in it?
        opened = [(position, item, explicit)]
        while True:
            start, in_item, explicit = opened[-1]
            if len(opened) <= 2 * (MAXIMUM_DEPTH - DEPTH):
                if in_item:
                    if match := usual_elements(explicit)(buffer, position, stop):
                        position = match.end()
                else:
                    next_item = usual_item(explicit)
                    while match := next_item(buffer, position, stop):
                        content, position = position + 8, match.end()
                        self._remember(content, position - 8)
            if in_item and buffer[position : position + 4] != _ITEM_END_BYTES:
                _, _, position, length, inner = self._header(position, stop, explicit)
                if length == _UNDEFINED:
                    opened.append((position, False, inner))
                else:
                    position += length
                continue
            tag, length = self._item_header(position, stop)
            position += 8
            if tag == _ITEM:
                if length != _UNDEFINED:
                    position += length
                    continue
                opened.append((position, True, explicit))
                if len(opened) > 2 * MAXIMUM_DEPTH:
                    raise self.invalid(position, f"sequences are nested deeper than {MAXIMUM_DEPTH}", "limit of this reader")
                continue
            if in_item != (tag == _ITEM_END):
                raise self.invalid(position - 8, "an item ends that has not begun", "PS3.5 7.5.1")
            self._remember(start, position - 8)
            opened.pop()
            if not opened:
                return position - 8

    def _remember(self, content: int, end: int) -> None:
        if len(self._ends) >= _REMEMBERED:
            self._ends.clear()
        self._ends[content] = end
