"""Queries of the Repository Query service (PS3.4 C.6.4): at which level, what must match, what is asked for, from where on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .attributes import INSTANCE, SERIES, STUDY
from .keys import EMPTY, SINGLE, TABLES, InvalidScope, Key, Kind, UnmatchableKey, find_row, parse_key
from .macros import ANY, Attribute, row
from .scope import Scope
from .terms import DATETIME, EMPTY_VALUE, FUZZY, LEVELS, MULTIPLE_VALUE, RELATIONAL, TIMEZONE_ADJUST
from .values import is_uid

# Query/Retrieve Level (0008,0052) and the level of the records.
RECORD_LEVELS = dict(zip(("STUDY", "SERIES", "IMAGE"), LEVELS, strict=True))
UNIQUE_KEYS = dict(zip(LEVELS, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), strict=True))
# What each byte of the SOP Class Extended Negotiation is about (PS3.4 C.5.1.1); of the fifth, views, there is none.
_NEGOTIABLE = (RELATIONAL, DATETIME, FUZZY, TIMEZONE_ADJUST, "", EMPTY_VALUE, MULTIPLE_VALUE)
# They say how to query; records do not have them.
_CONTROL = (
    "QueryRetrieveLevel", "SpecificCharacterSet", "RecordKey", "PriorRecordKey", "MaximumNumberOfRecords",
)
# In a list of answers they mean nothing, or not what they mean in an inventory.
_NEVER = ("ItemInventoryDateTime", "InventoriedSeriesSequence", "InventoriedInstancesSequence")
_METADATA = "MetadataSequence", "UpdatedMetadataSequence"
_LARGEST = 2**64


def _metadata() -> tuple[Attribute, ...]:
    """What a record says of the object itself: an own choice, as the standard's table is not at hand."""
    without = {
        *_NEVER, "RetrieveAETitle", "RetrieveURL", "StoredInstanceBaseURI", "InstanceAvailability", "FileSetAccessSequence",
        "FileAccessSequence", "StorageMediaFileSetID", "RemovedFromOperationalUse", "ReasonForRemovalCodeSequence",
    }
    table = {entry.keyword: entry._replace(type="3") for entry in (*STUDY, *SERIES, *INSTANCE)}
    return tuple(entry for keyword, entry in table.items() if keyword not in without)


# The attributes of an answer, by the level of the record that has them.
ATTRIBUTES: Mapping[str, Mapping[str, Attribute]] = {
    **{level: {key: entry for key, entry in TABLES[level].items() if key not in _NEVER} for level in LEVELS},
    "INSTANCE": {**TABLES["INSTANCE"], **{keyword: row(keyword, "3", _metadata()) for keyword in _METADATA}},
}


class InvalidQuery(ValueError):
    """The identifier does not match the SOP class; one line that names the key and what is allowed, without the value."""


def negotiated(offered: bytes) -> bytes:
    """The answer to a SOP Class Extended Negotiation: no more bytes than were offered."""
    return bytes(int(byte == 1 and mechanism != "") for byte, mechanism in zip(offered, _NEGOTIABLE))


def agreed(information: bytes) -> frozenset[str]:
    """The mechanisms of an answer; what is absent was not agreed."""
    return frozenset(mechanism for byte, mechanism in zip(information, _NEGOTIABLE) if byte == 1)


