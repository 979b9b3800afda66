"""A verification as a transaction: its requests and answers, pause, cancel, stop and crash, and what others see of it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import requests

from orthanc_inventory.reports.guarded_csv import unguard

from . import archive, foreign, script
from .archive import uid
from .server import SCRIPT, Server
from .test_routes import OFTEN, metrics, wait_for_metrics
from .test_verification import counts, findings, places, verify

Make = Callable[..., Server]
STUDIES = 12


def damaged_server(make_server: Make) -> tuple[Server, str]:
    """12 studies, of which every third is missing, and every fourth has an instance more than its inventory says."""
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(STUDIES))
    root = server.make()["SOPInstanceUID"]
    for study in server.get("/studies?expand"):
        number = int(study["PatientMainDicomTags"]["PatientID"][1:])
        if number % 3 == 0:
            server.delete(f"/studies/{study['ID']}")
        elif number % 4 == 0:
            server.store(archive.file(number, 1, 1, 2))
    server.store(archive.file(20, 1), archive.file(21, 1))
    return server, root


EXPECTED = sorted([
    *(("Missing", "STUDY", uid(number, 1)) for number in (3, 6, 9, 12)),
    *(("Extra", "INSTANCE", uid(number, 1, 1, 2)) for number in (4, 8)),
    *(("Extra", "STUDY", uid(number, 1)) for number in (20, 21)),
])
NUMBERS = {"Checked": 12, "Missing": 4, "Extra": 4, "Later": 4}


def check(server: Server, transaction: dict[str, Any]) -> None:
    assert (transaction["State"], transaction["Progress"]) == ("Success", 100), transaction
    assert places(findings(server, transaction)) == EXPECTED and counts(transaction) == NUMBERS
    assert transaction["Studies"] == transaction["Instances"] == STUDIES


HALTING = """
from orthanc_inventory.production import verification
from orthanc_inventory.production.verification import Verification
def wait_for_others(*arguments):
    while not os.path.exists(folder + "/others"):
        time.sleep(0.01)
