"""An increment: which studies a run on top of a base has to read, and what the base knew of them (PS3.17 YYYY.7.4)."""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cached_property
from itertools import islice

from ..reader.inventory_file import InventoryFile
from ..reader.records import Study
from ..sources import Archive, EarlierNotes
from .catalogue import Catalogue, Member
from .changes import Change, Changes
from .journal import Journal
from .journal_rows import KeptInstance, KeptInventory
from .places import Place, decode_places, identifier_from, number_of, numbers_in, numbers_of, time_number
from .transaction import CannotGoOn

# Instances of a tree whose places are read at a time.
_BATCH = 100


class BaseUnusable(CannotGoOn):
    """The base cannot be read any more."""


class Increment:
    """What lies between a base and now.

    Args:
        base: a root that this Orthanc made, with all its instances.
        log: gets a line when the record of changes has a gap.
    """

    def __init__(
        self,
        base: KeptInventory,
        catalogue: Catalogue,
        journal: Journal,
        changes: Changes,
        source: Archive,
        log: Callable[[str], None],
    ) -> None:
        self.base = base
        self._catalogue = catalogue
        self._journal = journal
        self._changes = changes
        self._source = source
        self._log = log
        # The studies that changed since, those that are gone included; None where that is not known.
        self._changed: set[str] | None = None
        self._places: dict[int, tuple[Member, Place]] = {}

    @cached_property
    def instances(self) -> dict[str, KeptInstance]:
        """The whole tree of the base, by UID."""
        return {member.uid: member.instance for member in self._members if member.instance is not None}

    @cached_property
    def _members(self) -> list[Member]:
        """The earlier made first, as a later record of a study takes the place of an earlier one.

        Raises:
            BaseUnusable
        """
        numbered = []
        for member in self._catalogue.tree(self.base):
            if member.inventory is None or member.instance is None:
                raise BaseUnusable(f"the instance {member.uid} of the base is no longer there: make a full inventory")
            numbered.append((member.inventory.number, member.instance.place, member))
        return [member for _, _, member in sorted(numbered, key=lambda entry: entry[:2])]

    def begin(self) -> None:
        """The source looks for all that a run must know. What changes from now on is for the next increment."""
        self._source.begin(self._earlier_notes)

    def _earlier_notes(self) -> EarlierNotes | None:
        changes = self._changes.since(self.base.document["Mark"])
        self._changed = None if changes is None else self._studies_of(changes)
        notes = self.base.document.get("Notes")
        return None if notes is None or self._changed is None else EarlierNotes(notes, self._changed)

    def studies(self) -> list[str]:
        """IDs of all studies that may differ from what the base says, those that are gone included."""
        if self._changed is None:
            self._log("some changes may have been missed since the base: the lists of all studies are compared with it")
            found = self._compared()
        else:
            found = set(self._changed)
        found |= self._source.withdrawn.keys() ^ self.base.document["Withdrawn"].keys()
        found |= {
            study for study, digest in self._source.withdrawn.items() if self.base.document["Withdrawn"].get(study) != digest
        }
        return sorted(found)

    def locate(self, studies: Iterable[str]) -> None:
        """Remembers where the base has its latest records of these studies."""
        wanted = set(numbers_of(studies))
        for member, encoded in self._encoded_places():
            for place in decode_places(encoded):
                if place.study in wanted:
                    self._places[place.study] = member, place

    def place(self, study: str) -> Place | None:
        """What the base knows of a study, in numbers; None: nothing."""
        found = self._places.get(number_of(study))
        return found[1] if found else None

    def record(self, study: str) -> Study:
        """The base's latest record of a study that has a place.

        Raises:
            InstanceGone, InvalidInventory
        """
        member, place = self._places[number_of(study)]
        file = InventoryFile(self._catalogue.open(member), member.uid)
        return next(islice(file.studies(), place.position, None))

    def _encoded_places(self) -> Iterator[tuple[Member, bytes]]:
        """Of each instance in the tree, the earlier made first."""
        for start in range(0, len(self._members), _BATCH):
            batch = self._members[start : start + _BATCH]
            places = self._journal.places([member.uid for member in batch])
            for member in batch:
                if member.uid not in places:
                    raise BaseUnusable(f"what {member.uid} holds is no longer known: make a full inventory")
                yield member, places[member.uid]

    def _studies_of(self, changes: Iterable[Change]) -> set[str]:
        found: set[str] = set()
        gone: set[int] = set()
        for level, identifier, deleted in changes:
            if level == "Study":
                found.add(identifier)
            elif deleted:
                gone.add(number_of(identifier))
            else:
                found.update(self._source.studies_of(level, identifier))
        parents = self._parents(gone)
        if parents:
            # A study that is not in the list is gone as a whole, and known by its own ID.
            found.update(study for study in self._source.all_studies() if number_of(study) in parents)
        return found

    def _parents(self, children: set[int]) -> set[int]:
        """The studies of which the base knows one of these series or instances."""
        parents: set[int] = set()
        if children:
            for _, encoded in self._encoded_places():
                if not children.isdisjoint(numbers_in(encoded)):
                    parents.update(place.study for place in decode_places(encoded) if not children.isdisjoint(place.children))
        return parents

    def _compared(self) -> set[str]:
        """Without a record of changes: the studies whose LastUpdate or children are not those that the base saw."""
        # A temporary file of SQLite, which grows with the archive in place of memory.
        with closing(sqlite3.connect("", isolation_level=None)) as known:
            known.execute("CREATE TABLE known (study INTEGER PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID")
            known.execute("BEGIN")
            for _, encoded in self._encoded_places():
                known.executemany(
                    "INSERT OR REPLACE INTO known VALUES (?, ?)",
                    ((_signed(place.study), _state(place.last_update, place.children)) for place in decode_places(encoded)),
                )
            found = set()
            for study, last_update, children in self._source.all_children():
                key = (_signed(number_of(study)),)
                row = known.execute("SELECT state FROM known WHERE study = ?", key).fetchone()
                if row is None or row[0] != _state(time_number(last_update), numbers_of(children)):
                    found.add(study)
                known.execute("DELETE FROM known WHERE study = ?", key)
            # What is left is gone, unless it was gone before.
            gone = _state(0, array("Q"))
            rows = known.execute("SELECT study FROM known WHERE state != ?", (gone,))
            return found | {identifier_from(number & 0xFFFFFFFFFFFFFFFF) for (number,) in rows}


def _signed(number: int) -> int:
    """As SQLite holds 64 bits."""
    return number - (1 << 64) if number >> 63 else number


def _state(last_update: int, children: "array[int]") -> bytes:
    return hashlib.sha256(array("Q", [last_update, *sorted(children)]).tobytes()).digest()
