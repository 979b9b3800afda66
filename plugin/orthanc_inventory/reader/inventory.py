"""An inventory: the tree of SOP Instances below its root, read as one (PS3.3 C.38.1.1.5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, BinaryIO, TypeVar

from ..dicom.decoder import Place
from .index import StudyIndex
from .inventory_file import InventoryFile, Reference
from .merged import MergedStudy
from .records import Instance, Series, Study
from .search import StudySearch

# Files that are kept open at a time.
_OPEN_FILES = 8


class MissingInstance(LookupError):
    """An instance of the tree is not there; ``uid`` is its SOP Instance UID."""

    def __init__(self, uid: str) -> None:
        super().__init__(f"the inventory instance {uid} is not there")
        self.uid = uid


_Found = TypeVar("_Found", Series, Instance)


class Inventory:
    """The inventory with the root ``root_uid``.

    ``open_instance`` gives the PS3.10 file of a SOP Instance UID as a seekable stream, which is read from its start and
    closed; it raises MissingInstance where there is none. ``missing`` is called with the UID of each instance that is not
    there, instead of an error. ``verify`` compares each file with the MAC in the reference to it. Memory grows with the
    number of instances of the tree, not with its records. Not to be used by several threads at a time.

    Raises:
        InvalidInventory: also from all methods, when they come to what is broken.
        MissingInstance: there is no root.
    """

    def __init__(
        self,
        root_uid: str,
        open_instance: Callable[[str], BinaryIO],
        *,
        verify: bool = False,
        missing: Callable[[str], None] | None = None,
    ) -> None:
        self._open_instance = open_instance
        self._verify = verify
        self._missing = missing
        self._files: OrderedDict[str, InventoryFile] = OrderedDict()
        self._root = self._checked_root(root_uid)
        # Depth and UID of each instance: the root, then each reference before what is below it.
        self._tree: list[tuple[int, str]] = [(0, root_uid)]
        # Where in the tree a UID stands first: it may be incorporated more than once, and is read once.
        self._places: dict[str, int] = {root_uid: 0}
        self._macs: dict[str, tuple[str, str]] = {}
        self._read_tree()

    @property
    def uid(self) -> str:
        return self._root.uid

    @property
    def level(self) -> str:
        """STUDY, SERIES or INSTANCE."""
        return self._root.level

    @property
    def completion_status(self) -> str:
        return self._root.completion_status

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the root by keyword, in the form of ``dicom.records``; without references and studies."""
        return self._root.attributes

    @property
    def total_study_records(self) -> int:
        """Total Number of Study Records (0008,0428): items, which may be more than studies."""
        return self._root.total_study_records

    @property
    def instance_uids(self) -> list[str]:
        """The SOP Instance UIDs of the whole tree, the root first."""
        return list(self._places)

    def references(self) -> Iterator[Reference]:
        """The tree of references below the root: each child, followed by what is below it."""
        return self._root.references()

    def files(self) -> Iterator[InventoryFile]:
        """Each instance of the tree, once, as a file."""
        for uid in self._places:
            try:
                file = self.file(uid)
            except MissingInstance as error:
                if self._missing is None:
                    raise
                self._missing(error.uid)
                continue
            yield file

    def file(self, uid: str) -> InventoryFile:
        """One instance of the tree, checked against the references.

        Raises:
            MissingInstance
        """
        if uid == self._root.uid:
            return self._root
        file = self._files.pop(uid, None)
        if file is None:
            file = InventoryFile(self._open_instance(uid), uid)
            self._check(file, uid)
            if len(self._files) >= _OPEN_FILES:
                self._files.popitem(last=False)
        self._files[uid] = file
        return file

    def studies(self) -> Iterator[Study]:
        """All study records of the tree, one by one; a study may have several. For one record a study: ``merged_studies``."""
        records: dict[str, int] = {}
        for file in self.files():
            yield from file.studies()
            records[file.uid] = file.study_records
        if len(records) == len(self._places):
            total = sum(records[uid] for _, uid in self._tree)
            if total != self.total_study_records:
                raise self._root.invalid(
                    f"{total} study records, and not {self.total_study_records} as Total Number of Study Records says"
                )

    def merged_studies(self, by_uid: bool = False, since: int = 0) -> Iterator[MergedStudy]:
        """Each study (Patient ID and Study Instance UID) once, as the latest of its records tell (PS3.17 YYYY.7.10).

        In the order of the records; with ``by_uid`` by Study Instance UID, then Patient ID.
        """
        return self._index.merged(by_uid, since)

    def study(self, uid: str) -> list[MergedStudy]:
        """The studies with that Study Instance UID, merged: none, one, or one a patient."""
        return self._index.find(uid)

    def series(self, uid: str) -> list[Series]:
        """The series with that Series Instance UID in the merged studies, in the order of the records.

        None, one, or several where it stands under several studies. The bytes of all records are searched, in time in
        proportion to their number; to look for many, walk ``merged_studies`` once.
        """
        return self._merged([series for record in self._records_with(uid) for series in record.series() if series.uid == uid])

    def instance(self, uid: str) -> list[Instance]:
        """The instances with that SOP Instance UID in the merged studies; as ``series``."""
        return self._merged(
            [
                instance
                for record in self._records_with(uid)
                for series in record.series()
                for instance in series.instances()
                if instance.uid == uid
            ]
        )

    def study_places(self) -> Iterator[tuple[str, int]]:
        """Each Study Instance UID once, ascending, and the number of its first record: records that are read by ascending
        number are read where they lie one behind the other.
        """
        return self._index.places()

    def search(self, text: str, since: int, limit: int) -> tuple[int, list[MergedStudy]]:
        """How many merged studies have the text, and those of them from ``since`` on, at most ``limit``.

        The text is in Patient ID, Patient Name, Study Instance UID, Accession Number or Study Description, in upper or lower
        case, or is the Study Date.
        """
        number, found = self._search.find(text, since, limit)
        return number, [self._index.find_of_patient(*study) for study in found]

    @property
    def merged_number(self) -> int:
        """How many merged studies there are."""
        return self._index.number

    @cached_property
    def _search(self) -> StudySearch:
        return StudySearch(self._index.latest())

    def _records_with(self, uid: str) -> Iterator[Study]:
        return (record for record in self.studies() if record.may_hold(uid))

    def _merged(self, found: list[_Found]) -> list[_Found]:
        """Without those in a record that a later one takes the place of."""
        studies = {study.uid for study in map(_study, found)}
        records = {_place(record) for uid in studies for study in self.study(uid) for record in study.records}
        return [entry for entry in found if _place(_study(entry)) in records]

    @cached_property
    def _index(self) -> StudyIndex:
        return StudyIndex(self.studies(), lambda uid, place: self.file(uid).study(place))

    def _checked_root(self, uid: str) -> InventoryFile:
        root = InventoryFile(self._open_instance(uid), uid)
        if root.uid != uid:
            raise root.invalid("the file holds another SOP Instance UID than the one that was asked for", "PS3.3 C.12.1")
        return root

    def _read_tree(self) -> None:
        above = [self.uid]
        for reference in self._root.references():
            del above[reference.depth :]
            if reference.uid in above:
                raise self._root.invalid("an inventory incorporates itself", "PS3.3 C.38.1.1.5")
            above.append(reference.uid)
            self._places.setdefault(reference.uid, len(self._tree))
            self._tree.append((reference.depth, reference.uid))
            if self._verify:
                access = reference.attributes
                if access.get("MAC"):
                    self._macs[reference.uid] = access.get("MACAlgorithm", ""), access["MAC"]

    def _check(self, file: InventoryFile, uid: str) -> None:
        """Whether the file is what the root tells of it."""
        if file.uid != uid:
            raise file.invalid("the file holds another SOP Instance UID than the reference to it", "PS3.3 C.38.2.3")
        if file.level != self.level:
            raise file.invalid("Inventory Level is not that of the root", "PS3.3 C.38.1.1.5")
        place = self._places[uid]
        depth = self._tree[place][0]
        for reference in file.references():
            place += 1
            if self._tree[place : place + 1] != [(depth + reference.depth, reference.uid)]:
                raise file.invalid("the root has another copy of the references of this instance", "PS3.3 C.38.1.1.5")
        if place + 1 < len(self._tree) and self._tree[place + 1][0] > depth:
            raise file.invalid("the root has another copy of the references of this instance", "PS3.3 C.38.1.1.5")
        if uid in self._macs:
            self._check_mac(file, *self._macs[uid])

    def _check_mac(self, file: InventoryFile, algorithm: str, mac: str) -> None:
        digest = file.digest(algorithm)
        if digest is None:
            raise file.invalid("the MAC Algorithm of the reference is unknown", "PS3.3 C.38.2.2.1.3")
        if digest != mac.lower():
            raise file.invalid("the file does not have the MAC of the reference to it", "PS3.3 C.38.2.2.1.3")


def _study(entry: Series | Instance) -> Study:
    return (entry.series if isinstance(entry, Instance) else entry).study


def _place(record: Study) -> tuple[str, Place]:
    return record.inventory_uid, record.place
