"""Keys of a scope: an attribute of a study, series or instance record with the value that it must have.

A key is written as in C-FIND (PS3.4 C.2.2.2): a value, several of them separated by backslashes, wild cards, a range of
dates or times, or ``""`` for an empty value. The attributes below a sequence are an object of such keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pydicom.datadict import tag_for_keyword

from .attributes import INSTANCE, SERIES, STUDY, Attribute
from .periods import date_time_period, time_period
from .terms import LEVELS
from .values import is_uid, legal_value
from .wild_cards import is_pattern

EMPTY = '""'
TABLES: Mapping[str, Mapping[str, Attribute]] = {
    level: {row.keyword: row for row in table} for level, table in zip(LEVELS, (STUDY, SERIES, INSTANCE), strict=True)
}
TEMPORAL = ("DA", "TM", "DT")
# Binary numbers, with the first that is too large.
BINARY = {"US": 2**16, "UL": 2**32, "UV": 2**64}
NUMERIC = ("IS", "DS", *BINARY)
# Wild cards are possible in these. UC, UR and UT, which have no limit of their own, have one here, as has the number of
# values that are patterns.
_LONGEST = {"AE": 16, "CS": 16, "LO": 64, "PN": 194, "SH": 16, "UC": 1024, "LT": 10240, "ST": 1024, "UR": 1024, "UT": 1024}
_MOST_PATTERNS = 1000
# A range of two DT values of 26 characters.
_LONGEST_RANGE = 53
# In these a backslash is no delimiter, so that they have a single value.
SINGLE = ("LT", "ST", "UR", "UT")
# No attribute of a repository, or one that the scope uses in a sense of its own (PS3.3 Table C.38.2-1).
_NEVER = frozenset(
    {
        "InventoriedSeriesSequence",
        "InventoriedInstancesSequence",
        "ItemInventoryDateTime",
        "SpecificCharacterSet",
        "TimezoneOffsetFromUTC",
    }
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DEEPEST = 8


class InvalidScope(ValueError):
    """A scope that cannot be applied; one line that names the key and what is allowed, without the value."""


class UnmatchableKey(InvalidScope):
    """A key whose attribute cannot be matched at all, whatever its value."""


class UnsupportedScope(InvalidScope):
    """A character set, an extended matching mechanism or a level that is not supported (status 0212H, PS3.4 KK.2.2.3)."""


class Kind(StrEnum):
    """How a key is matched: the sequence in which the standard has it (PS3.3 Table C.38.2-1)."""

    RANGE = "RangeMatchingSequence"
    UIDS = "ListOfUIDMatchingSequence"
    EMPTY = "EmptyValueMatchingSequence"
    GENERAL = "GeneralMatchingSequence"


class Key(NamedTuple):
    """``path`` are the keywords from the record down to the attribute, ``row`` is the attribute's.

    ``values`` are those that may match, first and last for a range.
    """

    path: tuple[str, ...]
    row: Attribute
    kind: Kind
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """The value as it is written."""
        if self.kind is Kind.EMPTY:
            return EMPTY
        return ("-" if self.kind is Kind.RANGE else "\\").join(self.values)


def parse_keys(written: Mapping[str, Any]) -> list[Key]:
    """The keys of a scope, those below sequences after each other.

    Raises:
        UnmatchableKey, InvalidScope
    """
    return [parse_key(path, value) for path, value in _paths(written, ())]


def write_keys(keys: Iterator[Key] | list[Key]) -> dict[str, Any]:
    """The opposite of ``parse_keys``."""
    written: dict[str, Any] = {}
    for key in keys:
        place = written
        for keyword in key.path[:-1]:
            place = place.setdefault(keyword, {})
        place[key.path[-1]] = key.text
    return written


def _paths(written: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(above) > _DEEPEST:
        raise InvalidScope(f"{name(above)} is deeper than {_DEEPEST} sequences")
    for keyword, value in written.items():
        path = (*above, keyword)
        if isinstance(value, dict):
            if find_row(path).vr != "SQ":
                raise InvalidScope(f"{name(path)} must be text, as this attribute is no sequence")
            if not value:
                raise InvalidScope(f'{name(path)} must have keys; leave it out to match everything, or ask for {EMPTY}')
            yield from _paths(value, path)
        else:
            yield path, value


def name(path: tuple[str, ...]) -> str:
    """The key as messages call it, whatever a user may have written for a keyword."""
    return ".".join(("Scope", *(re.sub(r"[^ -~]", "?", keyword)[:64] for keyword in path)))


def levels(keyword: str) -> list[str]:
    """The levels of the records that have this attribute, the coarsest first."""
    return [level for level, table in TABLES.items() if keyword in table]


def find_row(path: tuple[str, ...]) -> Attribute:
    """The row of the attribute.

    Raises:
        UnmatchableKey: there is none, or none that can be a key.
    """
    row, *below = path
    found = [TABLES[level][row] for level in levels(row)]
    attribute = found[0] if found and row not in _NEVER else None
    for keyword in below:
        attribute = attribute and next((item for item in attribute.items if item.keyword == keyword and item.tag), None)
    if attribute is None:
        raise UnmatchableKey(f"{name(path)} cannot be matched: {_why(path)}")
    if attribute.vr not in (*TEMPORAL, *NUMERIC, *_LONGEST, "UI", "SQ"):
        raise UnmatchableKey(f"{name(path)} cannot be matched: its VR is {attribute.vr or 'unknown'}")
    return attribute


def _why(path: tuple[str, ...]) -> str:
    keyword = path[-1]
    hexadecimal = re.sub("[(), ]", "", keyword)
    if re.fullmatch("[0-9A-Fa-f]{8}", hexadecimal):
        if int(hexadecimal[3], 16) % 2:
            return "it is a private tag without its creator; private attributes are not recorded"
        return "attributes are named by their keywords"
    if tag_for_keyword(keyword) is None:
        return "it is no keyword of the data dictionary; " + _allowed(path[:-1])
    return "records do not have it; " + _allowed(path[:-1])


def _allowed(above: tuple[str, ...]) -> str:
    if above:
        keywords = [row.keyword for row in find_row(above).items if row.tag]
    else:
        keywords = list(dict.fromkeys(keyword for table in TABLES.values() for keyword in table if keyword not in _NEVER))
    return f"allowed keys: {', '.join(keywords) or 'none'}"


def parse_key(path: tuple[str, ...], text: Any) -> Key:
    """One key of a scope from its value as it is written.

    Raises:
        UnmatchableKey, InvalidScope
    """
    return parse_value(path, find_row(path), text)


def parse_value(path: tuple[str, ...], row: Attribute, text: Any) -> Key:
    """One key of an attribute of any table from its value as it is written.

    Raises:
        InvalidScope
    """

    def refuse(reason: str) -> InvalidScope:
        return InvalidScope(f"{name(path)} {reason}")

    if not isinstance(text, str):
        raise refuse("must be an object of keys" if row.vr == "SQ" else "must be text")
    text = text.rstrip(" ") if row.vr != "UI" else text
    if text == EMPTY:
        return Key(path, row, Kind.EMPTY, ())
    if row.vr == "SQ":
        raise refuse(f"must be an object of keys, or {EMPTY} for an empty sequence")
    if not text.strip(" "):
        raise refuse(f"must be text, and not empty; leave the key out to match everything, or ask for {EMPTY}")
    values = (text,) if row.vr in SINGLE else tuple(part.rstrip(" ") for part in text.split("\\"))
    if EMPTY in values:
        raise refuse(f"has two kinds of matching: {EMPTY} stands for an empty value, and with no other")
    if row.vr in TEMPORAL:
        return _temporal(path, row, values)
    wrong = next((reason for value in values if (reason := _wrong(row.vr, value))), "")
    if row.vr in BINARY and len(values) > 1:
        wrong = f"a single number, as its VR is {row.vr}"
    elif len(values) > _MOST_PATTERNS and (row.vr == "PN" or any(map(is_pattern, values))):
        wrong = f"at most {_MOST_PATTERNS} values, as there are names or wild cards among them"
    if wrong:
        raise refuse(f"must be {wrong}")
    return Key(path, row, Kind.UIDS if row.vr == "UI" and len(values) > 1 else Kind.GENERAL, values)


def _temporal(path: tuple[str, ...], row: Attribute, values: tuple[str, ...]) -> Key:
    forms = {
        "DA": "a date YYYYMMDD or a range YYYYMMDD-YYYYMMDD, open at one end if wanted",
        "TM": "a time HHMMSS.FFFFFF, the end of which may be left out, or a range of two, open at one end if wanted",
        "DT": "a date and time YYYYMMDDHHMMSS.FFFFFF, the end of which may be left out, with an offset such as +0100 if "
        "wanted, or a range of two, open at one end if wanted",
    }
    if all(_is_moment(row.vr, value) for value in values):
        return Key(path, row, Kind.GENERAL, values)
    splits = [split for value in values if (split := _range(row.vr, value))]
    if not splits or (len(values) == 1 and splits[0] == ("", "")):
        raise InvalidScope(f"{name(path)} must be {forms[row.vr]}")
    if len(values) > 1:
        raise InvalidScope(f"{name(path)} has two kinds of matching: a range, and several values")
    return Key(path, row, Kind.RANGE, splits[0])


def _is_moment(vr: str, value: str) -> bool:
    if legal_value(vr, value) != value or not value:
        return False
    return vr != "DT" or date_time_period(value, 0) is not None


def _range(vr: str, text: str) -> tuple[str, str] | None:
    """First and last value. A hyphen may also begin an offset from UTC: the one that comes last separates, if it can."""
    if len(text) > _LONGEST_RANGE:
        return None
    for place in (match.start() for match in reversed(list(re.finditer("-", text)))):
        limits = text[:place], text[place + 1 :]
        if all(limit == "" or _is_moment(vr, limit) for limit in limits):
            return limits
    return None


def _wrong(vr: str, value: str) -> str:
    """What the value should have been, empty if it is as it must be."""
    if vr == "UI":
        return "" if is_uid(value) else "a UID, or UIDs separated by backslashes, without wild cards"
    if vr in BINARY:
        is_number = re.fullmatch("[0-9]{1,20}", value) and int(value) < BINARY[vr]
        return "" if is_number else f"an integer from 0 to {BINARY[vr] - 1}"
    if vr in NUMERIC:
        return "" if legal_value(vr, value) == value.strip(" ") != "" else f"a number that the VR {vr} allows, or several"
    if vr == "CS":
        allowed = "code strings of at most 16 upper case characters, separated by backslashes"
        return "" if re.fullmatch(r"[A-Z0-9_ *?]{1,16}", value) and value.strip(" ") else allowed
    longest = _LONGEST[vr]
    if not value.strip(" ") or _CONTROL.search(value) or len(value) > longest or not _fits(vr, value):
        return f"text that the VR {vr} allows: at most {longest} characters, without control characters"
    return ""


def _fits(vr: str, value: str) -> bool:
    if vr == "PN":
        groups = value.split("=")
        return len(groups) <= 3 and all(len(group) <= 64 for group in groups)
    return value.isascii() if vr in ("AE", "UR") else True


def check_range(key: Key, combined: bool) -> None:
    """Raises InvalidScope where nothing lies between first and last; times of day that belong to dates may be any."""
    first, last = key.values
    if not first or not last or (combined and key.row.vr == "TM"):
        return
    if key.row.vr == "DT":
        periods = date_time_period(first, 0), date_time_period(last, 0)
        contradictory = periods[0] is not None and periods[1] is not None and periods[0].first > periods[1].last
    elif key.row.vr == "TM":
        contradictory = time_period(first).first > time_period(last).last
    else:
        contradictory = first > last
    if contradictory:
        hint = "; for a time on several days ask for DATETIME with a range of dates" if key.row.vr == "TM" else ""
        raise InvalidScope(f"{name(key.path)} must be a range whose first value is not after its last{hint}")


