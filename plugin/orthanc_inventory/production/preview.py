"""How many studies an inventory would have, without making one."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from ..dicom.scope import Scope
from ..sources import Source, StudyDeleted, StudyUnreadable
from ..sources.group import Group

# Studies that are known ahead, so that several can be read at once.
_FOLLOWING = 1000


class Stopped(Exception):
    """Orthanc stops: its index can be read no longer."""


def count_studies(source: Source, scope: Scope, stopping: Event) -> int:
    """The studies in scope at this moment, read one after the other as a run would; those it could not read do not count.

    Raises:
        Stopped, HostError
    """
    try:
        source.begin()
        return sum(_in_scope(source, scope, stopping))
    finally:
        source.end()


def _in_scope(source: Source, scope: Scope, stopping: Event) -> Iterator[bool]:
    """Of each study that may be, whether it is."""
    snapshot = list(source.studies(scope))
    group: Group | None = None
    for place, study in enumerate(snapshot):
        if stopping.is_set():
            raise Stopped
        if group is None or study not in group.studies:
            group = source.group(snapshot[place : place + _FOLLOWING], "STUDY", scope)
        try:
            yield source.read(study, "STUDY", scope, lambda record: None, group) is not None
        except (StudyDeleted, StudyUnreadable):
            continue
