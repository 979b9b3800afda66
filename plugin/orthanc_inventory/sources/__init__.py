"""Where records come from: one interface; what differs between versions of Orthanc is a strategy behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from ..dicom.keys import Key
from ..dicom.records import Skipped, StudyRecord
from ..dicom.scope import Scope

if TYPE_CHECKING:
    from .group import Group

Encoded = TypeVar("Encoded")


class Moved(Exception):
    """The study changed while it was read."""


class StudyDeleted(Exception):
    """The study was deleted before it could be read."""


class StudyUnreadable(Exception):
    """The study is there but cannot be read; the message says why, without patient data."""


class SourceFailed(Exception):
    """There is no reading on: the repository itself is not there any more. The message says why, without patient data."""


class EarlierNotes(NamedTuple):
    """The ``series`` that held rejection notes at some moment, and the ``studies`` that may have changed since: no others can hold
    any now.
    """

    series: Collection[str]
    studies: Collection[str]


class Source(Protocol):
    """``name`` tells how records are read.

    ``withdrawn`` are the studies of which rejection notes withdraw something, with a digest of what, and ``notes`` the series that
    hold these notes: as ``begin`` found them. Before it, or where nobody looks for notes, they are not known: None.
    ``unlisted`` tells where ``studies`` may have found less than there is.
    """

    withdrawn: Mapping[str, str]
    notes: Sequence[str] | None
    unlisted: Sequence[Skipped]

    @property
    def name(self) -> str: ...

    def begin(self) -> None:
        """Looks for all that a run must know before its first record."""

    def end(self) -> None:
        """Lets go of what ``begin`` took hold of, and needs no ``begin``."""

    def check(self, scope: Scope) -> None:
        """Raises InvalidScope when the scope has a key that this repository cannot answer."""

    def unknown(self, scope: Scope) -> Sequence[Key]:
        """The keys that this repository cannot answer."""

    def studies(self, scope: Scope) -> Collection[str]:
        """The identifiers of all studies that may match, as a snapshot of this moment."""

    def group(self, studies: Sequence[str], level: str, scope: Scope, uids: Sequence[str] = ()) -> Group:
        """Reads the first of these studies together, as many as are worth it. What is wrong with one shows in ``read``.

        ``uids`` are their Study Instance UIDs, where these are known.
        """

    def read(
        self,
        study: str,
        level: str,
        scope: Scope,
        encode: Callable[[StudyRecord], Encoded],
        group: Group | None = None,
    ) -> tuple[Encoded, list[Skipped]] | None:
        """One study as it was at its Item Inventory DateTime, with what could not be read of it; None: not in scope.

        The record is given to ``encode`` while it is read, and again when the study turns out to have changed meanwhile. A
        ``group`` of the same level and scope may hold what is to be read.

        Raises:
            StudyDeleted, StudyUnreadable
            SourceFailed: a study is not the matter.
        """


class Archive(Source, Protocol):
    """The archive behind the plugin, which tells what has changed in it since an inventory was made."""

    def begin(self, earlier: Callable[[], EarlierNotes | None] = lambda: None) -> None:
        """Rejection notes are looked for only where they can be, if ``earlier`` tells that; it may ask for studies already."""

    def catch_up(self) -> None:
        """What is read from now on is not of earlier."""

    def all_studies(self) -> Collection[str]:
        """The identifiers of all studies, as a snapshot of this moment."""

    def children(self, study: str, group: Group | None = None) -> tuple[str, Sequence[str]]:
        """LastUpdate of a study, and the identifiers of its series and instances. Raises: StudyDeleted."""

    def all_children(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """The same of all studies, each with its identifier before it."""

    def studies_of(self, level: str, identifier: str) -> Sequence[str]:
        """The studies above an instance or a series, or below a patient; none, if it is gone."""

    def studies_with(self, uid: str) -> Sequence[str]:
        """The studies with that Study Instance UID, whoever the patient is."""
