"""The scope of an inventory: which studies it is about (PS3.3 C.38.2.1), and which series and instances of them.

It is written as an object of keywords and C-FIND values, or as the standard's own sequence; either can be made from the
other. All keys must match. A key that cannot be matched is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from .keys import TABLES, InvalidScope, Key, Kind, UnmatchableKey, UnsupportedScope, check_range, levels, name
from .keys import parse_keys, write_keys
from .matching import Conditions, Test, tests
from .periods import offset_minutes, server_offset
from .records import Attributes
from .scope_sequence import Parts, items_from_data_set, items_from_json, items_to_json, read_items, write_item
from .terms import DATETIME, EMPTY_VALUE, FUZZY, LEVELS, MECHANISMS, MULTIPLE_VALUE, RELATIONAL, TIMEZONE_ADJUST

__all__ = ["InvalidScope", "Scope", "UnmatchableKey", "UnsupportedScope"]

SEQUENCE = "ScopeOfInventorySequence"
LABELS = "Labels"
# Query/Retrieve Level (0008,0052) by the level of records.
_QUERY_LEVELS = dict(zip(LEVELS, ("STUDY", "SERIES", "IMAGE"), strict=True))
_RECORD_LEVELS = {query: level for level, query in _QUERY_LEVELS.items()}
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Scope:
    """What records must match. No key: every study.

    ``mechanisms`` are the Extended Matching Mechanisms that are asked for or implied by the keys; ``level`` is the
    Query/Retrieve Level of a relational scope, empty otherwise; ``timezone`` the offset of the dates and times in the keys,
    where it matters. ``labels`` are Orthanc's, all of which a study must have; the standard knows none. ``zone`` is the
    offset of the repository's own dates and times.
    """

    keys: tuple[Key, ...] = ()
    mechanisms: frozenset[str] = frozenset()
    level: str = ""
    timezone: str = ""
    labels: tuple[str, ...] = ()
    zone: str = "+0000"

    @classmethod
    def parse(cls, written: Any, zone: str = "") -> "Scope":
        """A checked scope from a JSON object of keywords; ``zone`` empty is the server's.

        Raises:
            InvalidScope: unknown key, wrong type, or a value that cannot be matched.
        """
        if not isinstance(written, dict):
            raise InvalidScope("Scope must be an object of keywords and matching values")
        written = dict(written)
        labels = _labels(written.pop(LABELS, ()))
        if SEQUENCE in written:
            if len(written) > 1:
                raise InvalidScope(f"Scope.{SEQUENCE} must stand alone, or with Scope.{LABELS}")
            return cls._from_items(items_from_json(written[SEQUENCE]), None, labels, zone)
        level, timezone = (_condition(written, keyword) for keyword in ("QueryRetrieveLevel", "TimezoneOffsetFromUTC"))
        asked = frozenset(filter(None, _condition(written, "ExtendedMatchingMechanisms").split("\\")))
        keys = parse_keys(written)
        deepest = _deepest(keys)
        implied = _implied(keys) | ({TIMEZONE_ADJUST} if timezone else set())
        if deepest != "STUDY" or level or RELATIONAL in asked:
            implied.add(RELATIONAL)
            level = level or _QUERY_LEVELS[deepest]
        return cls._checked(Parts(keys, asked | implied, level, timezone), labels, zone)

    @classmethod
    def from_data_set(
        cls,
        sequence: Sequence[Dataset],
        zone: str = "",
        character_set: Sequence[str] = (),
        unmatchable: list[int] | None = None,
    ) -> "Scope":
        """A checked scope from the Scope of Inventory Sequence of a message.

        Args:
            character_set: Specific Character Set of the data set that holds the sequence.
            unmatchable: takes the tags of the keys that cannot be matched, which are then left out (PS3.4 KK.2.2.3).

        Raises:
            UnsupportedScope: a character set, mechanism or level is not supported.
            InvalidScope: the sequence is not as it must be; or a key cannot be matched, without ``unmatchable``.
        """
        return cls._from_items(items_from_data_set(sequence, character_set), unmatchable, (), zone)

    @classmethod
    def from_keys(cls, keys: list[Key], mechanisms: frozenset[str], level: str, timezone: str, zone: str) -> "Scope":
        """A checked scope from keys that are at hand; ``level`` is the Query/Retrieve Level, with RELATIONAL.

        Raises:
            InvalidScope
        """
        return cls._checked(Parts(keys, mechanisms, level, timezone), (), zone)

    @classmethod
    def _from_items(
        cls, items: Sequence[Mapping[str, Any]], unmatchable: list[int] | None, labels: tuple[str, ...], zone: str
    ) -> "Scope":
        left_out: dict[int, None] = {}

        def leave_out(keyword: str, error: InvalidScope) -> None:
            if unmatchable is None:
                raise error
            tag = tag_for_keyword(keyword)
            left_out[int(keyword, 16) if tag is None else tag] = None

        parts = read_items(items, leave_out)
        keys = []
        for key in parts.keys:
            missing = _implied([key]) - parts.mechanisms
            if levels(key.path[0])[0] != "STUDY" and RELATIONAL not in parts.mechanisms:
                missing.add(RELATIONAL)
            if missing:
                wanted = ", ".join(sorted(missing))
                leave_out(key.path[0], InvalidScope(f"{name(key.path)} needs {wanted} among ExtendedMatchingMechanisms"))
            else:
                keys.append(key)
        if unmatchable is not None:
            unmatchable += left_out
        level = parts.level
        if unmatchable is not None and RELATIONAL in parts.mechanisms:
            # Table KK.2-1 has no row for the level that Table C.38.2-1 has.
            level = level or _QUERY_LEVELS[_deepest(keys)]
        return cls._checked(parts._replace(keys=keys, level=level), labels, zone)

    @classmethod
    def _checked(cls, parts: Parts, labels: tuple[str, ...], zone: str) -> "Scope":
        for mechanism in parts.mechanisms - frozenset(MECHANISMS):
            raise UnsupportedScope(f"Scope.ExtendedMatchingMechanisms must be of {', '.join(MECHANISMS)}")
        if (TIMEZONE_ADJUST in parts.mechanisms) != bool(parts.timezone):
            raise InvalidScope(f"Scope.TimezoneOffsetFromUTC and {TIMEZONE_ADJUST} must stand together")
        if parts.timezone and offset_minutes(parts.timezone) is None:
            raise InvalidScope('Scope.TimezoneOffsetFromUTC must be an offset from UTC such as "+0100"')
        if (RELATIONAL in parts.mechanisms) != bool(parts.level):
            raise InvalidScope(f"Scope.QueryRetrieveLevel and {RELATIONAL} must stand together")
        if parts.level and parts.level not in _RECORD_LEVELS:
            raise UnsupportedScope(f"Scope.QueryRetrieveLevel must be one of {', '.join(_RECORD_LEVELS)}")
        record_level = _RECORD_LEVELS[parts.level or "STUDY"]
        paths: set[tuple[str, ...]] = set()
        for key in parts.keys:
            level = levels(key.path[0])[0]
            if LEVELS.index(level) > LEVELS.index(record_level):
                raise InvalidScope(
                    f"{name(key.path)} is of the wrong level: it belongs to {level} records, so that "
                    f"QueryRetrieveLevel must be {' or '.join(list(_RECORD_LEVELS)[LEVELS.index(level):])}"
                )
            paths.add(key.path)
        for key in parts.keys:
            if key.row.vr == "SQ" and any(path[: len(key.path)] == key.path != path for path in paths):
                raise InvalidScope(f"{name(key.path)} has two kinds of matching: empty, and by keys of its items")
        scope = cls(tuple(parts.keys), parts.mechanisms, parts.level, parts.timezone, labels, zone or server_offset())
        scope._check_ranges()
        return scope

    def _check_ranges(self) -> None:
        ranges = {key.path: key for key in self.keys if key.kind is Kind.RANGE}
        for path, key in ranges.items():
            date = ranges.get((*path[:-1], path[-1][:-4] + "Date")) if key.row.vr == "TM" else None
            combined = DATETIME in self.mechanisms and date is not None
            check_range(key, combined)
            if combined and date is not None and date.values[0] == date.values[1]:
                check_range(key, False)

    # The two forms in which it is written

    @cached_property
    def parts(self) -> Parts:
        return Parts(list(self.keys), self.mechanisms, self.level, self.timezone)

    def simple(self) -> dict[str, Any]:
        """As an object of keywords and values."""
        written = write_keys(list(self.keys))
        deepest = _deepest(self.keys)
        implied = _implied(self.keys) | {TIMEZONE_ADJUST, RELATIONAL}
        if asked := sorted(self.mechanisms - implied):
            written["ExtendedMatchingMechanisms"] = "\\".join(asked)
        if self.level and (self.level != _QUERY_LEVELS[deepest] or deepest == "STUDY"):
            written["QueryRetrieveLevel"] = self.level
        if self.timezone:
            written["TimezoneOffsetFromUTC"] = self.timezone
        if self.labels:
            written[LABELS] = list(self.labels)
        return written

    def sequence(self) -> list[dict[str, Any]]:
        """The items of the Scope of Inventory Sequence (0008,0400), one or none, for ``encode_attributes``."""
        item = write_item(self.parts)
        return [item] if item else []

    def json_sequence(self) -> dict[str, Any]:
        """The whole Scope of Inventory Sequence in the DICOM JSON Model (PS3.18 F)."""
        return items_to_json(self.sequence())

    def without(self, keywords: Collection[str]) -> "Scope":
        """The same without the keys of these attributes."""
        return replace(self, keys=tuple(key for key in self.keys if key.path[0] not in keywords))

    def is_within(self, other: "Scope") -> bool:
        """Whether all that matches this scope surely matches the other too: it has the same keys, and perhaps more."""
        same_conditions = (self.mechanisms ^ other.mechanisms).isdisjoint({FUZZY, DATETIME}) and self.timezone == other.timezone
        same_keys = all(key in self.keys and self.level_of(key) == other.level_of(key) for key in other.keys)
        return same_conditions and same_keys and set(other.labels) <= set(self.labels)

    @property
    def note(self) -> str:
        """What the sequence cannot tell, in words."""
        return f"Only studies with the labels {', '.join(self.labels)}" if self.labels else ""

    # Matching

    def level_of(self, key: Key) -> str:
        """An attribute that several levels have is meant at the Query/Retrieve Level, or else at the coarsest."""
        level = _RECORD_LEVELS[self.level or "STUDY"]
        return level if level in levels(key.path[0]) else levels(key.path[0])[0]

    @cached_property
    def deepest_level(self) -> str:
        """The level of the records that must be read to know whether a study is in scope."""
        return max(map(self.level_of, self.keys), key=LEVELS.index, default="STUDY")

    @cached_property
    def _tests(self) -> dict[str, list[tuple[tuple[str, ...], Test]]]:
        zone, adjusted_to = offset_minutes(self.zone) or 0, offset_minutes(self.timezone)
        conditions = Conditions(FUZZY in self.mechanisms, DATETIME in self.mechanisms, zone, adjusted_to)
        return {
            level: tests((key for key in self.keys if self.level_of(key) == level), TABLES[level], conditions)
            for level in LEVELS
        }

    def may_match_study(self, attributes: Attributes) -> bool:
        """Whether a study of which no more is known yet can match: keys of what is missing are not looked at."""
        return all(test(attributes) for keywords, test in self._tests["STUDY"] if all(map(attributes.get, keywords)))

    def matches_study(self, attributes: Attributes) -> bool:
        """Whether a study matches all keys of its level."""
        return all(test(attributes) for _, test in self._tests["STUDY"])

    def matches_series(self, attributes: Attributes) -> bool:
        """Whether a series matches all keys of its level."""
        return all(test(attributes) for _, test in self._tests["SERIES"])

    def matches_instance(self, attributes: Attributes) -> bool:
        """Whether an instance matches all keys of its level."""
        return all(test(attributes) for _, test in self._tests["INSTANCE"])

    def matches_labels(self, labels: Collection[str]) -> bool:
        return all(label in labels for label in self.labels)


def _implied(keys: Sequence[Key]) -> set[str]:
    """The mechanisms that the values of the keys need."""
    implied = set()
    if any(key.kind is Kind.EMPTY for key in keys):
        implied.add(EMPTY_VALUE)
    if any(key.kind is Kind.GENERAL and len(key.values) > 1 for key in keys):
        implied.add(MULTIPLE_VALUE)
    return implied


def _deepest(keys: Sequence[Key]) -> str:
    """The deepest level of which an attribute with a key is; one that several levels have is no deeper than the first."""
    return max((levels(key.path[0])[0] for key in keys), key=LEVELS.index, default="STUDY")


def _condition(written: dict[str, Any], keyword: str) -> str:
    value = written.pop(keyword, None)
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise InvalidScope(f"Scope.{keyword} must be text, and not empty")
    return value


def _labels(value: Any) -> tuple[str, ...]:
    labels = value.split("\\") if isinstance(value, str) else value
    if isinstance(labels, (list, tuple)) and all(isinstance(label, str) and _LABEL.fullmatch(label) for label in labels):
        if labels or value == ():
            return tuple(labels)
    raise InvalidScope(
        f"Scope.{LABELS} must be a list of labels, or labels separated by backslashes, of letters, digits, _ and -"
    )
