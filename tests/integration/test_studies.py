"""The study records of an inventory as DICOM JSON, page by page."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from . import archive, foreign
from .server import Server
from .test_import import take


def parsed(records: list[dict[str, Any]]) -> list[Dataset]:
    for record in records:
        check_order(record)
    return [Dataset.from_json(json.dumps(record)) for record in records]


def check_order(record: dict[str, Any]) -> None:
    """Attributes ascend at each level (PS3.18 F.2.2)."""
    assert list(record) == sorted(record)
    for attribute in record.values():
        if attribute["vr"] == "SQ":
            for entry in attribute.get("Value", []):
                check_order(entry)


def plain(record: Dataset) -> Dataset:
    """The study record without its series."""
    result = copy.deepcopy(record)
    del result.InventoriedSeriesSequence
    return result


def test_studies_are_answered_page_by_page(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 9}).start()
    server.store(*archive.files(30), archive.file(31, 1, PatientName="Müller^Jürgen=山田^太郎"))
    summary = server.make()
    expected = {study.StudyInstanceUID: study for study in server.studies(summary)}
    path = f"/inventories/{summary['SOPInstanceUID']}/studies"
    whole = parsed(server.get(path))
    assert len(whole) == 31 and {study.StudyInstanceUID for study in whole} == set(expected)
    for study in whole:
        assert study == plain(expected[study.StudyInstanceUID])
    assert "Müller^Jürgen=山田^太郎" in [str(study.PatientName) for study in whole]
    pages = [parsed(server.get(f"{path}?since={since}&limit=7")) for since in range(0, 42, 7)]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 3, 0]
    assert [study for page in pages for study in page] == whole


def test_a_page_has_its_limit(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(105))
    path = f"/inventories/{server.make(Level='STUDY')['SOPInstanceUID']}/studies"
    assert (len(server.get(path)), len(server.get(f"{path}?limit=1000"))) == (100, 105)
    for wrong in ("limit=1001", "limit=0", "limit=x"):
        assert "limit" in server.error("GET", f"{path}?{wrong}", 400)
    assert "since" in server.error("GET", f"{path}?since=-1", 400)


@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
def test_studies_are_found_by_a_text(make_server: Callable[..., Server], store: str) -> None:
    server = make_server(inventory={"StoreIn": store}).start()
    named = {"PatientName": "Müller^Jürgen=山田^太郎", "StudyDescription": "KNEE left", "AccessionNumber": "X-77%"}
    server.store(*archive.files(30), archive.file(40, 1, **named))
    path = f"/inventories/{server.make()['SOPInstanceUID']}/studies"

    def found(text: str, more: str = "") -> list[str]:
        answer = server.request("GET", f"{path}?query={quote(text)}{more}")
        assert answer.status_code == 200
        studies = parsed(answer.json())
        assert more or int(answer.headers["X-Total-Count"]) == len(studies)
        return [study.PatientID for study in studies]

    everybody = found("")
    assert len(everybody) == 31
    for text in ("müller", "MÜLLER^JÜR", "jürgen", "Müller Jürgen", "山田", "knee LEFT", "x-77%", archive.uid(40, 1), "p0040"):
        assert found(text) == ["P0040"], text
    # A date as a whole, and no other value as a pattern.
    assert sorted(found("20130215")) == ["P0003", "P0013", "P0023"] and found("2013021") == found("_") == []
    assert found("%") == ["P0040"]
    assert found("Müller' OR 1") == found("nobody") == []
    thorax = found("thorax")
    assert len(thorax) == 30 and found("thorax", "&since=10&limit=7") == thorax[10:17]
    last = server.request("GET", f"{path}?query=thorax&since=28&limit=7")
    assert (len(last.json()), last.headers["X-Total-Count"]) == (2, "30")
    assert server.request("GET", f"{path}?since=5&limit=1").headers["X-Total-Count"] == "31"


def test_a_study_is_found_by_its_latest_record(server: Server) -> None:
    server.store(archive.file(1, 1, StudyDescription="Before"), archive.file(2, 1))
    server.make()
    server.store(archive.file(1, 1, series=2, StudyDescription="Before"))
    [study] = [one for one in server.get("/studies?expand") if one["MainDicomTags"]["StudyDescription"] == "Before"]
    server.post(f"/studies/{study['ID']}/modify", {"Replace": {"StudyDescription": "After"}, "KeepSource": False})
    path = f"/inventories/{server.make(Base='latest')['SOPInstanceUID']}/studies"
    assert [record.StudyDescription for record in parsed(server.get(f"{path}?query=after"))] == ["After"]
    [removed] = server.get(f"{path}?query=before")
    assert removed["00080405"]["Value"] == ["Y"]


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "INSTANCE"])
def test_a_study_is_answered_with_all_below_it(shared_server: Server, level: str) -> None:
    summary = shared_server.make(Level=level)
    for study in shared_server.studies(summary):
        [record] = parsed(shared_server.get(f"/inventories/{summary['SOPInstanceUID']}/studies/{study.StudyInstanceUID}"))
        assert record == study
    shared_server.error("GET", f"/inventories/{summary['SOPInstanceUID']}/studies/2.25.99", 404)
    shared_server.error("GET", "/inventories/2.25.99/studies/2.25.99", 404)
    shared_server.error("GET", "/inventories/2.25.99/studies", 404)


def test_a_study_of_two_patients_is_two_records(server: Server) -> None:
    server.store(archive.file(1, 1), archive.file(1, 1, PatientID="OTHER", SOPInstanceUID=archive.uid(1, 1, 1, 9)))
    uid = server.make()["SOPInstanceUID"]
    records = parsed(server.get(f"/inventories/{uid}/studies/{archive.uid(1, 1)}"))
    assert sorted(record.PatientID for record in records) == ["OTHER", "P0001"]


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, foreign.DEFLATED])
def test_what_came_from_elsewhere_is_answered_too(server: Server, transfer_syntax: str) -> None:
    studies = [foreign.study(number, 2, 3) for number in range(1, 4)]
    take(server, foreign.encode(foreign.inventory("1.9.99", studies), transfer_syntax))
    found = parsed(server.get("/inventories/1.9.99/studies"))
    assert [str(study.PatientName) for study in found] == [f"Foreign{number}^Müller" for number in range(1, 4)]
    [whole] = parsed(server.get("/inventories/1.9.99/studies/1.9.2"))
    assert [len(series.InventoriedInstancesSequence) for series in whole.InventoriedSeriesSequence] == [3, 3]
    access = whole.InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].FileAccessSequence[0]
    # A URI of others is text.
    assert (access.FileAccessURI, access.FileLengthInContainer) == ("./../../etc/passwd", 1000)


def test_a_tree_that_is_not_whole_is_refused(server: Server) -> None:
    root = foreign.inventory("1.9.1", [foreign.study(1)], [foreign.reference("1.9.2")], TotalNumberOfStudyRecords=2)
    take(server, foreign.encode(root))
    for path in ("studies", "studies/1.9.1", "statistics"):
        assert "Missing" in server.error("GET", f"/inventories/1.9.1/{path}", 409)
    take(server, foreign.encode(foreign.inventory("1.9.2", [foreign.study(2)])))
    assert [study.PatientID for study in parsed(server.get("/inventories/1.9.1/studies"))] == ["F1", "F2"]


def test_patients_are_not_in_the_log(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"Verbose": False}).start()
    server.store(*archive.files(2))
    uid = server.make()["SOPInstanceUID"]
    assert "Family1" in server.request("GET", f"/inventories/{uid}/studies").text
    assert "Family1" not in server.log()
