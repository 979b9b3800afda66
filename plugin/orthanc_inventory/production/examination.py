"""One study looked at: whether what an inventory lists is in the archive, with the sizes and digests that it tells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..dicom.records import InstanceRecord, Skipped
from ..dicom.scope import Scope
from ..dicom.values import without_padding
from ..host import HostError, identifier_of
from ..reader.inventory import Inventory
from ..reader.merged import MergedStudy
from ..reader.records import Instance
from ..sources import Archive, Moved, StudyDeleted, StudyUnreadable
from ..sources.group import Group
from ..sources.stored_files import StoredFiles
from .comparison import Listed, Stored, different_numbers, extra, missing, pairs
from .findings import Finding, FindingKind
from .transaction import Verified

_LENGTH, _TRANSFER_SYNTAX = 0x0008040D, 0x0008040E
_FILE_TAGS = frozenset({_LENGTH, _TRANSFER_SYNTAX})
_DIGESTS = {"RIPEMD160": "ripemd160", "MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}


class Doubtful(Exception):
    """Something seems to be missing, or could not be read: the study may be about to be replaced."""


class Outcome(NamedTuple):
    """``matched`` are Orthanc's IDs of the studies that are those of the inventory."""

    verified: Verified
    series: int
    instances: int
    findings: list[Finding]
    matched: list[str]


NOTHING = Outcome(Verified(), 0, 0, [], [])


