"""Record Keys (0008,041B) of the Repository Query service: where a record stands in the order of all (PS3.4 C.6.4.1).

A key is the position of the record, one name of 20 bytes for each level from the study on, and a check sum. So it says the
level by its length, and what was never a key is found to be none.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from .terms import LEVELS

# Bytes of the name of a study, series or instance.
NAME = 20
_CHECK = 4
# Another one for another structure of keys.
_SEED = 1


class InvalidRecordKey(ValueError):
    """No Record Key of this level (status A710H)."""


def record_keys(parent: bytes, names: Iterable[bytes]) -> list[bytes]:
    """The keys of records with these names, which all stand below ``parent``: names of the levels above, joined."""
    begin = crc32(parent, _SEED)
    return [parent + name + crc32(name, begin).to_bytes(_CHECK, "big") for name in names]


def position_of(key: bytes, level: str) -> bytes:
    """The names in a key, joined; positions compare as their records are ordered.

    Raises:
        InvalidRecordKey
    """
    position = key[:-_CHECK]
    expected = (LEVELS.index(level) + 1) * NAME
    if len(position) != expected or crc32(position, _SEED).to_bytes(_CHECK, "big") != key[-_CHECK:]:
        raise InvalidRecordKey("PriorRecordKey is no Record Key of this level")
    return position
