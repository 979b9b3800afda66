"""Study records from another archive, by queries of study, series and instances (PS3.17 YYYY.7.1)."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ...dicom.keys import Key, Kind, name
from ...dicom.records import Attributes, InstanceRecord, SeriesRecord, Skipped, StudyRecord
from ...dicom.scope import InvalidScope, Scope
from ...dicom.terms import LEVELS, TIMEZONE_ADJUST
from ...dicom.uids import INVENTORY_STORAGE
from ...dicom.wild_cards import is_pattern
from .. import Encoded, SourceFailed, StudyDeleted, StudyUnreadable
from ..group import Group
from ..selection import deeper, within
from . import IMAGE, SERIES, STUDY, Peer, PeerFailed, PeerUnreachable
from .listing import Listing, Period
from .return_keys import return_keys
from .study_list import COLUMNS, StudyList, digest_of, split_identifier

# How often a study is read whose numbers are not those of what is listed: it may have changed meanwhile.
_ATTEMPTS = 2
# Rests (seconds) before a question is asked again; before an archive that is away is asked again, at the start and later.
_RESTS = (0.5, 2.0)
_SHORT_PATIENCE = (1.0, 3.0)
_LONG_PATIENCE = (1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0)
# Keys that every archive matches as the standard says (PS3.4 C.6.2.1), and that leave little room for another reading.
_PUSHED = ("PatientID", "AccessionNumber")
_QUERY_LEVELS = dict(zip(LEVELS, (STUDY, SERIES, IMAGE), strict=True))
_SERIES_COUNT, _INSTANCE_COUNT = "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"
_COUNT_IN_SERIES = "NumberOfSeriesRelatedInstances"
# What is filled in where the archive leaves it empty.
_FILLED = ("ModalitiesInStudy", _SERIES_COUNT, _INSTANCE_COUNT, "RetrieveAETitle", "RetrieveURL")
# Told by whoever reads the records, whether the archive tells it or not.
_RECORDED = {
    "STUDY": ("ModalitiesInStudy", _SERIES_COUNT, _INSTANCE_COUNT),
    "SERIES": ("Modality",),
    "INSTANCE": (),
}


class RemoteSource:
    """The archive behind a ``Peer``, a ``Source``. A snapshot of it has the identifiers of ``StudyList``.

    Args:
        detail: ``Files`` to ask for all that records can hold, else for what archives have at hand.
        pseudo_patient: the PatientID under which an Orthanc keeps inventories themselves; they are never records.
        wait: rests for some seconds; raises when the run is to stop, also for 0.
        log: gets lines for the administrator.
        has_begun: whether something is lost if the archive is away for a while.
    """

    withdrawn: Mapping[str, str] = {}
    notes: Sequence[str] | None = None

    def __init__(
        self, peer: Peer, detail: str, pseudo_patient: str, wait: Callable[[float], None], log: Callable[[str], None],
        has_begun: bool = False,
    ) -> None:
        self._peer = peer
        self._detail = detail
        self._pseudo_patient = pseudo_patient
        self._wanted = return_keys(detail, repository=False)
        self._wait = wait
        self._log = log
        self._patience: Sequence[float] = _LONG_PATIENCE if has_begun else _SHORT_PATIENCE
        self.unlisted: Sequence[Skipped] = ()

    @property
    def name(self) -> str:
        return self._peer.name

    def begin(self) -> None:
        self._until_reached(self._peer.open)
        self._wanted = return_keys(self._detail, repository=self._peer.is_whole)
        self._log(f"the archive is asked by {self._peer.name}")

    def end(self) -> None:
        self._peer.close()

    def check(self, scope: Scope) -> None:
        if scope.labels:
            raise InvalidScope("Scope.Labels cannot be matched: they are of this Orthanc, and no other archive tells them")
        for key in self.unknown(scope):
            hint = "" if self._detail == "Files" else "; ask with Detail Files"
            raise InvalidScope(f"{name(key.path)} cannot be matched: other archives are not asked for it{hint}")

    def unknown(self, scope: Scope) -> list[Key]:
        return [key for key in scope.keys if key.path[0] not in self._known(scope.level_of(key))]

    def _known(self, level: str) -> tuple[str, ...]:
        return (*self._wanted[_QUERY_LEVELS[level]], *_RECORDED[level])

    # All studies

    def studies(self, scope: Scope) -> Collection[str]:
        uids = next((key.values for key in scope.keys if key.path == ("StudyInstanceUID",) and key.kind is not Kind.EMPTY), ())
        if uids:
            return self._named(uids)
        listing = Listing(self._ask_studies, dict(_pushed(scope)), _days(scope))
        try:
            self.unlisted = listing.run(self._peer.is_whole, self._peer.is_paged)
        except PeerFailed as error:
            raise SourceFailed(f"the studies of the archive cannot be listed: {error}") from None
        cut = ", which cuts its answers short" if listing.is_cut else ""
        self._log(f"{len(listing.studies)} studies are found by {listing.questions} questions to the archive{cut}")
        self._patience = _LONG_PATIENCE
        return listing.studies

    def _named(self, uids: Sequence[str]) -> StudyList:
        found = StudyList()
        for uid in uids:
            self._ask_studies({"StudyInstanceUID": uid}, found.add, lambda: None)
        return found

    def _ask_studies(
        self, keys: Mapping[str, str], take: Callable[[Attributes], None], begin: Callable[[], None]
    ) -> bool:
        return self._ask(STUDY, keys, COLUMNS, take, begin)

    # One study

    def group(self, studies: Sequence[str], level: str, scope: Scope, uids: Sequence[str] = ()) -> Group:
        """Each study is asked for alone."""
        return Group(studies[:1], {}, set())

    def read(
        self,
        study: str,
        level: str,
        scope: Scope,
        encode: Callable[[StudyRecord], Encoded],
        group: Group | None = None,
    ) -> tuple[Encoded, list[Skipped]] | None:
        self._patience = _LONG_PATIENCE
        try:
            for attempt in range(_ATTEMPTS):
                record, skipped = self._record(study, level, scope)
                if not skipped:
                    break
        except PeerFailed as error:
            raise StudyUnreadable(f"the archive does not tell it: {error}") from None
        if record is None:
            return None
        if not scope.matches_study(record.attributes):
            unknown = [key for key in scope.keys if scope.level_of(key) == "STUDY" and key.path[0] not in record.attributes]
            if unknown and scope.may_match_study(record.attributes):
                told = ", ".join(key.path[0] for key in unknown)
                raise StudyUnreadable(f"the archive does not tell {told}, so that it may be in scope or not")
            return None
        series = within(scope, record.series)
        if series is None:
            if skipped:
                raise StudyUnreadable("some of its instances cannot be read, so that it may be in scope or not")
            return None
        record.series = series
        return encode(record), skipped

    def _record(self, study: str, level: str, scope: Scope) -> tuple[StudyRecord | None, list[Skipped]]:
        """The record with all its series, None if it cannot be in scope, and what is not as the archive counts it.

        Raises:
            StudyDeleted, StudyUnreadable, PeerFailed
        """
        uid, digest = split_identifier(study)
        head = self._head(uid, digest)
        if not scope.may_match_study(head):
            return None, []
        keys = {"StudyInstanceUID": uid}
        if digest:
            keys["PatientID"] = head.get("PatientID", "")
        if head.get("PatientID") == self._pseudo_patient and self._is_inventory(keys):
            return None, []
        skipped: list[Skipped] = []
        now = datetime.datetime.now(datetime.timezone.utc)
        series: list[SeriesRecord] = []
        depth = deeper(level, scope.deepest_level)
        if depth != "STUDY":
            series = self._series(keys, head.get(_SERIES_COUNT), skipped)
            if depth == "INSTANCE":
                for entry in series:
                    self._add_instances(keys, entry, skipped)
                total = sum(len(entry.instances) for entry in series)
                _compare(uid, "Study", "instances", head.get(_INSTANCE_COUNT), total, skipped)
                head.setdefault(_INSTANCE_COUNT, str(total))
            head.setdefault(_SERIES_COUNT, str(len(series)))
            modalities = {entry.attributes.get("Modality") or "OT" for entry in series}
            head.setdefault("ModalitiesInStudy", "\\".join(sorted(modalities)))
        attributes = {**self._peer.access, **head, "ItemInventoryDateTime": now.strftime("%Y%m%d%H%M%S.%f+0000")}
        identifier = hashlib.sha1(study.encode(), usedforsecurity=False).hexdigest()
        return StudyRecord(identifier, attributes, series), skipped

    def _is_inventory(self, keys: Mapping[str, str]) -> bool:
        """Whether a study of the pseudo patient holds inventories only: a real patient may have chosen the same ID."""
        series = self._series(keys, None, [])
        for entry in series:
            self._add_instances(keys, entry, [])
        classes = {instance.attributes.get("SOPClassUID") for entry in series for instance in entry.instances}
        return classes == {INVENTORY_STORAGE}

    def _head(self, uid: str, digest: str) -> dict[str, Any]:
        """What the archive says of the study itself.

        Raises:
            StudyDeleted, StudyUnreadable, PeerFailed
        """
        for _ in range(_ATTEMPTS):  # looked up once more before it counts as deleted
            answers, _ = self._answers(STUDY, {"StudyInstanceUID": uid})
            heads = {answer.get("PatientID", ""): answer for answer in answers if answer.get("StudyInstanceUID") == uid}
            if digest and heads:
                heads = {patient: head for patient, head in heads.items() if digest_of(patient) == digest}
                if not heads:
                    raise StudyUnreadable("several patients had its Study Instance UID, and this one has it no longer")
            if len(heads) > 1:
                raise StudyUnreadable("several patients have its Study Instance UID now, and one had it when it was listed")
            for head in heads.values():
                told = {keyword: value for keyword, value in head.items() if value != "" or keyword not in _FILLED}
                if "RetrieveURL" in told:  # in an inventory it is the base of all studies
                    told["RetrieveURL"] = str(told["RetrieveURL"]).removesuffix(f"/studies/{uid}")
                return told
        raise StudyDeleted

    def _series(self, keys: Mapping[str, str], counted: Any, skipped: list[Skipped]) -> list[SeriesRecord]:
        uid = keys["StudyInstanceUID"]
        found, is_finished = self._found(SERIES, keys, "SeriesInstanceUID", skipped)
        _compare(uid, "Study", "series", counted, len(found), skipped)
        if not is_finished:
            skipped.append(Skipped(uid, "Study", f"the archive tells {len(found)} of its series, and that there are more"))
        return [SeriesRecord(identifier, answer) for identifier, answer in found.items()]

    def _add_instances(self, keys: Mapping[str, str], series: SeriesRecord, skipped: list[Skipped]) -> None:
        keys = {**keys, "SeriesInstanceUID": series.identifier}
        found, is_finished = self._found(IMAGE, keys, "SOPInstanceUID", skipped)
        series.instances = [InstanceRecord(identifier, answer) for identifier, answer in found.items()]
        _compare(series.identifier, "Series", "instances", series.attributes.get(_COUNT_IN_SERIES), len(found), skipped)
        if not is_finished:
            reason = f"the archive tells {len(found)} of its instances, and that there are more"
            skipped.append(Skipped(series.identifier, "Series", reason))

    def _found(
        self, level: str, keys: Mapping[str, str], identifier: str, skipped: list[Skipped]
    ) -> tuple[dict[str, Attributes], bool]:
        """The answers by their UIDs. Not all archives look at each key: what says that it belongs elsewhere is left out."""
        answers, is_finished = self._answers(level, keys)
        found: dict[str, Attributes] = {}
        nameless = 0
        for answer in answers:
            if all(answer.get(keyword) in (None, "", value) for keyword, value in keys.items()):
                if uid := answer.get(identifier):
                    found[uid] = answer
                else:
                    nameless += 1
        if nameless:
            *_, (_, above) = (entry for entry in keys.items() if entry[0] != "PatientID")
            kind = "Study" if level == SERIES else "Series"
            skipped.append(Skipped(above, kind, f"{nameless} records below it have no {identifier}"))
        return found, is_finished

    # Questions

    def _answers(self, level: str, keys: Mapping[str, str]) -> tuple[list[Attributes], bool]:
        answers: list[Attributes] = []
        wanted = tuple(dict.fromkeys((*self._wanted[level], *keys)))
        is_finished = self._ask(level, keys, wanted, answers.append, answers.clear)
        return answers, is_finished

    def _ask(
        self, level: str, keys: Mapping[str, str], wanted: Sequence[str], take: Callable[[Attributes], None],
        begin: Callable[[], None],
    ) -> bool:
        """Asks until there is an answer; ``begin`` is called before each attempt.

        Raises:
            PeerFailed: the archive is there, and does not answer this.
            SourceFailed: it is no longer there.
        """

        def attempt() -> bool:
            self._wait(0)
            begin()
            return self._peer.ask(level, keys, wanted, take)

        for rest in (*_RESTS, None):
            try:
                return self._until_reached(attempt)
            except PeerFailed:
                self._wait(0)
                self._peer.close()
                if rest is None:
                    raise
                self._wait(rest)
        raise AssertionError

    def _until_reached(self, attempt: Callable[[], Any]) -> Any:
        for rest in (*self._patience, None):
            try:
                return attempt()
            except PeerUnreachable as error:
                self._wait(0)
                self._peer.close()
                if rest is None:
                    raise SourceFailed(f"the archive cannot be reached: {error}") from None
                self._wait(rest)


def _compare(identifier: str, level: str, what: str, counted: Any, listed: int, skipped: list[Skipped]) -> None:
    """Notes where the archive lists another number than it says itself."""
    try:
        number = int(counted)
    except (TypeError, ValueError):  # it says none
        return
    if number != listed:
        skipped.append(Skipped(identifier, level, f"the archive counts {number} {what} of it and lists {listed}"))


def _pushed(scope: Scope) -> list[tuple[str, str]]:
    return [
        (keyword, key.values[0])
        for key in scope.keys
        for keyword in key.path[:1]
        if keyword in _PUSHED and len(key.path) == 1 and key.kind is Kind.GENERAL and len(key.values) == 1
        and not is_pattern(key.values[0])
    ]


def _days(scope: Scope) -> Period:
    """The first and the last Study Date that can match."""
    dates = next((key for key in scope.keys if key.path == ("StudyDate",)), None)
    if dates is None or TIMEZONE_ADJUST in scope.mechanisms or not _is_period(dates):
        return None, None
    first, last = dates.values[0], dates.values[-1]
    return _ordinal(first), _ordinal(last)


def _is_period(key: Key) -> bool:
    return key.kind is Kind.RANGE or (key.kind is Kind.GENERAL and len(key.values) == 1)


def _ordinal(date: str) -> int | None:
    return datetime.date(int(date[:4]), int(date[4:6]), int(date[6:])).toordinal() if date else None
