"""What is compared: two sides, each an inventory or a list. A side gives its studies one by one, its records by UID."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Protocol

from .attributes import Chosen, Values

# Of a series or an instance: its UID; its content, where two are the same if they are written in the same way; the record.
Entry = tuple[str, Any, Any]


class Series(Protocol):
    # How the content of its instances is written: instances of series that agree in it are the same if their contents are.
    encoding: Any

    def values(self) -> Values: ...

    def instances(self) -> Iterator[Entry]:
        """By SOP Instance UID; those removed from operational use are left out and counted."""

    def encoded(self, record: Any) -> Any:
        """What is compared of an instance as it is written: quicker than values, and of equal ones the values are equal."""

    def instance_values(self, record: Any) -> Values: ...


class Study(Protocol):
    content: Any

    @property
    def patient_id(self) -> str: ...

    def values(self) -> Values: ...

    def series(self) -> Iterator[Entry]:
        """By Series Instance UID, as for instances. To be read, with what is below them, one after the other."""


class Records(Protocol):
    """``removed`` counts by level what was left out so far as it is removed from operational use (0008,0405)."""

    removed: Counter[str]

    def places(self) -> Iterator[tuple[str, int]]:
        """Each Study Instance UID, ascending, and where it lies: to be asked for in the order of these numbers."""

    def studies(self, uid: str) -> list[Study]:
        """What has this UID, by Patient ID. To be read one after the other."""


class Side(Protocol):
    """``uid`` and ``completion_status`` are None for a list; ``told`` are the keywords that it has, None if all."""

    level: str

    @property
    def uid(self) -> str | None: ...

    @property
    def completion_status(self) -> str | None: ...

    @property
    def told(self) -> Collection[str] | None: ...

    def records(self, chosen: Chosen, by_patient: bool) -> Records:
        """``by_patient``: a UID that stands under several patients is several studies, and not one."""
