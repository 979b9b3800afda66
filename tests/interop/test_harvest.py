"""Another archive becomes an inventory, asked by C-FIND: everything of it is there, or what may lack is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration import archive
from tests.integration.server import DEBIAN_SID, Server

from .peer import start as start_application_entity

MakeServer = Callable[..., Server]
SOURCE = {"Modality": "peer"}


def start(
    make_server: MakeServer, *files: bytes, peer: dict[str, Any] | None = None, timeout: int = 10, **arguments: Any
) -> tuple[Server, Server]:
    """An Orthanc with these files, and one that knows it as the modality "peer"."""
    other = make_server(configuration={"DicomAlwaysAllowFind": True, "DicomAet": "PEER", **(peer or {})}).start()
    other.store(*files)
    modality = {"AET": "PEER", "Host": "127.0.0.1", "Port": other.dicom_port, "Timeout": timeout}
    own = make_server(configuration={"DicomModalities": {"peer": modality}}, **arguments).start()
    return other, own


def harvest(own: Server, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The finished transaction, and the summary of its inventory."""
    transaction = own.post("/inventories", {"Source": SOURCE, "Synchronous": True, **body})
    assert transaction["State"] == "Success", (transaction, own.log())
    return transaction, own.get(f"/inventories/{transaction['SOPInstanceUID']}")


def difference(other: Server, own: Server, summary: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    """What is not the same in an inventory that the archive makes of itself."""
    native = other.make(Level=summary["InventoryLevel"], **body)
    file = other.request("GET", f"/inventories/{native['SOPInstanceUID']}/archive").content
    answer = own.request("POST", f"/inventories/{summary['SOPInstanceUID']}/compare", data=file)
    assert answer.status_code == 200, answer.text
    assert answer.json()["Differences"] or answer.json()["Coverage"] == 1
    return answer.json()["Differences"]


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "INSTANCE"])
def test_another_archive_is_listed_as_it_lists_itself(make_server: MakeServer, level: str) -> None:
    other, own = start(make_server, *archive.files(7, 2, 2, 3))
    transaction, summary = harvest(own, Level=level)
    assert (summary["InventoryCompletionStatus"], transaction["Skipped"]) == ("COMPLETE", []), own.log_lines()
    assert (summary["Studies"], transaction["Source"], summary["Source"]) == (14, SOURCE, SOURCE)
    assert difference(other, own, summary) == []
    [study, *_] = own.studies(summary)
    assert study.RetrieveAETitle == "PEER" and study.NumberOfStudyRelatedInstances == 6
    [access] = own.file(summary["SOPInstanceUID"]).StudyAccessEndPointsSequence
    assert access.RetrieveAETitle == "PEER"


def difficult() -> list[bytes]:
    """60 studies: some on many days, many on one, some without a date, and two patients with one Study Instance UID."""
    undated = dict(StudyDate=None, StudyTime=None)
    shared = archive.uid(300)
    return [
        *archive.files(20),
        *(
            archive.file(number, 1, StudyDate="20200101", StudyTime=f"{number % 24:02}{number % 60:02}00")
            for number in range(100, 125)
        ),
        *(archive.file(number, 1, **undated) for number in range(200, 213)),
        *(
            archive.file(number, 1, StudyInstanceUID=shared, SeriesInstanceUID=f"{shared}.{number}") for number in (300, 301)
        ),
    ]


@pytest.mark.parametrize("limit", [0, 10, 60])
def test_an_archive_that_cuts_its_answers_in_silence(make_server: MakeServer, limit: int) -> None:
    other, own = start(make_server, *difficult(), peer={"LimitFindResults": limit, "LimitFindInstances": limit})
    transaction, summary = harvest(own)
    assert (summary["InventoryCompletionStatus"], transaction["Skipped"]) == ("COMPLETE", []), own.log_lines()
    assert summary["Studies"] == 60
    other.stop()
    other.configuration |= {"LimitFindResults": 0, "LimitFindInstances": 0}
    other.start()
    assert difference(other, own, summary) == []


def test_an_archive_with_repository_query_is_asked_by_that(make_server: MakeServer) -> None:
    other, port = start_application_entity(make_server, {"AeTitle": "PEER", "MaximumRecords": 7})
    other.store(*difficult(), *archive.files(2, 1, 2, 9))
    modality = {"AET": "PEER", "Host": "127.0.0.1", "Port": port}
    own = make_server(configuration={"DicomModalities": {"peer": modality}}).start()
    transaction, summary = harvest(own, Detail="Files")
    assert (summary["InventoryCompletionStatus"], transaction["Skipped"]) == ("COMPLETE", []), own.log_lines()
    assert difference(other, own, summary) == []
    asked = [line for line in other.log_lines() if "C-FIND of Repository Query" in line]
    # Lengths and digests come by no other way.
    assert asked and any("B001H after 7 pending" in line for line in asked)
    access = own.studies(summary)[0].InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].FileAccessSequence[0]
    assert access.FileLengthInContainer > 0 and access.MAC


def test_what_an_archive_says_that_it_cuts_is_told(make_server: MakeServer) -> None:
    same = [archive.file(1, number, StudyDate="20200101", AccessionNumber="A") for number in range(1, 9)]
    limits = {"LimitFindResults": 5, "LimitFindInstances": 5}
    other, own = start(make_server, *same, *archive.files(9)[1:], *archive.files(2, 1, 1, 7), peer=limits)
    transaction, summary = harvest(own)
    if summary["InventoryCompletionStatus"] == "COMPLETE":  # newer versions of Orthanc do not keep to their limits here
        assert difference(other, own, summary) == [] and summary["Studies"] == 16
        return
    assert summary["InventoryCompletionStatus"] == "PARTIAL" and "see Skipped" in transaction["TransactionStatusComment"]
    reasons = {entry["ID"]: entry["Reason"] for entry in transaction["Skipped"]}
    assert "there may be more" in reasons["StudyDate=20200101, StudyTime=101530-101530.999999"]
    cut = "the archive tells 5 of its instances, and that there are more"
    if own.installation == DEBIAN_SID:  # it does not say that it cuts, but its number of instances does
        cut = "the archive counts 7 instances of it and lists 5"
    assert reasons[archive.uid(2, 1, 1)] == cut


def test_details_and_scope(make_server: MakeServer) -> None:
    details = {"Rows": 512, "Laterality": "L", "PatientName": "Müller^Ü"}
    objects = [archive.file(patient, 1, 1, number, **details) for patient in (1, 2) for number in (1, 2)]
    other, own = start(make_server, *objects, archive.file(3, 1))
    _, summary = harvest(own, Detail="Files", Scope={"PatientName": "müller*", "Laterality": "L"})
    assert (summary["InventoryCompletionStatus"], summary["Studies"], summary["Instances"]) == ("COMPLETE", 2, 4), own.log()
    [study, _] = own.studies(summary)
    series = study.InventoriedSeriesSequence[0]
    assert (study.PatientName, series.Laterality, series.InventoriedInstancesSequence[0].Rows) == ("Müller^Ü", "L", 512)
