"""Records: what a repository knows of a study, its series and its instances.

A record is a mapping of keywords (of the tables in ``attributes``) to values: text as the repository holds it, several
values joined by backslashes; ``int`` for binary numbers; hexadecimal text for OB; a list of mappings for a sequence.
Keywords that no table knows are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Attributes = Mapping[str, Any]


@dataclass(slots=True)
class InstanceRecord:
    """``identifier`` is the repository's own name of the object: messages use it, the inventory does not.

    ``unread`` tells that the object's own header should have been read and could not be.
    """

    identifier: str
    attributes: Attributes
    unread: bool = False


@dataclass(slots=True)
class SeriesRecord:
    identifier: str
    attributes: Attributes
    instances: list[InstanceRecord] = field(default_factory=list)


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
