"""How many studies an inventory would have, without making one."""

from __future__ import annotations

from threading import Event

from ..dicom.scope import Scope
from ..sources import Source, StudyDeleted, StudyUnreadable


class Stopped(Exception):
    """Orthanc stops: its index can be read no longer."""


def count_studies(source: Source, scope: Scope, stopping: Event) -> int:
    """The studies in scope at this moment, read one after the other as a run would; those it could not read do not count.

    Raises:
        Stopped, HostError
    """
    studies = 0
    for study in source.studies(scope):
        if stopping.is_set():
            raise Stopped
        try:
            studies += source.read(study, "STUDY", scope, lambda record: None) is not None
        except (StudyDeleted, StudyUnreadable):
            continue
    return studies
