"""How many studies an inventory would have, without making one."""

from __future__ import annotations

from threading import Event

from ..dicom.scope import Scope
from ..sources import Source, StudyDeleted, StudyUnreadable
from ..sources.group import Group

# Studies that are known ahead, so that several can be read at once.
_FOLLOWING = 100


class Stopped(Exception):
    """Orthanc stops: its index can be read no longer."""


def count_studies(source: Source, scope: Scope, stopping: Event) -> int:
    """The studies in scope at this moment, read one after the other as a run would; those it could not read do not count.

    Raises:
        Stopped, HostError
    """
    studies = 0
    snapshot = list(source.studies(scope))
    group: Group | None = None
    for place, study in enumerate(snapshot):
        if stopping.is_set():
            raise Stopped
        if group is None or study not in group.studies:
            group = source.group(snapshot[place : place + _FOLLOWING], "STUDY", scope)
        try:
            studies += source.read(study, "STUDY", scope, lambda record: None, group) is not None
        except (StudyDeleted, StudyUnreadable):
            continue
    return studies
