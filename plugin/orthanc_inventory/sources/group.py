"""Studies that are read together, because Orthanc answers for several of them nearly as fast as for one."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..dicom.records import InstanceRecord, Skipped
from ..host import HostError
from . import Moved
from .originals import note_of

# A group is large enough with so many instances: some full answers and a small one, which costs Orthanc nearly as much. Studies
# with more of them than one of a group may have are read alone.
_INSTANCES = 4000
_INSTANCES_OF_ONE = 250
# Studies that are looked at before it is known how large they are, where that counts.
_LOOK = 16
# LastUpdate counts seconds: of a study that changed this lately (seconds) it does not tell whether it changed again.
_RESTLESS = datetime.timedelta(seconds=2)

Resource = dict[str, Any]
Read = tuple[Resource, Sequence[InstanceRecord] | None, list[Skipped]]


class Strategy(Protocol):
    """One way of asking Orthanc's index. What studies say of themselves has the form of ``study_pages.head``."""

    name: str
    # As many are worth to be read in one group.
    studies_at_once: int

    def forget(self) -> None:
        """What was told of studies before is old now."""

    def heads(self, studies: Sequence[str], uids: Sequence[str] = (), following: int = 0) -> dict[str, Resource]:
        """What each study says of itself, without those that are gone; it may be from some time before.

        ``uids`` are their Study Instance UIDs, if these are known; so many others are asked for next, as ``following``.
        """

    def heads_again(self, studies: Sequence[Resource]) -> dict[str, Resource]:
        """The same, as it is now."""

    def series(self, studies: Sequence[Resource]) -> dict[str, list[Resource]]:
        """The series of each study as Orthanc expands them: ID, MainDicomTags, Instances (IDs)."""

    def instances(self, series: Sequence[Resource]) -> Iterator[Read]:
        """Each of the series, of whatever study, with the records of its instances, and those that cannot be read.

        None instead of records: the instances are no longer those that ``series`` lists.
        """


class Opened(NamedTuple):
    """A study whose series and instances are known by their IDs; all that is recorded of it is what was there at ``moment``.

    ``instances`` are there when they have been read. ``is_proven``: nothing changed while all was read. A study that is not in
    scope needs no more than what shows it: of it ``series`` may be empty.
    """

    head: Resource
    series: list[Resource]
    moment: datetime.datetime
    in_scope: bool = True
    instances: Iterable[Read] | None = None
    is_proven: bool = False


class Group:
    """``studies`` are those that were looked at. What could not be read with the others is to be read alone."""

    def __init__(self, studies: Sequence[str], opened: Mapping[str, Opened | None], moved: set[str]) -> None:
        self.studies = frozenset(studies)
        self._opened = dict(opened)
        self._moved = moved

    def take(self, study: str) -> Opened | None:
        """What was read of a study, once; None: nothing was.

        Raises:
            Moved: it changed meanwhile.
        """
        if study in self._moved:
            raise Moved
        return self._opened.pop(study, None)


def open_alone(strategy: Strategy, head: Resource) -> Opened:
    """Raises: Moved, NotFound, HostError."""
    opened = _open(strategy, [head], lambda head: True)
    if head["ID"] not in opened:
        raise Moved
    return opened[head["ID"]]


def read_group(
    strategy: Strategy,
    studies: Sequence[str],
    with_instances: bool,
    may_match_head: Callable[[Resource], bool],
    may_match: Callable[[Opened], bool],
    uids: Sequence[str] = (),
) -> Group:
    """Reads the first of the studies, as many as are worth it.

    Args:
        uids: their Study Instance UIDs, if these are known.
        may_match_head, may_match: whether a study may be in scope, by as much as is known of it.
    """
    if strategy.studies_at_once == 1:
        return Group(studies[:1], {}, set())
    looked: list[str] = []
    opened: dict[str, Opened] = {}
    try:
        most = min(strategy.studies_at_once, len(studies))
        look = _LOOK if with_instances else most
        while len(looked) < most and not (with_instances and _size(opened) >= _INSTANCES):
            part = slice(len(looked), len(looked) + look)
            looked += studies[part]
            heads = strategy.heads(studies[part], uids[part], len(studies) - len(looked))
            found = _open(strategy, list(heads.values()), may_match_head)
            found = {study: entry._replace(in_scope=entry.in_scope and may_match(entry)) for study, entry in found.items()}
            # What may change at any moment is read alone.
            opened |= {study: entry for study, entry in found.items() if not (entry.in_scope and is_restless(entry))}
        if with_instances:
            opened |= _with_instances(strategy, opened)
        proven = _proven(strategy, opened, with_instances)
    except HostError:  # each is read alone, to tell which it is
        return Group(looked, {}, set())
    return Group(looked, proven, opened.keys() - proven.keys())


def _open(strategy: Strategy, heads: list[Resource], may_match: Callable[[Resource], bool]) -> dict[str, Opened]:
    """Those of the studies whose series are what they say."""
    wanted = [head for head in heads if may_match(head)]
    series = strategy.series(wanted)
    # All that is recorded is what these lists name: whatever comes later is found to differ from them.
    now = datetime.datetime.now(datetime.timezone.utc)
    found = {head["ID"]: Opened(head, [], now, in_scope=False) for head in heads if head["ID"] not in series}
    for head in wanted:
        listed = series[head["ID"]]
        if {entry["ID"] for entry in listed} == set(head["Series"]):
            found[head["ID"]] = Opened(head, listed, now)
    return found


def _size(opened: Mapping[str, Opened]) -> int:
    return sum(_instances_of(entry) for entry in opened.values() if _is_small(entry))


def _is_small(opened: Opened) -> bool:
    return opened.in_scope and _instances_of(opened) <= _INSTANCES_OF_ONE


def _instances_of(opened: Opened) -> int:
    return sum(len(entry["Instances"]) for entry in opened.series)


def _with_instances(strategy: Strategy, opened: dict[str, Opened]) -> dict[str, Opened]:
    small = {study: entry for study, entry in opened.items() if _is_small(entry)}
    owner = {entry["ID"]: study for study, found in small.items() for entry in found.series}
    read: dict[str, list[Read]] = {study: [] for study in small}
    for answer in strategy.instances([entry for found in small.values() for entry in found.series]):
        read[owner[answer[0]["ID"]]].append(answer)
    return {study: small[study]._replace(instances=answers) for study, answers in read.items()}


def _proven(strategy: Strategy, opened: dict[str, Opened], with_instances: bool) -> dict[str, Opened]:
    """Those that did not change while they were read."""
    again = strategy.heads_again([entry.head for entry in opened.values()])
    return {
        study: entry._replace(is_proven=not _asks_for_more(entry, with_instances))
        for study, entry in opened.items()
        if again.get(study) == entry.head and _is_whole(entry)
    }


def _is_whole(opened: Opened) -> bool:
    return all(records is not None for _, records, _ in opened.instances or ())


def _asks_for_more(opened: Opened, with_instances: bool) -> bool:
    """Whether something has still to be read for its record: its instances, or what it was before it was modified."""
    return (with_instances and opened.instances is None) or any(map(note_of, (opened.head, *opened.series)))


def is_restless(opened: Opened) -> bool:
    """Whether more than LastUpdate has to be looked at, to know whether it changed."""
    last_update = opened.head["LastUpdate"]
    return not last_update or last_update >= (opened.moment - _RESTLESS).strftime("%Y%m%dT%H%M%S")
