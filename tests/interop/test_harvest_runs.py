"""Runs over another archive: what is refused, what fails, and what a crash or a stop leaves of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from pynetdicom import evt

from tests.integration import archive
from tests.integration.server import Server, free_port

from .foreign_archive import ForeignArchive
from .test_harvest import SOURCE, difference, harvest, start

MakeServer = Callable[..., Server]


def test_what_cannot_be_a_source_is_refused(make_server: MakeServer) -> None:
    own = make_server(configuration={"DicomModalities": {"peer": ["PEER", "127.0.0.1", free_port()]}}).start()

    def refused(status: int, **body: Any) -> str:
        return own.error("POST", "/inventories", status, json=body)

    known = "Source.Modality must be one of the modalities that Orthanc knows: peer"
    assert refused(404, Source={"Modality": "other"}) == known
    assert "DICOMweb plugin" in refused(404, Source={"DicomWeb": "other"})
    for source in ({}, {"Modality": 1}, {"Modality": "peer", "DicomWeb": "peer"}, {"Folder": "/"}):
        assert refused(400, Source=source) == 'Source must be {"Modality": "name"} or {"DicomWeb": "name"}'
    assert refused(400, Source=["peer"]) == "Source must be an object or null"
    assert "Base must not stand with Source" in refused(400, Source=SOURCE, Base="latest")
    assert "Scope.Labels cannot be matched" in refused(400, Source=SOURCE, Scope={"Labels": ["a"]})
    assert "Scope.Laterality cannot be matched" in refused(400, Source=SOURCE, Scope={"Laterality": "L"})
    assert own.get("/inventories/transactions") == []


def test_an_archive_that_is_not_there_fails_the_run(make_server: MakeServer) -> None:
    own = make_server(configuration={"DicomModalities": {"peer": ["PEER", "127.0.0.1", free_port()]}}).start()
    transaction = own.post("/inventories", {"Source": SOURCE, "Synchronous": True})
    assert (transaction["State"], transaction["SOPInstanceUID"]) == ("Failure", None)
    assert transaction["ErrorDescription"] == "the archive cannot be reached: no connection to peer: Connection refused"
    assert own.get("/inventories") == []


def test_only_two_harvests_at_once(make_server: MakeServer) -> None:
    configured = {"DicomModalities": {"peer": ["PEER", "127.0.0.1", free_port()]}}
    own = make_server(configuration=configured, inventory={"MaximumPendingRuns": 5})
    own.start_with("at(Producer, '_begin', [1], until_interrupted)")
    runs = [own.begin(Source=SOURCE) for _ in range(2)]
    own.wait_for(runs[0], "Running")
    for run in runs:
        own.post(f"/inventories/transactions/{run}/pause")
    message = own.error("POST", "/inventories", 503, json={"Source": SOURCE})
    assert message == "2 runs with a Source are not over, which is the most: try later, or cancel one"
    assert own.make()["Studies"] == 0
    own.post(f"/inventories/transactions/{runs[0]}/cancel")
    own.begin(Source=SOURCE)


def test_a_harvest_is_no_base_and_counts_apart(make_server: MakeServer) -> None:
    other, own = start(make_server, *archive.files(3))
    own.store(archive.file(9, 1))
    _, summary = harvest(own)
    assert "no COMPLETE inventory" in own.error("POST", "/inventories", 404, json={"Base": "latest"})
    message = own.error("POST", "/inventories", 400, json={"Base": summary["SOPInstanceUID"]})
    assert message == "Base must be an inventory that this Orthanc made itself, and that is not Recovered"
    own.make()
    groups = own.get("/inventories/statistics")
    assert [(group["Source"], len(group["Inventories"])) for group in groups] == [(SOURCE, 1), (None, 1)]


def test_a_harvest_goes_on_after_a_crash(make_server: MakeServer) -> None:
    other, own = start(make_server, *archive.files(12, 1, 1, 2), inventory={"MaxRecordsPerInstance": 4})
    own.stop()
    own.start_with("at(Journal, 'checkpoint', [3], die, after=True)")
    uid = own.begin_to_die(Source=SOURCE)
    own.start()
    transaction = own.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Source"]) == ("Success", 12, SOURCE), own.log()
    [root] = own.get("/inventories?expand")
    assert root["InventoryCompletionStatus"] == "COMPLETE" and difference(other, own, root) == []
    assert len(own.studies(root)) == 12


def test_a_list_that_was_not_finished_is_made_anew(make_server: MakeServer) -> None:
    foreign, reached = ForeignArchive([archive.dataset(number, 1, 1, 1) for number in range(1, 31)]), threading.Event()
    is_slow = True

    def fault(number: int, event: evt.Event) -> None:
        if is_slow and number > 5:
            reached.set()
            time.sleep(0.2)

    foreign.fault = fault
    with foreign.serve() as port:
        own = make_server(configuration={"DicomModalities": {"peer": ["FOREIGN", "127.0.0.1", port]}}).start()
        uid = own.begin(Source=SOURCE)
        assert reached.wait(60)
        assert own.post(f"/inventories/transactions/{uid}/pause")["State"] == "Paused"
        own.kill()
        own.start()
        is_slow = False
        own.post(f"/inventories/transactions/{uid}/resume")
        transaction = own.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", 30, [])


def test_what_the_list_may_lack_is_still_told_after_a_crash(make_server: MakeServer) -> None:
    same = [archive.file(1, number, StudyDate="20200101", AccessionNumber="A") for number in range(1, 9)]
    limits = {"LimitFindResults": 5}
    other, own = start(make_server, *same, *archive.files(9)[1:], peer=limits, inventory={"MaxRecordsPerInstance": 4})
    before, _ = harvest(own)
    own.stop()
    own.start_with("at(Journal, 'checkpoint', [2], die, after=True)")
    uid = own.begin_to_die(Source=SOURCE)
    own.start()
    after = own.wait_for(uid)
    assert (after["State"], after["Skipped"]) == ("Success", before["Skipped"])


def test_studies_that_come_and_go_meanwhile(make_server: MakeServer) -> None:
    other, own = start(make_server, *archive.files(30), inventory={"ThrottleDelay": 100})
    uid = own.begin(Source=SOURCE)
    own.wait_until(uid, Studies=1)
    [last] = other.post("/tools/find", {"Level": "Study", "Query": {"PatientID": "P0009"}, "Expand": True})
    other.delete(f"/studies/{last['ID']}")
    other.store(archive.file(99, 1))
    transaction = own.wait_for(uid)
    assert (transaction["State"], transaction["Skipped"]) == ("Success", [])
    assert transaction["Studies"] + transaction["DeletedStudies"] == 30


def test_an_archive_that_goes_away_for_a_while(make_server: MakeServer) -> None:
    foreign, port = ForeignArchive([archive.dataset(number, 1, 1, 1) for number in range(1, 31)]), free_port()
    modalities = {"peer": ["FOREIGN", "127.0.0.1", port]}
    own = make_server(configuration={"DicomModalities": modalities}, inventory={"ThrottleDelay": 100}).start()
    with foreign.serve(port=port):
        uid = own.begin(Source=SOURCE)
        own.wait_until(uid, Studies=3)
    with foreign.serve(port=port):
        transaction = own.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", 30, []), own.log()


def test_orthanc_stops_while_it_harvests(make_server: MakeServer) -> None:
    other, own = start(make_server, *archive.files(30), inventory={"ThrottleDelay": 100})
    uid = own.begin(Source=SOURCE)
    own.wait_until(uid, Studies=2)
    own.stop()
    own.start()
    transaction = own.wait_for(uid)
    assert (transaction["State"], transaction["Studies"]) == ("Success", 30)
    assert "Traceback" not in own.log()
