"""A data set of any size and depth, step by step: ``json_model`` and ``native_model`` make text of it while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

from .decoder import EncodedDataSet, Element, Place

SPECIFIC_CHARACTER_SET = 0x00080005
BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})
# Several of these come as text (see ``decoded_values``).
_NUMBERS: dict[str, Any] = {**dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), int), "FL": float, "FD": float}
_NOTHING: Element = (0, "", 0, 0, True)
# What has been walked past is given back after this many bytes.
_MOST_READ = 16 * 1024 * 1024


class Kind(Enum):
    ELEMENT = auto()
    SEQUENCE = auto()
    ITEM = auto()
    ITEM_END = auto()
    SEQUENCE_END = auto()


class Step(NamedTuple):
    """``element`` is that of ELEMENT and SEQUENCE; its text is in ``character_set``."""

    kind: Kind
    element: Element = _NOTHING
    character_set: str = ""


_ITEM, _ITEM_END, _SEQUENCE_END = Step(Kind.ITEM), Step(Kind.ITEM_END), Step(Kind.SEQUENCE_END)


def steps(data_set: EncodedDataSet, place: Place) -> Iterator[Step]:
    """Each element, sequence and item, without group lengths (gggg,0000) and the Specific Character Set of items.

    Raises:
        InvalidInventory: it is broken.
    """
    released = place[0]
    character_set = data_set.character_set(place, "")
    # Innermost last: elements or items that are still to come, and the character set in force; elements stand at even places.
    stack: list[tuple[Iterator[Any], str]] = [(data_set.elements(place), character_set)]
    while stack:
        entries, character_set = stack[-1]
        entry = next(entries, None)
        in_items = len(stack) % 2 == 0
        if entry is None:
            stack.pop()
            if stack:
                yield _SEQUENCE_END if in_items else _ITEM_END
        elif in_items:
            yield _ITEM
            stack.append((data_set.elements(entry), data_set.character_set(entry, character_set)))
        elif entry[1] == "SQ":
            yield Step(Kind.SEQUENCE, entry, character_set)
            stack.append((data_set.items(entry), character_set))
        elif entry[0] & 0xFFFF and (entry[0] != SPECIFIC_CHARACTER_SET or len(stack) == 1):
            yield Step(Kind.ELEMENT, entry, character_set)
            if entry[3] - released > _MOST_READ:
                data_set.release()
                released = entry[3]


def values(data_set: EncodedDataSet, element: Element, character_set: str) -> list[Any]:
    """The values of an element that is neither binary nor a sequence; empty text for an empty one among several."""
    vr = element[1]
    value = data_set.value(element, character_set)
    if value == "":
        return []
    if not isinstance(value, str) or vr in _ONE_VALUE:
        return [value]
    read = _NUMBERS.get(vr, str)
    return [read(entry) for entry in value.split("\\")]
