"""Records: what a repository knows of a study, its series and its instances.

A record is a mapping of keywords (of the tables in ``attributes``) to values: text as the repository holds it, several
values joined by backslashes; ``int`` for binary numbers; hexadecimal text for OB; a list of mappings for a sequence.
Keywords that no table knows are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

Attributes = Mapping[str, Any]


@dataclass(slots=True)
class InstanceRecord:
    """``identifier`` is the repository's own name of the object: messages use it, the inventory does not.

    ``unread`` tells that the object's own header should have been read and could not be. ``file`` is what the repository tells
    of the object's file for its own use, where it told it in passing.
    """

    identifier: str
    attributes: Attributes
    unread: bool = False
    file: Mapping[str, Any] | None = None


class SingleItems(Sequence[list[Attributes]]):
    """The values of a sequence that has one item in each record, attribute by attribute; there is at least one attribute."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, place: int) -> list[Attributes]: ...
    @overload
    def __getitem__(self, place: slice) -> "SingleItems": ...
    def __getitem__(self, place: int | slice) -> "list[Attributes] | SingleItems":
        if isinstance(place, slice):
            return SingleItems({keyword: column[place] for keyword, column in self.columns.items()})
        return [{keyword: column[place] for keyword, column in self.columns.items()}]


class InstanceTable(Sequence[InstanceRecord]):
    """Instances of the same attributes, attribute by attribute: so they are encoded in half the time.

    ``columns`` are the values by keyword; empty from the moment on when a record was taken out, as it may be changed.
    """

    def __init__(self, identifiers: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> None:
        self._identifiers = identifiers
        self.columns = columns
        self._records: list[InstanceRecord] = []

    def _taken_out(self) -> list[InstanceRecord]:
        if self.columns:
            rows = zip(self._identifiers, zip(*self.columns.values()))
            self._records = [InstanceRecord(identifier, dict(zip(self.columns, values))) for identifier, values in rows]
            self.columns = {}
        return self._records

    def __len__(self) -> int:
        return len(self._identifiers)

    @overload
    def __getitem__(self, place: int) -> InstanceRecord: ...
    @overload
    def __getitem__(self, place: slice) -> list[InstanceRecord]: ...
    def __getitem__(self, place: int | slice) -> InstanceRecord | list[InstanceRecord]:
        return self._taken_out()[place]


@dataclass(slots=True)
class SeriesRecord:
    identifier: str
    attributes: Attributes
    instances: Sequence[InstanceRecord] = field(default_factory=list)

    @property
    def unread(self) -> int:
        """How many headers of its instances could not be read."""
        if isinstance(self.instances, InstanceTable) and self.instances.columns:
            return 0
        return sum(instance.unread for instance in self.instances)


@dataclass(slots=True)
class StudyRecord:
    """``series`` may be read from the repository while one iterates, so that only one is held in memory at a time.

    ``unread`` are the headers of objects that should have been read for this record, or those of its series, and could not.
    ``children`` are the repository's names of all its series and instances, ``last_update`` when it last saw a change.
    """

    identifier: str
    attributes: Attributes
    series: Iterable[SeriesRecord] = ()
    unread: int = 0
    children: Sequence[str] = ()
    last_update: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A resource that exists but is not in the inventory, and why. Holds no patient data."""

    identifier: str
    level: str
    reason: str
