"""The journal is damaged, lost, or older than what Orthanc holds; or Orthanc is: nothing is lost that the stores still hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from . import archive
from .server import Server, object_uids

STORES = ("Orthanc", "Directory")
# What the files of an inventory do not tell.
LATER = {"Recovered", "CreationTime"}
UNKNOWN = {"Detail": None, "Removed": None, "Requestor": "", "Schedule": None, "Source": None, "Expiration": None}


def recovered(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without what says that it was recovered, nor what is lost by it."""
    assert summary["Recovered"]
    return {key: value for key, value in summary.items() if key not in LATER | UNKNOWN.keys()}


def made(summary: dict[str, Any]) -> dict[str, Any]:
    assert summary["Recovered"] is None
    return {key: value for key, value in summary.items() if key not in LATER | UNKNOWN.keys()}


def content(server: Server, uid: str) -> bytes:
    answer = server.request("GET", f"/inventories/{uid}/file")
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("store", STORES)
def test_a_lost_journal_is_made_again_from_what_is_kept(make_server: Callable[..., Server], store: str) -> None:
    inventory = {"StoreIn": store, "MaxRecordsPerInstance": 6}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(5, 1, 1, 2))
    whole = server.make(Purpose="Migration", Description="The first", Scope={"PatientName": "FAMILY*"})
    server.store(*archive.files(7)[5:])
    increment = server.make(Base="latest", Scope={"PatientName": "FAMILY*"})
    server.make(Level="STUDY")
    summaries = server.get("/inventories?expand")
    summaries = [server.get(f"/inventories/{entry['SOPInstanceUID']}") for entry in summaries]
    files = {uid: content(server, uid) for summary in summaries for uid in summary["InstanceUIDs"]}
    server.stop()
    for path in server.state_directory.glob("*.db*"):
        path.unlink()
    server.start()
    assert "recovery: 3 inventories that the journal did not know were found" in server.log_lines()
    again = [server.get(f"/inventories/{uid}") for uid in server.get("/inventories")]
    assert list(map(recovered, again)) == list(map(made, summaries))
    # The files tell when the root was written, which was before the end of the run.
    assert all("" < one["CreationTime"] <= other["CreationTime"] for one, other in zip(again, summaries))
    assert {key: again[0][key] for key in UNKNOWN} == UNKNOWN
    assert {uid: content(server, uid) for uid in files} == files
    assert object_uids(server.studies(again[0])) == object_uids(server.studies(whole))
    # Nothing tells what changed since: no base, neither by name nor as the latest.
    assert "not Recovered" in server.error("POST", "/inventories", 400, json={"Base": whole["SOPInstanceUID"]})
    server.error("POST", "/inventories", 404, json={"Base": "latest"})
    assert "incorporates" in server.error("DELETE", f"/inventories/{whole['SOPInstanceUID']}", 409)
    server.stop()
    server.start()
    assert [line for line in server.log_lines() if line.startswith("recovery")] == [
        "recovery: 3 inventories that the journal did not know were found"
    ]
    server.delete(f"/inventories/{increment['SOPInstanceUID']}")
    server.delete(f"/inventories/{whole['SOPInstanceUID']}")
    assert server.make(Base=None)["Recovered"] is None


@pytest.mark.parametrize("store", STORES)
def test_leaves_of_a_run_that_the_lost_journal_knew_are_removed(make_server: Callable[..., Server], store: str) -> None:
    for leaves in (1, 3):
        server = make_server(inventory={"StoreIn": store, "MaxRecordsPerInstance": 3})
        server.start_with(f"at({store}Store, 'put', [{leaves + 1}], die)")
        server.store(*archive.files(8))
        before = server.get("/statistics")
        server.begin()
        server.wait_until_dead()
        for path in server.state_directory.glob("*.db*"):
            path.unlink()
        server.start()
        assert server.get("/inventories") == [] and server.get("/inventories/transactions") == []
        assert server.get("/statistics") == before and not list(server.state_directory.rglob("*.dcm"))
        assert "recovery: 1 half-made inventories of unknown runs were removed" in server.log_lines()
        assert server.make()["Studies"] == 8
        server.kill()
