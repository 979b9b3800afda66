"""Records in the order of their UIDs, and two such streams side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from ...dicom.decoder import Place
from ...reader.temporary_database import TemporaryDatabase

# So many records are sorted in memory: some 30 MB.
IN_MEMORY = 50_000
# Records that lie anywhere bring so many more into memory: it is given back after so many.
_SCATTERED = 20
_by_uid = attrgetter("uid")


class _Placed(Protocol):
    place: Place

    @property
    def uid(self) -> str: ...


Record = TypeVar("Record", bound=_Placed)


def in_order(
    records: Iterator[Record], record_at: Callable[[Place], Record], release: Callable[[], None]
) -> Iterator[Record]:
    """Records by UID. Of many only their places are kept, outside memory.

    ``record_at`` gives the one at a place again, ``release`` gives back the memory in which they are mapped.
    """
    batch = list(islice(records, IN_MEMORY))
    if len(batch) < IN_MEMORY:
        batch.sort(key=_by_uid)
        return iter(batch)
    database = TemporaryDatabase("CREATE TABLE place (uid TEXT, start INTEGER, stop INTEGER, explicit INTEGER)")
    while batch:
        database.insert("INSERT INTO place VALUES (?, ?, ?, ?)", ((record.uid, *record.place) for record in batch))
        release()
        batch = list(islice(records, IN_MEMORY))
    return _read_again(database, record_at, release)


def _read_again(
    database: TemporaryDatabase, record_at: Callable[[Place], Record], release: Callable[[], None]
) -> Iterator[Record]:
    places = database.select("SELECT start, stop, explicit FROM place ORDER BY uid, rowid")
    for number, (start, stop, explicit) in enumerate(places):
        if number % _SCATTERED == 0:
            release()
        yield record_at((start, stop, bool(explicit)))


# Begins with its UID, see ``sides``.
Entry = TypeVar("Entry", bound=tuple[Any, ...])


def side_by_side(first: Iterator[Entry], second: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Entries of two streams, ascending and each UID once: those with the same UID together, the others alone."""
    one, other = next(first, None), next(second, None)
    while one is not None and other is not None:
        if one[0] == other[0]:
            yield one, other
            one, other = next(first, None), next(second, None)
        elif one[0] < other[0]:
            yield one, None
            one = next(first, None)
        else:
            yield None, other
            other = next(second, None)
    while one is not None:
        yield one, None
        one = next(first, None)
    while other is not None:
        yield None, other
        other = next(second, None)
