"""The scope of an inventory: which studies it is about (PS3.3 C.38.2.1, matching of PS3.4 C.2.2.2).

A scope is written with keywords and C-FIND values. All keys must match. A key that cannot be matched is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .records import Attributes
from .values import is_uid, legal_value, without_padding

# The keys of a scope and their VR.
KEYS = {
    "StudyDate": "DA",
    "PatientID": "LO",
    "PatientName": "PN",
    "AccessionNumber": "SH",
    "StudyInstanceUID": "UI",
    "ModalitiesInStudy": "CS",
}
_RANGE = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)


class InvalidScope(ValueError):
    """A scope that cannot be applied; the message names the key and what is allowed."""


@dataclass(frozen=True)
class Scope:
    """``keys`` are keywords with their matching values, as the user wrote them. No key: every study."""

    keys: Mapping[str, str]

    @classmethod
    def parse(cls, keys: Any) -> "Scope":
        """A checked scope from a JSON object.

        Raises:
            InvalidScope: unknown key, wrong type, or a value that the attribute cannot have.
        """
        if not isinstance(keys, dict):
            raise InvalidScope("Scope must be an object of keywords and matching values")
        for keyword, value in keys.items():
            if keyword not in KEYS:
                raise InvalidScope(f"Scope.{keyword} cannot be matched; allowed keys: {', '.join(KEYS)}")
            if not isinstance(value, str) or not value.strip(" "):
                raise InvalidScope(f"Scope.{keyword} must be text, and not empty; leave the key out to match everything")
            if value == '""':
                raise InvalidScope(f"Scope.{keyword}: matching of empty values is not possible")
            _check(keyword, KEYS[keyword], value)
        return cls(dict(keys))

    def matches(self, attributes: Attributes, unknown_yet: str = "") -> bool:
        """Whether a study matches all keys; the keyword ``unknown_yet`` is not looked at."""
        return all(
            _matches(KEYS[keyword], value, attributes.get(keyword, ""))
            for keyword, value in self.keys.items()
            if keyword != unknown_yet
        )

    def sequence(self) -> list[dict[str, Any]]:
        """The items of the Scope of Inventory Sequence (0008,0400): none, or one."""
        ranges: list[dict[str, str]] = [{}, {}]
        uids: list[dict[str, str]] = []
        general: dict[str, str] = {}
        item: dict[str, Any] = {}
        for keyword, value in self.keys.items():
            limits = _RANGE.fullmatch(value) if KEYS[keyword] == "DA" else None
            if limits:
                ranges[0][keyword], ranges[1][keyword] = limits.groups()
            elif KEYS[keyword] == "UI" and "\\" in value:
                uids = [{keyword: uid} for uid in value.split("\\")]
            else:
                general[keyword] = value
                if "\\" in value:
                    item["ExtendedMatchingMechanisms"] = "MULTIPLE_VALUE"
        if not "".join(self.keys.values()).isascii():
            item["SpecificCharacterSet"] = "ISO_IR 192"
        if ranges[0]:
            item["RangeMatchingSequence"] = ranges
        if uids:
            item["ListOfUIDMatchingSequence"] = uids
        if general:
            item["GeneralMatchingSequence"] = [general]
        return [item] if item else []


def _check(keyword: str, vr: str, value: str) -> None:
    def refuse(allowed: str) -> InvalidScope:
        return InvalidScope(f"Scope.{keyword} must be {allowed}")

    if vr == "DA":
        limits = _RANGE.fullmatch(value)
        first, last = limits.groups() if limits else (value, value)
        if not (first or last) or any(date and legal_value("DA", date) != date for date in (first, last)):
            raise refuse("a date YYYYMMDD or a range YYYYMMDD-YYYYMMDD, open at one end if wanted")
        if first and last and first > last:
            raise refuse("a range whose first date is not after its last")
    elif vr == "UI":
        if not all(map(is_uid, value.split("\\"))):
            raise refuse("a UID, or UIDs separated by backslashes, without wild cards")
    elif vr == "CS":
        if not all(re.fullmatch(r"[A-Z0-9_ *?]{1,16}", part) for part in value.split("\\")):
            raise refuse("code strings of at most 16 upper case characters, separated by backslashes")
    elif legal_value(vr, value.rstrip(" ")) != value.rstrip(" "):
        raise refuse(f"text that the VR {vr} allows, without control characters and backslashes")


def _matches(vr: str, key: str, value: str) -> bool:
    """Matching of PS3.4 C.2.2.2.1 (single value), .2 (list of UID), .4 (wild card), .5 (range), .8 (multiple values)."""
    value = legal_value(vr, without_padding(value), multiple=vr == "CS")
    if vr == "DA":
        limits = _RANGE.fullmatch(key)
        if limits is None:
            return key == value
        first, last = limits.groups()
        return bool(value) and first <= value and (not last or value <= last)
    if vr == "UI":
        return value in key.split("\\")
    patterns = [_pattern(part, re.IGNORECASE if vr == "PN" else 0) for part in key.rstrip(" ").split("\\")]
    if vr == "CS":
        candidates = value.split("\\")
    elif vr == "PN":
        # A name matches by any of its component groups; empty components at the end carry no meaning (PS3.5 6.2.1).
        groups = [group.rstrip("^") for group in value.split("=")]
        candidates = [value, *groups, "=".join(groups)]
    else:
        candidates = [value]
    return any(pattern.fullmatch(candidate) for pattern in patterns for candidate in candidates)


@lru_cache
def _pattern(key: str, flags: int) -> re.Pattern[str]:
    wild_cards = {"*": ".*", "?": "."}
    return re.compile("".join(wild_cards.get(character) or re.escape(character) for character in key), flags | re.DOTALL)
