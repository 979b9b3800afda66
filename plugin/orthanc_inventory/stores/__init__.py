"""Where the instances of an inventory are kept: in Orthanc itself, or in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple, Protocol

from ..dicom.inventory import Inventory


class StoreError(Exception):
    """The store does not take an instance, or does not delete one; the message says why and what to do."""


class InstanceGone(Exception):
    """The instance is no longer in the store, or cannot be read there."""


class Run(NamedTuple):
    """What is common to the instances of one run: the study and series under which an archive files them."""

    study_uid: str
    series_uid: str = ""
    date: str = ""
    time: str = ""
    description: str = ""


class Kept(NamedTuple):
    """What is kept of a run: Orthanc's ID (empty: not in Orthanc) by SOP Instance UID.

    ``origin`` are Origin, Requestor and CreationTime of what came from elsewhere.
    """

    run: Run
    identifiers: dict[str, str]
    origin: Mapping[str, str] = {}


class Store(Protocol):
    """Keeps PS3.10 files by SOP Instance UID. What is not complete is never visible."""

    def check(self, size: int) -> None:
        """Whether ``size`` more bytes can be kept without harm to anything else.

        Raises:
            StoreError
        """

    def put(self, run: Run, inventory: Inventory, file: bytes, number: int) -> str:
        """Keeps an instance, ``file`` being its bytes, and answers Orthanc's ID of it (empty: not in Orthanc).

        Raises:
            StoreError
        """

    def read(self, run: Run, uid: str) -> Iterator[bytes | memoryview]:
        """The bytes of the file as they were given to ``put``.

        Raises:
            InstanceGone
        """

    def open(self, run: Run, uid: str) -> BinaryIO:
        """The same bytes, to be read from anywhere in them.

        Raises:
            InstanceGone
        """

    def present(self, run: Run, uids: Iterable[str]) -> set[str]:
        """Those of the UIDs whose instances are still there."""

    def runs(self) -> list[str]:
        """The Study Instance UIDs under which anything is kept, the oldest first."""

    def contents(self, study_uid: str) -> Kept:
        """What is kept under one of them."""

    def delete(self, run: Run, uid: str) -> None:
        """Deletes one instance, if it is there."""

    def keep_only(self, run: Run, uids: Iterable[str]) -> None:
        """Deletes what the run has put but for these UIDs: what a crash left, or all of it.

        Raises:
            StoreError
        """
