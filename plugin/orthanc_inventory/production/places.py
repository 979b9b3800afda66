"""Places: which study records an instance of an inventory holds, by Orthanc's IDs, in eight bytes for each resource.

With them an increment finds out of which study something was deleted, and what it held before, without reading inventories:
Orthanc tells of a deletion no more than the ID of what is gone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Of each place: study, last update, series and instances that are recorded, removed records, number of children.
_HEAD = 6


def numbers_of(identifiers: Iterable[str]) -> "array[int]":
    """The first 64 bits of each ID of Orthanc, which are SHA-1."""
    digits = "".join([identifier[:8] + identifier[9:17] for identifier in identifiers])
    return numbers_in(bytes.fromhex(digits))


def number_of(identifier: str) -> int:
    return numbers_of((identifier,))[0]


def identifier_from(number: int) -> str:
    """As much of an ID as ``number_of`` keeps: Orthanc has no resource of this ID."""
    digits = array("Q", (number,)).tobytes().hex()
    return f"{digits[:8]}-{digits[8:]}"


def time_number(last_update: str) -> int:
    """Orthanc's LastUpdate as a number like 20261231235959; 0 where it keeps none."""
    return int("".join(filter(str.isdigit, last_update)) or 0)


class Place(NamedTuple):
    """One study record; ``position`` counts the records of its instance from 0.

    ``series`` and ``instances`` are its items for what was there, ``removed`` those that say Removed from Operational Use, as
    it was deleted. ``children`` are all series and instances that the study had, recorded or not; one that is gone has none.
    """

    study: int
    position: int
    last_update: int
    series: int
    instances: int
    removed: int
    children: "array[int]"


def encode_place(
    study: str, last_update: str, series: int, instances: int, removed: int, children: Iterable[str]
) -> bytes:
    """``study`` and ``children`` are IDs of Orthanc, ``last_update`` is its LastUpdate; numbers as in ``Place``."""
    numbers = numbers_of(children)
    head = number_of(study), time_number(last_update), series, instances, removed, len(numbers)
    return array("Q", head).tobytes() + numbers.tobytes()


def numbers_in(encoded: bytes) -> "array[int]":
    """All that the places of one instance are made of, to look for a resource in many of them at once."""
    numbers = array("Q")
    numbers.frombytes(encoded)
    return numbers


def decode_places(encoded: bytes) -> Iterator[Place]:
    """The places of one instance, in the order of its records."""
    numbers = numbers_in(encoded)
    start = position = 0
    while start < len(numbers):
        study, last_update, series, instances, removed, children = numbers[start : start + _HEAD]
        end = start + _HEAD + children
        yield Place(study, position, last_update, series, instances, removed, numbers[start + _HEAD : end])
        start, position = end, position + 1