"""


def begin(server: Server, root: str, check: str = "EXISTS") -> str:
    answer = server.post(f"/inventories/{root}/verify", {"Check": check})
    assert set(answer) == {"ID", "Path"} and answer["Path"] == f"/inventories/transactions/{answer['ID']}"
    return answer["ID"]


def change(server: Server, identifier: str, what: str, **body: Any) -> dict[str, Any]:
    return server.post(f"/inventories/transactions/{identifier}/{what}", body or None)


def test_it_goes_from_pending_to_success_in_the_same_queue(make_server: Make) -> None:
    server, root = damaged_server(make_server)
    server.stop()
    # Longer than a second, which is how often metrics are told.
    server.configuration["Inventory"]["ThrottleDelay"] = 150
    # The inventory is made when the others wait already, the verification halts after nine studies.
    server.start_with(f"{HALTING}\nhalt(9, Verification)\nat(Producer, '_begin', [1], wait_for_others)")
    making = server.begin()
    verifying = begin(server, root)
    again = server.begin()
    status = server.get("/inventories/status")
    assert verifying in status["Pending"] and again in status["Pending"]
    (server.folder / "others").touch()
    assert server.wait_for(making)["Kind"] == "Inventory" and server.transaction(making)["Verification"] is None
    running = server.wait_until(verifying, Studies=9)
    assert running["State"] == "Running" and 0 < running["Progress"] < 100 and running["Level"] == "INSTANCE"
    assert running["Remaining"] is None or running["Remaining"] > 0
    assert metrics(server)["orthanc_inventory_running"] == 1
    server.let_go()
    check(server, server.wait_for(verifying))
    assert server.wait_for(again)["State"] == "Success"
    assert server.get("/inventories/transactions")[1:] == [making, verifying, again]
    # The studies are those of the inventory that was made last: two came, four went.
    wait_for_metrics(
        server, running=0, run_studies=10, verification_missing=4, verification_extra=4, verification_checked=12,
        verification_progress=100,
    )


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_pause_resume_and_restart(make_server: Make) -> None:
    server, root = damaged_server(make_server)
    server.stop()
    server.start_with(f"{HALTING}\nhalt(4, Verification)")
    verifying = begin(server, root)
    server.wait_until(verifying, Studies=4)
    assert change(server, verifying, "pause")["TransactionStatus"] == "PAUSED"
    assert "verifies this inventory" in server.error("DELETE", f"/inventories/{root}", 409)
    # Others have their turn meanwhile, and so have other verifications.
    server.let_go()
    check(server, server.wait_for(begin(server, root)))
    server.stop()
    (server.folder / "go on").unlink()
    server.start_with(f"{HALTING}\nhalt(3, Verification)")
    assert server.transaction(verifying)["State"] == "Paused"
    change(server, verifying, "resume")
    server.wait_until(verifying, Studies=3)
    server.stop()
    server.start()
    check(server, server.wait_for(verifying))
    assert not [line for line in server.log_lines() if "fails" in line]
    server.delete(f"/inventories/{root}")
    check(server, server.transaction(verifying))


@pytest.mark.parametrize("retain", [False, True])
def test_what_was_found_until_it_was_cancelled_is_kept(make_server: Make, retain: bool) -> None:
    server, root = damaged_server(make_server)
    server.stop()
    server.start_with(f"{HALTING}\nverification._STUDIES_BETWEEN_CHECKPOINTS = 3\nhalt(7, Verification)")
    verifying = begin(server, root)
    server.wait_until(verifying, Studies=7)
    cancelled = change(server, verifying, "cancel", RetainInstances=retain)
    assert (cancelled["State"], cancelled["TransactionStatus"], cancelled["ErrorCode"]) == ("Failure", "CANCELED", 37)
    found = findings(server, cancelled)
    missing = [entry for entry in found if entry["Kind"] == "Missing"]
    assert cancelled["Verification"]["Checked"] == 6 and cancelled["Verification"]["Missing"] == len(missing)
    assert set(places(found)) <= set(EXPECTED)
    assert cancelled["TransactionStatusComment"].startswith("cancelled; ")
    server.delete(f"/inventories/{root}")


# What dies when, with a checkpoint after each second study.
POINTS = {
    "before the studies of the archive are in the journal": "at(Findings, 'begin', [1], die)",
    "after they are": "at(Findings, 'begin', [1], die, after=True)",
    "before the first checkpoint": "at(Findings, 'checkpoint', [1], die)",
    "after the third checkpoint": "at(Findings, 'checkpoint', [3], die, after=True)",
    "between checkpoints": "at(Examination, 'study', [6], die)",
    "while something is looked up again": "at(Findings, 'checkpoint', [4], die)",
    "while what is extra is looked for": "at(Examination, 'unlisted', [2], die)",
    "before the end is in the journal": "at(Journal, 'finish', [1], die)",
    "when the end is in the journal": "at(Journal, 'finish', [1], die, after=True)",
}
SCRIPTED = """
from orthanc_inventory.production import verification
from orthanc_inventory.production.examination import Examination
from orthanc_inventory.production.findings import Findings
verification._STUDIES_BETWEEN_CHECKPOINTS = 2
"""


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_verification_goes_on_by_itself(make_server: Make, point: str) -> None:
    server, root = damaged_server(make_server)
    server.stop()
    server.configuration["PythonScript"] = str(script.write(server.folder, SCRIPTED + POINTS[point]))
    server.start()
    with suppress(requests.RequestException):  # it may die before it answers
        begin(server, root)
    server.wait_until_dead()
    server.configuration["PythonScript"] = str(SCRIPT)
    server.start()
    verifying = server.get("/inventories/transactions")[-1]
    check(server, server.wait_for(verifying))
    # Nothing is left of what it had yet to look at.
    server.stop()
    with sqlite3.connect(server.state_directory / "journal.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM unmatched").fetchone() == (0,)


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_what_is_being_replaced_is_looked_up_once_more(make_server: Make) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(2, 1, 1, 2))
    root = server.make()["SOPInstanceUID"]
    server.stop()
    # A study is deleted as the verification begins, and stored anew as soon as that was seen.
    files = [archive.file(1, 1, 1, number) for number in (1, 2)]
    for number, file in enumerate(files):
        (server.folder / f"{number}.dcm").write_bytes(file)
    text = SCRIPTED + """
from orthanc_inventory.production.examination import Doubtful
def delete(*arguments):
    query = {"Level": "Study", "Query": {"PatientID": "P0001"}}
    for study in json.loads(orthanc.RestApiPost("/tools/find", json.dumps(query))):
        orthanc.RestApiDelete("/studies/" + study)
def again(*arguments):
    open(folder + "/seen", "a").write("x")
    for number in range(2):
        orthanc.RestApiPost("/instances", open(f"{folder}/{number}.dcm", "rb").read())
