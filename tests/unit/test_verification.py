"""A verification against an archive in memory: what cannot be read there, and what the journal keeps of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orthanc_inventory.dicom.records import Skipped, StudyRecord
from orthanc_inventory.host import identifier_of
from orthanc_inventory.production.findings import Finding, FindingKind, Findings
from orthanc_inventory.production.journal import KEPT_TRANSACTIONS, Journal
from orthanc_inventory.production.throttle import Throttle
from orthanc_inventory.production.transaction import Kind, Progress, State, Transaction, Verified
from orthanc_inventory.production.verification import Verification, summary
from orthanc_inventory.sources import StudyDeleted

from .inventories import file, opened, study
from .memory import MemorySource

Add = Callable[..., Transaction]
ALL = tuple(FindingKind)
FINDING = Finding(FindingKind.MISSING, "INSTANCE", "1.1", "1.1.1", "1.1.1.1", "", 1, "", {"MAC": ("a", "b")}, "", None)


def stored(patient: str, uid: str, series: dict[str, list[str]]) -> StudyRecord:
    """The same study as the inventory has it, with IDs such as Orthanc's."""
    record = study(uid, series, patient=patient)
    record.identifier = identifier_of(patient, uid)
    record.attributes = {**record.attributes, "NumberOfStudyRelatedSeries": "1", "NumberOfStudyRelatedInstances": "2"}
    for entry in record.series:
        entry.identifier = identifier_of(patient, uid, entry.attributes["SeriesInstanceUID"])
        for instance in entry.instances:
            names = entry.attributes["SeriesInstanceUID"], instance.attributes["SOPInstanceUID"]
            instance.identifier = identifier_of(patient, uid, *names)
    return record


class Archive(MemorySource):
    """Objects of which the IDs are in ``skipped`` are there, and have no record."""

    skipped: tuple[Skipped, ...] = ()

    def children(self, *arguments: Any) -> tuple[str, Sequence[str]]:
        raise StudyDeleted  # so that studies are read

    def read(self, study: str, *arguments: Any) -> Any:
        if study not in self._studies:
            raise StudyDeleted
        read = super().read(study, *arguments)
        return read and (read[0], list(self.skipped))


def verified(journal: Journal, add: Add, archive: Archive, content: bytes) -> tuple[Transaction, list[Finding]]:
    findings = Findings(journal)
    transaction = add(kind=Kind.VERIFICATION, verified_uid="1.9", check="EXISTS")
    Verification(
        transaction, lambda breathe: opened({"1.9": content}, "1.9"), archive, archive, None,  # type: ignore[arg-type]
        findings, journal, Throttle(), threading.Event(), lambda line: None, lambda: None,
    ).run(lambda: None)
    kept = journal.transaction(transaction.uid)
    assert kept == transaction and kept.state is State.SUCCESS
    return transaction, list(findings.read(transaction, ALL))


def test_what_is_there_and_cannot_be_read_is_damaged_and_not_missing(journal: Journal, add_transaction: Add) -> None:
    series = {"1.1.1": ["1.1.1.1", "1.1.1.2"]}
    archive = Archive(stored("P1", "1.1", {"1.1.1": ["1.1.1.1"]}), stored("P2", "1.2", {"1.2.1": ["1.2.1.1"]}))
    unread = identifier_of("P1", "1.1", "1.1.1", "1.1.1.2")
    archive.skipped = (Skipped(unread, "Instance", "no header"),)
    archive.unreadable.add(identifier_of("P2", "1.2"))
    content = file("1.9", [study("1.1", series, patient="P1"), study("1.2", {"1.2.1": ["1.2.1.1"]}, patient="P2")])
    transaction, found = verified(journal, add_transaction, archive, content)
    assert [(entry.kind, entry.level, entry.identifier, entry.reason) for entry in found] == [
        ("Damaged", "INSTANCE", unread, "no header"),
        ("Damaged", "STUDY", identifier_of("P2", "1.2"), "the index is damaged"),
    ]
    assert transaction.progress.verified == Verified(checked=3, damaged=2)
    # It was tried twice.
    assert archive.reads.count(identifier_of("P2", "1.2")) >= 2


def test_findings_and_progress_are_kept_in_one_step(journal: Journal, add_transaction: Add) -> None:
    findings, transaction = Findings(journal), add_transaction(kind=Kind.VERIFICATION)
    findings.begin(transaction, ["a", "b", "c"])
    progress = Progress(position=1, verified=Verified(checked=1, missing=1))
    findings.checkpoint(transaction, progress, [FINDING], ["b", "unknown"])
    assert progress.position == 2 and findings.unmatched(transaction) == ["a", "c"]
    with pytest.raises(TypeError):
        findings.checkpoint(transaction, Progress(position=9), [FINDING, FINDING._replace(attributes={"x": {1}})], ["a"])
    kept = journal.transaction(transaction.uid)
    assert kept is not None and kept.progress == progress
    assert [entry._replace(attributes={}) for entry in findings.read(transaction, ALL)] == [FINDING._replace(attributes={})]
    assert findings.unmatched(transaction) == ["a", "c"]
    # What begins anew forgets what was left over.
    findings.begin(transaction, ["d"])
    assert findings.unmatched(transaction) == ["d"]


def test_findings_are_read_in_parts_and_go_with_their_transaction(journal: Journal, add_transaction: Add) -> None:
    findings, transaction = Findings(journal), add_transaction(kind=Kind.VERIFICATION)
    many = [
        Finding(kind, "INSTANCE", f"1.{number:04}", "", "", "", number)
        for number in range(1500) for kind in (FindingKind.MISSING, FindingKind.EXTRA)
    ]
    findings.checkpoint(transaction, Progress(), many[:700], [])
    findings.checkpoint(transaction, Progress(), many[700:], [])
    assert list(findings.read(transaction, ALL)) == many
    assert [entry.items for entry in findings.read(transaction, ["Extra"], since=400)] == list(range(400, 1500))
    assert list(findings.study_uids(transaction, ["Missing"])) == [f"1.{number:04}" for number in range(1500)]
    transaction.state = State.SUCCESS
    journal.finish(transaction)
    assert len(list(findings.read(transaction, ALL))) == 3000
    for _ in range(KEPT_TRANSACTIONS):
        journal.finish(add_transaction(state=State.SUCCESS))
    assert list(findings.read(transaction, ALL)) == [] and journal.database.read("SELECT COUNT(*) FROM findings") == [(0,)]


def test_what_was_found_is_said_in_one_line() -> None:
    assert summary(Verified(120), "INSTANCE", "EXISTS") == "all 120 instances are there"
    assert summary(Verified(120, 3, 1), "INSTANCE", "MD5") == "of 120 instances listed: 3 missing, 1 damaged"
    assert summary(Verified(7, unchecked=2), "SERIES", "SIZE") == (
        "all 7 series are there with their sizes; 2 have nothing to compare with"
    )
