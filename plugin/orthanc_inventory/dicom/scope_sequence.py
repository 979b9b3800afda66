"""The Scope of Inventory Sequence (0008,0400): the standard's own form of a scope (PS3.3 Table C.38.2-1).

An item is a mapping of keywords to text and, for sequences, lists of items, as ``encode_attributes`` takes it. In a message
it is a pydicom data set, in JSON the DICOM JSON Model (PS3.18 F); both are brought into this form first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from .character_sets import decode, is_supported
from .keys import BINARY, SINGLE, InvalidScope, Key, Kind, UnmatchableKey, UnsupportedScope, find_row, name, parse_key

Item = Mapping[str, Any]
# What the sequence tells besides its keys.
_CONDITIONS = ("ExtendedMatchingMechanisms", "SpecificCharacterSet", "TimezoneOffsetFromUTC", "QueryRetrieveLevel")
_TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DEEPEST = 16
_WHERE = "Scope.ScopeOfInventorySequence"


class Parts(NamedTuple):
    """What a scope is made of, in either form. ``level`` is the Query/Retrieve Level, empty where there is none."""

    keys: list[Key]
    mechanisms: frozenset[str]
    level: str
    timezone: str


def write_item(parts: Parts) -> dict[str, Any]:
    """The only item of the sequence; empty when nothing is asked for."""
    item: dict[str, Any] = {}
    if parts.mechanisms:
        item["ExtendedMatchingMechanisms"] = "\\".join(sorted(parts.mechanisms))
    if not "".join(value for key in parts.keys for value in key.values).isascii():
        item["SpecificCharacterSet"] = "ISO_IR 192"
    if parts.timezone:
        item["TimezoneOffsetFromUTC"] = parts.timezone
    if parts.level:
        item["QueryRetrieveLevel"] = parts.level
    kinds = {kind: [key for key in parts.keys if key.kind is kind] for kind in Kind}
    if kinds[Kind.RANGE]:
        item[Kind.RANGE] = [_nested((key, key.values[end]) for key in kinds[Kind.RANGE]) for end in (0, 1)]
    if kinds[Kind.UIDS]:
        item[Kind.UIDS] = [_nested([(key, uid)]) for key in kinds[Kind.UIDS] for uid in key.values]
    if kinds[Kind.EMPTY]:
        item[Kind.EMPTY] = [_nested((key, "") for key in kinds[Kind.EMPTY])]
    if kinds[Kind.GENERAL]:
        item[Kind.GENERAL] = [_nested((key, key.text) for key in kinds[Kind.GENERAL])]
    return item


def _nested(values: Iterable[tuple[Key, str]]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for key, value in values:
        place = item
        for keyword in key.path[:-1]:
            place = place.setdefault(keyword, [{}])[0]
        place[key.path[-1]] = int(value) if key.row.vr in BINARY and value else value
    return item


def read_items(items: Sequence[Item], unmatchable: Callable[[str, InvalidScope], None]) -> Parts:
    """The opposite of ``write_item``; no item and an empty one are every study.

    Args:
        unmatchable: is told the first keyword of each key that cannot be matched, and why; such a key is left out unless
            it raises.

    Raises:
        InvalidScope, UnsupportedScope
    """
    if len(items) > 1:
        raise InvalidScope(f"{_WHERE} must have at most one item")
    item = items[0] if items else {}
    for keyword in item:
        if keyword not in (*_CONDITIONS, *Kind):
            unmatchable(keyword, UnmatchableKey(f"{_WHERE} has an attribute that is none of its own: it must stand in "
                                                "one of the four matching sequences"))
    written = {kind: _sequence(item, kind) for kind in Kind}
    if item.get(Kind.RANGE) and len(written[Kind.RANGE]) != 2:
        raise InvalidScope(f"{_WHERE}.{Kind.RANGE} must have two items, of first and of last values")
    for kind in (Kind.EMPTY, Kind.GENERAL):
        if len(written[kind]) > 1:
            raise InvalidScope(f"{_WHERE}.{kind} must have at most one item")
    values: dict[tuple[str, ...], tuple[Kind, list[str]]] = {}
    for kind in Kind:
        for end, matching in enumerate(written[kind]):
            for path, value in _leaves(matching, ()):
                known = values.setdefault(path, (kind, ["", ""] if kind is Kind.RANGE else []))
                if known[0] is not kind:
                    raise InvalidScope(f"{name(path)} has two kinds of matching: {known[0]} and {kind}")
                if kind is Kind.RANGE:
                    known[1][end] = value
                else:
                    known[1].append(value)
    keys = []
    for path, (kind, several) in values.items():
        try:
            find_row(path)
            keys.append(_key(path, kind, several))
        except UnmatchableKey as error:
            unmatchable(path[0], error)
    mechanisms = frozenset(filter(None, str(item.get(_CONDITIONS[0], "")).split("\\")))
    return Parts(keys, mechanisms, str(item.get("QueryRetrieveLevel", "")), str(item.get("TimezoneOffsetFromUTC", "")))


def _sequence(item: Item, kind: Kind) -> list[Item]:
    items = item.get(kind, [])
    if not isinstance(items, list):
        raise InvalidScope(f"{_WHERE}.{kind} must be a sequence")
    return items


def _leaves(item: Item, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for keyword, value in item.items():
        path = (*above, keyword)
        if isinstance(value, list) and value:
            if len(value) > 1:
                raise InvalidScope(f"{name(path)} must have one item (PS3.4 C.2.2.2.6)")
            if not value[0]:
                raise InvalidScope(f"{name(path)} must have keys in its item")
            yield from _leaves(value[0], path)
        else:
            yield path, "" if isinstance(value, list) else str(value)


def _key(path: tuple[str, ...], kind: Kind, values: list[str]) -> Key:
    """The key, provided that its value is one for the sequence in which it stands."""
    texts = {Kind.RANGE: "-".join(values), Kind.EMPTY: '""', Kind.UIDS: "\\".join(values), Kind.GENERAL: values[0]}
    if kind is Kind.EMPTY and values != [""]:
        raise InvalidScope(f"{name(path)} must have no value, as it stands in {kind}")
    key = parse_key(path, texts[kind])
    allowed = (Kind.UIDS, Kind.GENERAL) if kind is Kind.UIDS and key.row.vr == "UI" else (kind,)
    if key.kind not in allowed or (kind is Kind.RANGE and key.values != tuple(values)):
        raise InvalidScope(f"{name(path)} must have a value that can stand in {kind}; this is one for {key.kind}")
    return key


# The DICOM JSON Model


def items_from_json(value: Any) -> list[Item]:
    """Items from a sequence in the DICOM JSON Model: the element with ``vr`` and ``Value``, or its ``Value`` alone.

    Raises:
        InvalidScope
    """
    return _json_sequence(value, (), 0)


def _json_sequence(value: Any, path: tuple[str, ...], depth: int) -> list[Item]:
    if isinstance(value, dict) and value.get("vr", "SQ") == "SQ":
        value = value.get("Value", [])
    if depth > _DEEPEST or not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _not_json(path)
    return [dict(_json_element(tag, element, path, depth) for tag, element in item.items()) for item in value]


def _not_json(path: tuple[str, ...]) -> InvalidScope:
    return InvalidScope(f"{'.'.join([_WHERE, *path])} must be in the DICOM JSON Model: tags of eight hexadecimal digits "
                        'with objects of "vr" and "Value"')


def _json_element(tag: str, element: Any, path: tuple[str, ...], depth: int) -> tuple[str, Any]:
    if not re.fullmatch("[0-9A-Fa-f]{8}", tag) or not isinstance(element, dict) or set(element) - {"vr", "Value"}:
        raise _not_json(path)
    keyword = keyword_for_tag(int(tag, 16)) or tag.upper()
    here = (*path, keyword)
    expected = dictionary_VR(int(tag, 16)).split(" ")[0] if keyword != tag.upper() else str(element.get("vr", "UN"))
    if element.get("vr", expected) != expected:
        raise InvalidScope(f"{'.'.join([_WHERE, *here])} must have the vr {expected}")
    if expected == "SQ":
        return keyword, _json_sequence(element, here, depth + 1)
    values = element.get("Value", [])
    if not isinstance(values, list):
        raise _not_json(here)
    return keyword, "\\".join(_json_text(value, expected, here) for value in values)


def _json_text(value: Any, vr: str, path: tuple[str, ...]) -> str:
    if value is None:
        return ""
    if vr == "PN" and isinstance(value, dict):
        groups = [value.get(group, "") for group in _GROUPS]
        if all(isinstance(group, str) for group in groups):
            return "=".join(groups).rstrip("=")
    elif isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return str(value)
    raise _not_json(path)


def items_to_json(items: Sequence[Item]) -> dict[str, Any]:
    """The whole element in the DICOM JSON Model."""
    return {"vr": "SQ", "Value": [dict(map(_element_to_json, item.items())) for item in items]} if items else {"vr": "SQ"}


def _element_to_json(element: tuple[str, Any]) -> tuple[str, dict[str, Any]]:
    keyword, value = element
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = dictionary_VR(tag).split(" ")[0]
    if vr == "SQ":
        return f"{tag:08X}", items_to_json(value)
    if value == "":
        return f"{tag:08X}", {"vr": vr}
    if vr in BINARY:
        return f"{tag:08X}", {"vr": vr, "Value": [value]}
    values: list[Any] = value.split("\\") if vr not in SINGLE else [value]
    if vr == "PN":
        values = [dict(zip(_GROUPS, name.split("="))) for name in values]
    return f"{tag:08X}", {"vr": vr, "Value": values}


# Data sets of messages


def items_from_data_set(sequence: Sequence[Dataset], character_set: Sequence[str] = ()) -> list[Item]:
    """Items from a sequence as pydicom reads it, with ``character_set`` of the data set that holds it.

    Raises:
        UnsupportedScope: a character set is not known.
        InvalidScope: a value is not text in its character set.
    """
    return [_item_from_data_set(item, character_set, 0) for item in sequence]


def _item_from_data_set(data_set: Dataset, inherited: Sequence[str], depth: int) -> Item:
    if depth > _DEEPEST:
        raise InvalidScope(f"{_WHERE} is deeper than {_DEEPEST} sequences")
    terms = inherited
    if "SpecificCharacterSet" in data_set:
        terms = _values(data_set["SpecificCharacterSet"].value)
    if not is_supported(terms):
        raise UnsupportedScope("SpecificCharacterSet must be of the character sets of PS3.3 C.12.1.1.2")
    item: dict[str, Any] = {}
    for tag in data_set.keys():
        keyword = keyword_for_tag(tag) or f"{int(tag):08X}"
        vr = dictionary_VR(tag).split(" ")[0] if keyword_for_tag(tag) else "UN"
        raw = data_set.get_item(tag)
        try:
            if vr == "SQ":
                item[keyword] = [_item_from_data_set(nested, terms, depth + 1) for nested in data_set[tag].value]
            elif vr == "UN":
                item[keyword] = ""
            elif vr in _TEXT and isinstance(raw, RawDataElement):
                item[keyword] = decode(raw.value or b"", terms).rstrip(" \0")
            else:
                item[keyword] = "\\".join(_values(data_set[tag].value))
        except InvalidScope:
            raise
        except UnicodeError:
            raise InvalidScope(f"{name((keyword,))} must be text in its Specific Character Set") from None
        except (ValueError, TypeError, AttributeError, NotImplementedError):  # what pydicom finds wrong in a value
            raise InvalidScope(f"{name((keyword,))} must have a value that the VR {vr} allows") from None
    return item


def _values(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    several = value if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value]
    return [_plain(entry) for entry in several]


def _plain(value: Any) -> str:
    """IS and DS as they were written."""
    return str(getattr(value, "original_string", None) or value).rstrip(" \0")