class RepositoryQuery:
    """``written`` has values by keyword, as ``decoder`` reads them: text, numbers, and lists of the items of sequences.

    Args:
        mechanisms: what was agreed in the negotiation.
        known: the keywords that the repository can answer, by level.
        zone: the offset of the repository's own dates and times.

    Attributes:
        level: of the records that are asked for.
        scope: which of them match.
        wanted: what is asked for, in the order of the tags; with a type by which all of it is answered.
        with_key: whether Record Key is.
        prior: Prior Record Key, empty to begin with the first record.
        maximum: Maximum Number of Records, None for any.
        unsupported: whether there are keys that are not supported for existence or matching; they are not looked at.

    Raises:
        InvalidQuery
    """

    def __init__(
        self, written: Mapping[str, Any], mechanisms: frozenset[str], known: Mapping[str, frozenset[str]], zone: str
    ) -> None:
        written = {keyword: value for keyword, value in written.items() if not _is_group_length(keyword)}
        query_level = _text(written, "QueryRetrieveLevel")
        if query_level not in RECORD_LEVELS:
            raise InvalidQuery("QueryRetrieveLevel must be STUDY, SERIES or IMAGE")
        self.level = RECORD_LEVELS[query_level]
        self.with_key = "RecordKey" in written
        if _text(written, "RecordKey"):
            raise InvalidQuery("RecordKey must have no value")
        self.prior = bytes.fromhex(_text(written, "PriorRecordKey"))  # as the decoder writes bytes
        self.maximum = _maximum(written)
        self.unsupported = False
        self.wanted: list[Attribute] = []
        keys: list[Key] = []
        for keyword, value in written.items():
            if keyword in _CONTROL:
                continue
            attribute = self._find(keyword, known)
            if attribute is None:
                self.unsupported = True
            elif keyword == "TimezoneOffsetFromUTC":
                # Times are answered as the repository has them; this tells where that is.
                self.wanted.append(attribute._replace(type="2", default=zone))
            else:
                self.wanted.append(_returned(attribute, value)._replace(type="2"))
                keys += self._keys((keyword,), value, mechanisms)
        self.wanted.sort(key=lambda attribute: attribute.tag)
        if RELATIONAL not in mechanisms:
            self._check_hierarchy({key.path[0]: key for key in keys if len(key.path) == 1})
        timezone = _text(written, "TimezoneOffsetFromUTC") if TIMEZONE_ADJUST in mechanisms else ""
        used = {RELATIONAL} | mechanisms & {DATETIME, FUZZY} | ({TIMEZONE_ADJUST} if timezone else set())
        try:
            self.scope = Scope.from_keys(keys, frozenset(used), query_level, timezone, zone)
        except InvalidScope as error:
            raise InvalidQuery(str(error).removeprefix("Scope.")) from None

    def level_of(self, keyword: str) -> str | None:
        """The level of the record that has the attribute: that of the query, or else the coarsest; None for none above."""
        levels = LEVELS[: LEVELS.index(self.level) + 1]
        return next((level for level in (self.level, *levels) if keyword in ATTRIBUTES[level]), None)

    @property
    def used(self) -> frozenset[str]:
        """The keywords of all attributes that are looked at or answered."""
        return frozenset({*(attribute.keyword for attribute in self.wanted), *(key.path[0] for key in self.scope.keys)})

    def _find(self, keyword: str, known: Mapping[str, frozenset[str]]) -> Attribute | None:
        if keyword == "TimezoneOffsetFromUTC":
            return ATTRIBUTES["INSTANCE"][keyword]
        level = self.level_of(keyword)
        return ATTRIBUTES[level][keyword] if level is not None and keyword in known[level] else None

    def _keys(self, path: tuple[str, ...], value: Any, mechanisms: frozenset[str]) -> Iterator[Key]:
        """Those of a value, or below a sequence; none for universal matching, nor for what cannot be matched."""
        if isinstance(value, list):
            if len(value) > 1:
                raise InvalidQuery(f"{'.'.join(path)} must have at most one item")
            for item in value:
                for keyword, below in item.items():
                    if not _is_group_length(keyword):
                        yield from self._keys((*path, keyword), below, mechanisms)
            return
        text = str(value).strip(" ")
        if text in ("", "*"):
            return
        try:
            yield _key(path, str(value), mechanisms)
        except UnmatchableKey:
            self.unsupported = True
        except InvalidScope as error:
            raise InvalidQuery(str(error).removeprefix("Scope.")) from None

    def _check_hierarchy(self, keys: Mapping[str, Key]) -> None:
        """PS3.4 C.4.1.2.2.1: a single value for the unique key of each level above."""
        for level in LEVELS[: LEVELS.index(self.level)]:
            key = keys.get(UNIQUE_KEYS[level])
            if key is None or key.kind is not Kind.GENERAL or not is_uid(key.values[0]):
                raise InvalidQuery(f"{UNIQUE_KEYS[level]} must be one UID: the query is not relational")


def _text(written: Mapping[str, Any], keyword: str) -> str:
    value = written.get(keyword, "")
    return value.strip(" ") if isinstance(value, str) else "?"


def _maximum(written: Mapping[str, Any]) -> int | None:
    value = written.get("MaximumNumberOfRecords", "")
    if value == "":
        return None
    if not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise InvalidQuery("MaximumNumberOfRecords must be one number")
    return value


def _is_group_length(keyword: str) -> bool:
    """Of a tag (gggg,0000), which the decoder names by its digits (PS3.5 7.2)."""
    return bool(re.fullmatch("[0-9a-f]{4}0000", keyword))


def _key(path: tuple[str, ...], text: str, mechanisms: frozenset[str]) -> Key:
    if text.strip(" ") == EMPTY and EMPTY_VALUE not in mechanisms:
        attribute = find_row(path)
        if attribute.vr not in ("AE", "LO", "PN", "SH", "UC", *SINGLE):
            raise InvalidScope(f"{'.'.join(path)} has an empty value: that was not negotiated")
        return Key(path, attribute, Kind.GENERAL, (EMPTY,))  # it stands for itself (PS3.4 C.2.2.2.1)
    key = parse_key(path, text)
    if key.kind is Kind.GENERAL and len(key.values) > 1 and MULTIPLE_VALUE not in mechanisms:
        raise InvalidScope(f"{'.'.join(path)} has several values: that was not negotiated")
    return key


def _returned(attribute: Attribute, value: Any) -> Attribute:
    """Of a sequence with keys in its item only these are answered (PS3.4 C.2.2.2.6), if it can have any of them."""
    if not isinstance(value, list) or not value or not value[0] or attribute.items is ANY:
        return attribute
    below = value[0]
    items = (_returned(item, below[item.keyword])._replace(type="2") for item in attribute.items if item.keyword in below)
    return attribute._replace(items=tuple(items) or attribute.items)