at(Findings, "begin", [1], delete)
at(Doubtful, "__init__", [1], again)
"""
    server.configuration["PythonScript"] = str(script.write(server.folder, text))
    server.start()
    for kind in ("EXISTS", "MD5"):
        (server.folder / "seen").unlink(missing_ok=True)
        assert counts(verify(server, root, kind)) == {"Checked": 4}
        if kind == "EXISTS":
            assert (server.folder / "seen").read_text() == "x"


def test_findings_are_paged_filtered_and_written_as_csv_or_uids(make_server: Make) -> None:
    server, root = damaged_server(make_server)
    transaction = verify(server, root)
    path = f"/inventories/transactions/{transaction['ID']}/findings"
    whole = server.get(path)
    assert set(whole[0]) == {
        "Kind", "Level", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ID", "Items", "Reason", "Attributes",
        "Received", "Later",
    }
    assert server.get(f"{path}?since=2&limit=3") == whole[2:5] and server.get(f"{path}?since=99") == []
    missing = [entry for entry in whole if entry["Kind"] == "Missing"]
    assert server.get(f"{path}?kind=Missing") == missing and server.get(f"{path}?kind=Missing&since=1&limit=1") == missing[1:2]
    assert server.get(f"{path}?kind=Missing,Extra") == whole
    answer = server.request("GET", f"{path}?format=uids&kind=Missing")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.split() == sorted({entry["StudyInstanceUID"] for entry in missing})
    assert server.request("GET", f"{path}?format=uids&since=1&limit=2").text.split() == sorted(
        {entry["StudyInstanceUID"] for entry in whole}
    )[1:3]
    answer = server.request("GET", f"{path}?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [{key: unguard(value) for key, value in row.items()} for row in rows] == [
        {key: "" if value in (None, {}) else str(value) for key, value in entry.items()} for entry in whole
    ]
    assert len(server.request("GET", f"{path}?format=csv&limit=2").text.splitlines()) == 3
    assert server.error("GET", f"{path}?format=xml", 400) == "format must be one of json, csv, uids"
    assert server.error("GET", f"{path}?kind=Lost", 400).startswith("kind must be one or several of Missing,Damaged")
    assert "limit must be an integer from 1 to 1000" in server.error("GET", f"{path}?limit=1001", 400)
    server.error("GET", "/inventories/transactions/1.2.3/findings", 404)
    made = server.get("/inventories/transactions")[0]
    assert "only verifications" in server.error("GET", f"/inventories/transactions/{made}/findings", 404)


def test_bad_requests_are_refused_and_change_nothing(server: Server) -> None:
    root = server.make()["SOPInstanceUID"]
    path = f"/inventories/{root}/verify"

    def refused(body: Any, status: int = 400) -> str:
        return server.error("POST", path, status, data=body if isinstance(body, str) else json.dumps(body))

    assert refused({"Check": "SHA"}) == "Check must be one of EXISTS, SIZE, MD5"
    assert refused({"Check": 1}) == "Check must be text"
    assert "Level is unknown" in refused({"Level": "STUDY"})
    assert refused({"Synchronous": 1}) == "Synchronous must be true or false"
    assert "must be JSON" in refused("{")
    assert "GET /inventories lists" in server.error("POST", "/inventories/1.2.3/verify", 404)
    parts = foreign.inventory("1.9.99", references=[foreign.reference("1.9.98")])
    assert server.request("POST", "/inventories/import", data=foreign.encode(parts)).status_code == 200
    assert "not here" in server.error("POST", "/inventories/1.9.99/verify", 409)
    assert len(server.get("/inventories/transactions")) == 1
    assert counts(verify(server, root)) == {}


def test_an_inventory_that_is_lost_meanwhile_ends_it_as_a_failure(make_server: Make) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start_with("at(Producer, '_begin', [2], hold)")
    server.store(*archive.files(3))
    root = server.make()["SOPInstanceUID"]
    running = server.begin()
    verifying = begin(server, root)
    [file] = list(server.state_directory.rglob(f"{root}.dcm"))
    file.unlink()
    server.let_go()
    server.wait_for(running)
    failed = server.wait_for(verifying)
    assert (failed["State"], failed["TransactionStatus"]) == ("Failure", "FAILURE")
    assert failed["TransactionStatusComment"] == f"the inventory cannot be read: the inventory instance {root} is not there"
    server.delete(f"/inventories/{root}")


def test_the_log_tells_of_it_and_names_no_patient(make_server: Make) -> None:
    server = make_server(inventory={"ThrottleDelay": 50, "StoreIn": "Directory"}).start_with(OFTEN)
    server.store(*archive.files(2))
    root = server.make()["SOPInstanceUID"]
    server.store(*archive.files(20)[2:])
    transaction = verify(server, root)
    lines = [line for line in server.log_lines() if line.startswith(transaction["ID"])]
    first, *between, last = [line.split()[1] for line in lines]
    assert (first, last) == ("starts:", "is") and set(between) == {"runs:"}
    assert f"EXISTS of the inventory {root}" in lines[0] and "2 instances checked: 0 missing" in lines[-1]
    assert "18 extra" in lines[-1] and "22 of 22 studies looked at" in lines[-1]
    for secret in ("Family", "P0001", archive.ROOT):
        assert not [line for line in server.log_lines() if secret in line]


def test_a_journal_of_an_earlier_version_is_read(make_server: Make) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(2))
    made = server.post("/inventories", {"Synchronous": True})
    server.stop()
    with sqlite3.connect(server.state_directory / "journal.db") as connection:
        connection.execute("PRAGMA user_version = 0")
        for table in ("findings", "unmatched", "shares"):
            connection.execute(f"DROP TABLE {table}")
        for column, keys in (("document", ("kind", "verified_uid", "check")), ("progress", ("verified",))):
            for key in keys:
                connection.execute(f"UPDATE transactions SET {column} = json_remove({column}, '$.{key}')")
    server.start()
    assert server.transaction(made["ID"]) == made and made["Kind"] == "Inventory"
    assert metrics(server)["orthanc_inventory_run_studies"] == 2
    assert counts(verify(server, made["SOPInstanceUID"])) == {"Checked": 2}
