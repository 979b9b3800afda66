"""``orthanc-inventory harvest``: archives of other makes become inventories without any Orthanc."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

import orthanc_inventory
from tests.integration import archive
from tests.integration.server import REPOSITORY, free_port

from .foreign_archive import REPOSITORY_QUERY, STUDY_ROOT, ForeignArchive


def objects(patients: int = 4, studies: int = 2, series: int = 2, instances: int = 3) -> list[Dataset]:
    return [
        archive.dataset(patient, study, one_series, instance)
        for patient in range(1, patients + 1)
        for study in range(1, studies + 1)
        for one_series in range(1, series + 1)
        for instance in range(1, instances + 1)
    ]


def command(port: int, output: Path, *arguments: str) -> list[str]:
    peer = f"FOREIGN@127.0.0.1:{port}"
    return [sys.executable, "-m", "orthanc_inventory", "harvest", "--peer", peer, "--output", str(output), "--json", *arguments]


def harvest(port: int, output: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what it tells as JSON, and what it tells people."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugin")}
    done = subprocess.run(command(port, output, *arguments), capture_output=True, text=True, timeout=120, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def recorded(output: Path) -> list[tuple[str, str, str, str]]:
    """All instance records: Patient ID, study, series and SOP Instance UID."""
    inventory = orthanc_inventory.open(output)
    return sorted(
        (study.patient_id, study.uid, series.uid, instance.uid)
        for study in inventory.merged_studies()
        for series in study.series()
        for instance in series.instances()
    )


def expected(held: list[Dataset]) -> list[tuple[str, str, str, str]]:
    return sorted((one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID) for one in held)


@pytest.mark.parametrize("limit", [0, 5, 12])
def test_answers_that_are_cut_in_silence(tmp_path: Path, limit: int) -> None:
    held = objects(8, 2, 2, 3)
    with ForeignArchive(held, limit).serve() as port:
        code, told, errors = harvest(port, tmp_path / "out")
    assert (code, told["Skipped"], told["InventoryCompletionStatus"]) == (0, [], "COMPLETE"), errors
    assert recorded(tmp_path / "out") == expected(held)
    [file] = (tmp_path / "out").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_series_that_is_cut_in_silence_is_told(tmp_path: Path) -> None:
    held = objects(8, 1, 1, 2) + objects(1, 1, 1, 9)[2:]
    with ForeignArchive(held, limit=7).serve() as port:
        code, told, errors = harvest(port, tmp_path / "out")
    assert (code, told["InventoryCompletionStatus"], told["Instances"]) == (1, "PARTIAL", 7 + 14)
    series = archive.uid(1, 1, 1)
    assert {"ID": series, "Level": "Series", "Reason": "the archive counts 9 instances of it and lists 7"} in told["Skipped"]
    assert f"Series {series}: the archive counts 9 instances of it and lists 7" in errors


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_repository_query_is_read_page_by_page(tmp_path: Path, limit: int) -> None:
    held = objects()
    foreign = ForeignArchive(held, limit)
    with foreign.serve(REPOSITORY_QUERY, STUDY_ROOT) as port:
        code, told, errors = harvest(port, tmp_path / "out")
    assert (code, told["Skipped"]) == (0, []), errors
    assert "Repository Query" in errors and recorded(tmp_path / "out") == expected(held)
    # No study is looked for in parts: the protocol itself proves that there are no more.
    assert not [one for one in foreign.asked if one.get("StudyDate") or one.get("PatientID")]


def test_repository_query_goes_on_where_an_association_broke(tmp_path: Path) -> None:
    held = objects(6, 1, 1, 1)
    foreign = ForeignArchive(held, limit=2)

    def fault(number: int, event: evt.Event) -> int | None:
        if number == 2:
            event.assoc.abort()
            return 0xC000
        return None

    foreign.fault = fault
    with foreign.serve(REPOSITORY_QUERY) as port:
        code, told, errors = harvest(port, tmp_path / "out")
    assert (code, told["Skipped"]) == (0, []) and recorded(tmp_path / "out") == expected(held)
    lists = [one for one in foreign.asked if not one.StudyInstanceUID]
    # What was known when it broke is not asked for again.
    assert [bool(one.get("PriorRecordKey")) for one in lists] == [False, True, True, True]


def test_a_study_that_the_archive_fails_to_tell_is_skipped(tmp_path: Path) -> None:
    held = objects()
    foreign = ForeignArchive(held)
    bad = archive.uid(2, 1)

    def fault(number: int, event: evt.Event) -> int | None:
        asked = event.identifier
        return 0xC123 if asked.QueryRetrieveLevel == "SERIES" and asked.StudyInstanceUID == bad else None

    foreign.fault = fault
    with foreign.serve() as port:
        code, told, errors = harvest(port, tmp_path / "out")
    reason = "the archive does not tell it: it answers with the status C123H"
    assert (code, told["Skipped"]) == (1, [{"ID": bad, "Level": "Study", "Reason": reason}])
    assert recorded(tmp_path / "out") == expected([one for one in held if one.StudyInstanceUID != bad])


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_what_no_vr_allows_is_brought_into_form(tmp_path: Path) -> None:
    held = objects(2, 1, 1, 1)
    held[0].StudyDescription = "Schädel"
    held[0].SpecificCharacterSet = "ISO_IR 100"
    foreign = ForeignArchive(held)

    def alter(level: str, answer: Dataset) -> None:
        if level == "STUDY":
            answer.SpecificCharacterSet = "ISO_IR 100"
            date = answer.StudyDate
            answer.StudyDate = f"{date[:4]}.{date[4:6]}.{date[6:]}"
            if "PatientSex" in answer:
                answer.PatientSex = "o"
        elif level == "SERIES":
            answer["SeriesNumber"].VR = "US"  # text is what it must be

    foreign.alter = alter
    with foreign.serve() as port:
        code, told, errors = harvest(port, tmp_path / "out")
    [first, second] = orthanc_inventory.open(tmp_path / "out").studies()
    assert told["CorrectedValues"] >= 4 and told["InventoryCompletionStatus"] in ("COMPLETE", "PARTIAL")
    assert first.attributes["StudyDescription"] == "Schädel" and first.attributes["PatientSex"] == "O"
    assert first.attributes["StudyDate"] == held[0].StudyDate and first.attributes["RetrieveAETitle"] == "FOREIGN"


def test_an_archive_without_numbers(tmp_path: Path) -> None:
    foreign = ForeignArchive(objects(2, 1, 2, 3))

    def alter(level: str, answer: Dataset) -> None:
        for element in answer:
            if element.keyword.startswith("NumberOf") or element.keyword == "ModalitiesInStudy":
                del answer[element.tag]

    foreign.alter = alter
    with foreign.serve() as port:
        code, told, errors = harvest(port, tmp_path / "out")
    assert (code, told["Skipped"]) == (0, [])
    for study in orthanc_inventory.open(tmp_path / "out").studies():
        attributes = study.attributes
        counts = attributes["NumberOfStudyRelatedSeries"], attributes["NumberOfStudyRelatedInstances"]
        assert (counts, attributes["ModalitiesInStudy"]) == (("2", "6"), "CT\\MR")


def test_a_scope_and_levels(tmp_path: Path) -> None:
    held = objects()
    with ForeignArchive(held).serve() as port:
        code, told, _ = harvest(port, tmp_path / "ct", "--scope", "Modality=CT", "--scope", "StudyDate=20110101-20111231")
        assert (code, recorded(tmp_path / "ct")) == (
            0, expected([one for one in held if one.Modality == "CT" and one.StudyDate[:4] == "2011"])
        )
        code, told, _ = harvest(port, tmp_path / "series", "--level", "series", "--scope", "PatientID=P0002")
        assert (code, told["Studies"], told["Series"], told["Instances"]) == (0, 2, 4, 0)
        code, told, _ = harvest(port, tmp_path / "one", "--scope", f"StudyInstanceUID={archive.uid(3, 1)}")
        assert (code, told["Studies"]) == (0, 1)
        code, _, errors = harvest(port, tmp_path / "none", "--scope", "Laterality=L")
        assert code == 2 and "Scope.Laterality cannot be matched" in errors and not (tmp_path / "none").exists()


def test_what_it_cannot_do_is_told_in_one_line(tmp_path: Path) -> None:
    code, _, errors = harvest(free_port(), tmp_path / "out", "--timeout", "5")
    last = errors.splitlines()[-1]
    assert code == 2 and "the archive cannot be reached" in last and "Connection refused" in last
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    code, _, errors = harvest(free_port(), tmp_path / "full")
    assert code == 2 and "is there already" in errors
    code, _, errors = harvest(free_port(), tmp_path / "out", "--url", "http://127.0.0.1:1")
    assert code == 2 and "Give either --peer" in errors
    with ForeignArchive([]).serve(REPOSITORY_QUERY[:-1] + "9") as port:
        code, _, errors = harvest(port, tmp_path / "out")
    assert code == 2 and "accepts neither Repository Query nor Study Root C-FIND" in errors


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    foreign = ForeignArchive(objects())
    foreign.fault = lambda number, event: time.sleep(0.2) if number > 100 else None  # type: ignore[func-returns-value]
    with foreign.serve() as port:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugin")}
        process = subprocess.Popen(
            command(port, tmp_path / "out"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        deadline = time.monotonic() + 60
        while len(foreign.asked) < 105:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        assert any(tmp_path.iterdir()) and not (tmp_path / "out").exists()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
