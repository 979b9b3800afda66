"""Elements in another encoding than the one in which they lie: DICOM JSON (PS3.18 Annex F), Explicit VR Little Endian."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Container, Iterator
from typing import Any

from .decoder import EncodedDataSet, Element, Place
from .elements import element_header, item_header
from .steps import BINARY, SPECIFIC_CHARACTER_SET, values

_INTEGER = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def json_object(data_set: EncodedDataSet, place: Place, character_set: str, without: Container[int] = ()) -> dict[str, Any]:
    """An item as a DICOM JSON object in UTF-8, without the elements of these tags at its top.

    Raises:
        InvalidInventory: it is broken.
    """
    result: dict[str, Any] = {}
    # Innermost last: the elements still to come, where they go, and the character set in force.
    stack: list[tuple[Iterator[Element], dict[str, Any], str]] = [
        (data_set.elements(place), result, data_set.character_set(place, character_set))
    ]
    while stack:
        elements, target, character_set = stack[-1]
        element = next(elements, None)
        if element is None:
            stack.pop()
        elif element[0] == SPECIFIC_CHARACTER_SET or (len(stack) == 1 and element[0] in without):
            continue
        elif element[1] == "SQ":
            items: list[dict[str, Any]] = []
            for item in data_set.items(element):
                items.append({})
                stack.append((data_set.elements(item), items[-1], data_set.character_set(item, character_set)))
            target[f"{element[0]:08X}"] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        else:
            target[f"{element[0]:08X}"] = json_attribute(data_set, element, character_set)
    return result


def json_attribute(data_set: EncodedDataSet, element: Element, character_set: str) -> dict[str, Any]:
    """An element that is no sequence."""
    _, vr, start, stop, _ = element
    if start == stop:
        return {"vr": vr}
    if vr in BINARY:
        return {"vr": vr, "InlineBinary": base64.b64encode(data_set.buffer[start:stop]).decode("ascii")}
    found = values(data_set, element, character_set)
    return {"vr": vr, "Value": [_value(vr, entry) for entry in found]} if found else {"vr": vr}


def _value(vr: str, value: Any) -> Any:
    """One of the values; an empty one among several is null (PS3.18 F.2.5)."""
    if value == "":
        return None
    if vr == "PN":
        return {name: group for name, group in zip(NAME_GROUPS, value.split("=")) if group}
    if vr == "AT":
        return value.upper()
    if vr == "IS" and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def explicit_elements(data_set: EncodedDataSet, place: Place, tags: Container[int] | None = None) -> dict[int, bytes]:
    """The elements of an item, those of these tags if they are given, in Explicit VR Little Endian; text stays as it is.

    For small data sets: calls itself for each level of sequences.
    """
    result: dict[int, bytes] = {}
    for element in data_set.elements(place):
        tag, vr, start, stop, _ = element
        if tags is not None and tag not in tags:
            continue
        if vr == "SQ":
            items = (b"".join(explicit_elements(data_set, item).values()) for item in data_set.items(element))
            content = b"".join(item_header(len(item)) + item for item in items)
        else:
            content = data_set.buffer[start:stop]
        result[tag] = element_header(tag, vr, len(content)) + content
    return result
