"""A transaction: one request for an inventory, or to verify one, from its acceptance to its end (PS3.4 KK.2.1.1)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple

from ..dicom.scope import Scope
from ..stores import Run

# Orthanc's own codes and words for how a job ended.
SUCCESS = 0
SUCCESS_DESCRIPTION = "Success"
INTERNAL_ERROR = -1
CANCELED_JOB = 37
CANCELED_JOB_DESCRIPTION = "This job was canceled"

_UTC_TIME = "%Y%m%dT%H%M%S"

# From where records come: the index alone, or the headers of objects as well.
DETAILS = ("Index", "Files")


# How much a verification looks at: each looks at what those before it look at, too.
CHECKS = ("EXISTS", "SIZE", "MD5")


# Numbers of studies, series and instances.
Counts = tuple[int, int, int]


def plus(one: Counts, other: Counts) -> Counts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


class Interrupted(Exception):
    """The run was told to stop; the journal knows how far it came."""


class CannotGoOn(Exception):
    """The run must end as a failure; the message says why, and what to do."""


class Kind(StrEnum):
    """What a transaction is about. Only those that make an inventory are transactions of the standard."""

    INVENTORY = "Inventory"
    VERIFICATION = "Verification"


class State(StrEnum):
    """As in Orthanc's jobs."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    SUCCESS = "Success"
    FAILURE = "Failure"


class Cancellation(StrEnum):
    """What was asked for when a run was cancelled: Retain Instances (0008,0415)."""

    DISCARD = "N"
    RETAIN = "Y"


class Verified(NamedTuple):
    """What a verification found, in items: resources of the level of the inventory.

    ``checked`` were looked for, ``later`` are those of the ``extra`` ones that came after the inventory was made; of the
    ``unchecked`` neither the inventory nor Orthanc tells a size or digest to compare with.
    """

    checked: int = 0
    missing: int = 0
    damaged: int = 0
    different: int = 0
    extra: int = 0
    later: int = 0
    unchecked: int = 0

    def plus(self, other: Verified) -> Verified:
        return Verified(*map(int.__add__, self, other))


def _sum(one: Any, later: Any, earlier: Any) -> Any:
    if isinstance(one, tuple):
        return tuple(map(_sum, one, later, earlier))
    return one + later - earlier


@dataclass
class Progress:
    """What a run has done: ``position`` counts the studies of the snapshot, the others the records written.

    ``removed`` are those of them whose resources were deleted since the base, ``replaced`` the records of the base that they
    take the place of. Of a verification, ``position`` counts studies of the inventory and of the archive, ``studies``,
    ``series`` and ``instances`` are those of the inventory that were looked at, and ``verified`` tells what was found.
    """

    position: int = 0
    studies: int = 0
    series: int = 0
    instances: int = 0
    deleted_studies: int = 0
    corrected_values: int = 0
    unread_headers: int = 0
    skipped: int = 0
    removed: Counts = (0, 0, 0)
    replaced: Counts = (0, 0, 0)
    runtime: float = 0.0
    verified: Verified = field(default_factory=Verified)

    def __post_init__(self) -> None:
        # JSON has no tuples.
        self.removed, self.replaced = tuple(self.removed), tuple(self.replaced)  # type: ignore[assignment]
        self.verified = Verified(*self.verified)

    def plus(self, later: Progress, earlier: Progress) -> Progress:
        """With what was done between two others, too."""
        return Progress(
            **{
                entry.name: _sum(*(getattr(progress, entry.name) for progress in (self, later, earlier)))
                for entry in fields(Progress)
            }
        )


@dataclass
class Transaction:
    """All of it but ``progress`` is in the journal before anyone is told; progress is as of the last leaf.

    ``uid`` is the Transaction UID (0008,1195); ``detail`` is ``Index``, or ``Files`` for headers of objects as well; ``base``
    the root that an increment builds on; ``timezone`` an offset such as ``+0100``; ``started`` the Content Date and Time as
    ``YYYYMMDDHHMMSS.FFFFFF`` in that zone; the other times are UTC in Orthanc's own form. ``mark`` is the point in the record
    of changes at which the run began, and ``withdrawn`` what rejection notes withdrew then: a digest for each study.
    ``schedule`` is the name of the schedule that it belongs to, and ``due`` the moment for which that started a run last.
    ``peer`` is the AE title that asked for it over DICOM, and is told of it every ``status_interval`` minutes, 0 for never.
    A verification does the ``check`` with the root ``verified_uid``; its ``detail`` is that with which this archive can match the
    scope, empty if there is none.
    """

    uid: str
    level: str
    scope: dict[str, Any] = field(default_factory=dict)
    purpose: str = ""
    description: str = ""
    user_data: Any = None
    requestor: str = ""
    detail: str = "Index"
    base: str = ""
    include_removed: bool = True
    identifying: bool = True
    creation_time: str = ""
    completion_time: str = ""
    state: State = State.PENDING
    cancellation: Cancellation | None = None
    comment: str = ""
    error_code: int = SUCCESS
    error_description: str = SUCCESS_DESCRIPTION
    started: str = ""
    timezone: str = ""
    mark: str = ""
    withdrawn: dict[str, str] = field(default_factory=dict)
    total_studies: int = 0
    study_uid: str = ""
    series_uid: str = ""
    root_uid: str = ""
    schedule: str = ""
    due: str = ""
    # It is paused until the window of its schedule opens; a user lets it run outside the window.
    waits_for_window: bool = False
    outside_window: bool = False
    # It failed because its base could not be used.
    base_unusable: bool = False
    # Of another archive: its kind, Modality or DicomWeb, and the name that Orthanc has for it.
    source: dict[str, str] = field(default_factory=dict)
    kind: Kind = Kind.INVENTORY
    verified_uid: str = ""
    check: str = ""
    peer: str = ""
    status_interval: int = 0
    number: int = 0
    progress: Progress = field(default_factory=Progress)

    @property
    def is_over(self) -> bool:
        return self.state in (State.SUCCESS, State.FAILURE)

    @property
    def status(self) -> str:
        """Transaction Status (0008,0417). Waiting for a worker is PROCESSING too: the standard has no word for it."""
        if self.state is State.PAUSED:
            return "PAUSED"
        if self.state is State.SUCCESS:
            return "COMPLETE"
        if self.state is State.FAILURE:
            return "FAILURE" if self.cancellation is None else "CANCELED"
        return "PROCESSING"

    @property
    def percent(self) -> int:
        """How much of the snapshot is read, 0 to 100; 100 only when the root is written."""
        if self.state is State.SUCCESS:
            return 100
        return min(99, 100 * self.progress.position // self.total_studies) if self.total_studies else 0

    @property
    def run(self) -> Run:
        description = f"{self.level} inventory" + (f": {self.description}" if self.description.isprintable() else "")
        return Run(self.study_uid, self.series_uid, self.started[:8], self.started[8:], description[:64].rstrip(": "))

    def parsed_scope(self) -> Scope:
        return Scope.parse(self.scope, self.timezone)


def utc_now() -> str:
    """This moment in Orthanc's form of it."""
    return utc_time(datetime.datetime.now(datetime.timezone.utc))


def utc_time(moment: datetime.datetime) -> str:
    """A moment in UTC in Orthanc's form of it: the later one is the greater text."""
    return moment.strftime(_UTC_TIME)


def from_utc_time(text: str) -> datetime.datetime:
    """What ``utc_time`` made."""
    return datetime.datetime.strptime(text, _UTC_TIME).replace(tzinfo=datetime.timezone.utc)