class Examination:
    """Looks at the studies of one inventory.

    Args:
        archive: reads what is there.
        scoped: reads what is within the scope of the inventory; None: this archive cannot match that.
        check: one of ``CHECKS``.
        breathe: called before each file that is read; may raise Interrupted.
    """

    def __init__(
        self,
        inventory: Inventory,
        archive: Archive,
        scoped: Archive | None,
        scope: Scope,
        files: StoredFiles,
        check: str,
        breathe: Callable[[], None],
    ) -> None:
        self._inventory = inventory
        self._archive = archive
        self._scoped = scoped
        self._scope = scope
        self._files = files
        self._check = check
        self._breathe = breathe
        self._level = inventory.level
        self._by_identifiers = check == "EXISTS" and inventory.level == "INSTANCE"
        # What is read of studies: the series tell the instances, too.
        self._read_level = "INSTANCE" if inventory.level == "INSTANCE" else "SERIES"
        self._group: Group | None = None

    def study(self, study: MergedStudy, following: Sequence[MergedStudy] = (), again: bool = False) -> Outcome:
        """``following`` are those that are to be looked at next.

        Raises: Doubtful, unless this is ``again``; InvalidInventory, MissingInstance, Interrupted, HostError.
        """
        own = _identifier(study)
        listed = Listed([study], self._level)
        group = None if again else self._group_of([study, *following])
        if self._by_identifiers and self._is_just_as_listed(listed, own, group):
            return _outcome(listed, [own])
        # What is in a group is taken once.
        stored, skipped = self._read([own], again, None if self._by_identifiers else group)
        identifiers = [own]
        if not stored:
            studies, identifiers = self._others(study, own)
            if not studies:
                return NOTHING
            if len(studies) > 1:
                listed = Listed(studies, self._level)
            stored, skipped = self._read(identifiers, again)
        return self._compare(listed, stored, skipped, identifiers, again)

    def _others(self, study: MergedStudy, own: str) -> tuple[list[MergedStudy], list[str]]:
        """The studies of the inventory and those of the archive that have this UID, but are not one by their Patient ID.

        Orthanc makes its ID from both, so that none is found when the inventory withholds the Patient ID, tells it in
        another form, or comes from an archive that knows the patient by another one. No study of the inventory: it was
        looked at together with the first of them.
        """
        candidates = self._archive.studies_with(study.uid)
        if own in candidates:  # it is there by now
            return [study], [own]
        listed = {identifier_of(other.patient_id, study.uid): other for other in self._inventory.study(study.uid)}
        left = [other for identifier, other in listed.items() if identifier not in candidates]
        if left and left[0].patient_id != study.patient_id:
            return [], []
        return left or [study], [identifier for identifier in candidates if identifier not in listed]

    def _group_of(self, studies: Sequence[MergedStudy]) -> Group:
        """That of the first of these studies, read anew with those that follow it where it is in none."""
        if self._group is None or _identifier(studies[0]) not in self._group.studies:
            level = "SERIES" if self._by_identifiers else self._read_level
            uids = [study.uid for study in studies]
            self._group = self._archive.group([_identifier(study) for study in studies], level, Scope(), uids)
        return self._group

    def _is_just_as_listed(self, listed: Listed, own: str, group: Group | None) -> bool:
        """By IDs alone, which is fast; False: the study must be read to tell in what it differs."""
        try:
            present = set(self._archive.children(own, group)[1])
        except (StudyDeleted, HostError):
            return False
        expected, known = listed.identifiers()
        return expected <= present <= known and bool(present)

    def _read(
        self, identifiers: Sequence[str], again: bool, group: Group | None = None
    ) -> tuple[list[Stored], dict[str, str]]:
        """What is there of these studies, and why what cannot be read of them cannot, by ID."""
        found, skipped = [], []
        for identifier in identifiers:
            try:
                read = self._archive.read(identifier, self._read_level, Scope(), Stored.from_record, group)
            except StudyDeleted:
                continue
            except StudyUnreadable as error:
                if not again:
                    raise Doubtful from None
                skipped.append(Skipped(identifier, "Study", str(error)))
                continue
            if read is not None:
                found.append(read[0])
                skipped += read[1]
        return found, {entry.identifier: entry.reason for entry in skipped}

    def _compare(
        self, listed: Listed, stored: list[Stored], skipped: Mapping[str, str], identifiers: list[str], again: bool
    ) -> Outcome:
        findings = [self._unreadable(finding, stored, skipped) for finding in missing(listed, stored)]
        if not again and any(finding.kind is FindingKind.MISSING for finding in findings):
            raise Doubtful
        unchecked = 0
        if self._check != "EXISTS":
            for series, instance, record in pairs(listed, stored):
                finding = self._file(listed.study_uid, series, instance, record)
                if isinstance(finding, Finding):
                    findings.append(finding)
                    if finding.kind is FindingKind.MISSING and not again:
                        raise Doubtful
                else:
                    unchecked += not finding
        findings += self._extra(listed, stored)
        if not findings and self._level != "INSTANCE" and stored:
            findings += different_numbers(listed, stored)
        outcome = _outcome(listed, identifiers, findings)
        return outcome._replace(verified=outcome.verified._replace(unchecked=unchecked))

    def _unreadable(self, finding: Finding, stored: list[Stored], skipped: Mapping[str, str]) -> Finding:
        """What seems to be missing may be there, but damaged in the index, so that there is no record of it."""
        if not skipped:
            return finding
        uids = [uid for uid in (finding.series_uid, finding.uid) if uid]
        patients = [entry.attributes.get("PatientID", "").strip() for entry in stored]
        names = [identifier_of(patient, finding.study_uid, *uids) for patient in patients] or [finding.identifier, *skipped]
        for name in names:
            if name in skipped:
                return finding._replace(kind=FindingKind.DAMAGED, identifier=name, reason=skipped[name])
        return finding

    def _extra(self, listed: Listed, stored: list[Stored]) -> list[Finding]:
        found = [finding for entry in stored for finding in extra(listed, entry, self._level, listed.moment)]
        if not found or self._scoped is None:
            return []
        if self._level == "INSTANCE" and not self._scope.keys and not self._scope.labels:
            return found
        found = []
        for entry in stored:
            try:
                read = self._scoped.read(entry.identifier, "INSTANCE", self._scope, Stored.from_record)
            except (StudyDeleted, StudyUnreadable):
                continue
            if read is not None:
                found += extra(listed, read[0], self._level, listed.moment)
        return found

    def unlisted(self, identifier: str, moment: int) -> list[Finding]:
        """What of a study of the archive that is none of the inventory is in its scope.

        Args:
            moment: when the inventory was made, as microseconds since 1970 in UTC.
        """
        assert self._scoped is not None
        try:
            read = self._scoped.read(identifier, "INSTANCE", self._scope, Stored.from_record)
        except StudyDeleted:
            return []
        except StudyUnreadable as error:
            return [Finding(FindingKind.EXTRA, "STUDY", "", identifier=identifier, reason=str(error))]
        if read is None:
            return []
        stored = read[0]
        uid, patient = stored.study_uid, without_padding(stored.attributes.get("PatientID", ""))
        same = [study for study in self._inventory.study(uid) if without_padding(study.patient_id) == patient]
        if any(identifier_of(study.patient_id, uid) == identifier for study in same):
            return []  # it is listed, and has come back after it was found to be missing
        # Orthanc holds studies apart whose Patient IDs differ in padding only; in an inventory they are one (PS3.5 6.2).
        return list(extra(Listed(same, self._level) if same else None, stored, self._level, moment))

    # Files

    def _file(self, study_uid: str, series_uid: str, instance: Instance, record: InstanceRecord) -> Finding | bool:
        """What is wrong with the file of an instance; or whether there was anything to compare it with."""
        (access,) = record.attributes["FileAccessSequence"]
        size, md5 = access["FileLengthInContainer"], access.get("MAC", "")
        syntax = access["StoredInstanceTransferSyntaxUID"]
        place = "INSTANCE", study_uid, series_uid, instance.uid, record.identifier, 1

        def different(keyword: str, told: Any, found: Any) -> Finding:
            reason = "its size is another one" if keyword == "FileLengthInContainer" else "its digest is another one"
            return Finding(FindingKind.DIFFERENT, *place, reason, {keyword: (told, found)})

        if self._check == "SIZE":
            told = instance.values((), _FILE_TAGS)
            if told.get(_LENGTH) == size and told.get(_TRANSFER_SYNTAX, syntax) == syntax:
                return True
        # The standard lets an instance have several files. Those in another transfer syntax say nothing of this one.
        files = [file for file in instance.files() if file.get("StoredInstanceTransferSyntaxUID", syntax) == syntax]
        lengths = [file["FileLengthInContainer"] for file in files if isinstance(file.get("FileLengthInContainer"), int)]
        if self._check == "SIZE":
            if not lengths or not isinstance(size, int):
                return False
            return True if size in lengths else different("FileLengthInContainer", lengths[0], size)
        self._breathe()
        digests = [(str(file.get("MACAlgorithm", "")), str(file["MAC"]).lower()) for file in files if file.get("MAC")]
        digests = [(algorithm, mac) for algorithm, mac in digests if _is_known(algorithm)]
        try:
            # A file may have been replaced just when it was to be read.
            problem = md5 and self._files.problem(record.identifier, record.file)
            problem = problem and self._files.problem(record.identifier, None)
            if problem:
                return Finding(FindingKind.DAMAGED, *place, problem)
            if lengths and isinstance(size, int) and size not in lengths:
                return different("FileLengthInContainer", lengths[0], size)
            is_hashed = md5 and all(algorithm == "MD5" for algorithm, _ in digests)
            content = b"" if is_hashed else self._files.read(record.identifier)
        except Moved:
            return Finding(FindingKind.MISSING, *place)
        except HostError as error:
            return Finding(FindingKind.DAMAGED, *place, f"the file cannot be read: {error}")
        found = [md5 if algorithm == "MD5" and md5 else _digest(algorithm, content) for algorithm, _ in digests]
        if digests and not any(mac == digest for (_, mac), digest in zip(digests, found)):
            return different("MAC", digests[0][1], found[0])
        return bool(digests or md5)


def _identifier(study: MergedStudy) -> str:
    """Orthanc's ID of it, if it has the Patient ID of the inventory."""
    return identifier_of(study.patient_id, study.uid)


def _is_known(algorithm: str) -> bool:
    return _DIGESTS.get(algorithm) in hashlib.algorithms_available


def _digest(algorithm: str, content: bytes) -> str:
    return hashlib.new(_DIGESTS[algorithm], content, usedforsecurity=False).hexdigest()


def _outcome(listed: Listed, matched: list[str], findings: Sequence[Finding] = ()) -> Outcome:
    instances = sum(map(len, listed.series.values()))
    verified = count(findings)._replace(checked=listed.items)
    return Outcome(verified, len(listed.series), instances, list(findings), matched)


def count(findings: Sequence[Finding]) -> Verified:
    """In items."""

    def of(kind: FindingKind) -> int:
        return sum(finding.items for finding in findings if finding.kind is kind)

    return Verified(
        missing=of(FindingKind.MISSING),
        damaged=of(FindingKind.DAMAGED),
        different=of(FindingKind.DIFFERENT),
        extra=of(FindingKind.EXTRA),
        later=sum(finding.items for finding in findings if finding.later),
    )
