"""After kill -9, at whatever point, nothing is lost, doubled or half visible."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import archive
from .server import Server, object_uids

STUDIES = 9
# What dies when: two studies make a leaf, so there are five leaves, a node for none, and the root.
POINTS = {
    "before the snapshot is in the journal": "at(Journal, 'begin', [1], die)",
    "after the snapshot is in the journal": "at(Journal, 'begin', [1], die, after=True)",
    "before the first leaf": "at(IndexSource, 'read', [2], die)",
    "while the first leaf is stored": "for store in (OrthancStore, DirectoryStore): at(store, 'put', [1], die)",
    "when a leaf is stored but not in the journal": "at(Journal, 'checkpoint', [2], die)",
    "when a leaf is in the journal": "at(Journal, 'checkpoint', [2], die, after=True)",
    "between leaves": "at(StudyEncoder, 'encode', [8], die)",
    "before the root": "at(Producer, '_finish', [1], die)",
    "while the root is stored": "for store in (OrthancStore, DirectoryStore): at(store, 'put', [6], die)",
    "when the root is stored but not in the journal": "at(Journal, 'finish', [1], die)",
    "when all is in the journal": "at(Journal, 'finish', [1], die, after=True)",
}


@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_by_itself(make_server: Callable[..., Server], point: str, store: str) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6, "StoreIn": store}).start()
    server.store(*archive.files(STUDIES))
    before = server.get("/statistics")
    server.stop()
    server.start_with(POINTS[point])
    uid = server.begin(TransactionUID="2.25.1")
    server.wait_until_dead()
    server.start()
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"]) == ("Success", STUDIES)
    assert server.get("/inventories") == [transaction["SOPInstanceUID"]]
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    uids = object_uids(server.studies(summary))
    assert len(uids) == len(set(uids)) == STUDIES and len(summary["InstanceUIDs"]) == 6
    # Nothing but this inventory was left behind, anywhere.
    kept = server.get("/statistics")["CountInstances"] - before["CountInstances"]
    files = list(server.state_directory.rglob("*.dcm")) + list(server.state_directory.rglob("*.part"))
    assert (kept, len(files)) == ((6, 0) if store == "Orthanc" else (0, 6))
    server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    assert server.get("/statistics") == before


@pytest.mark.newest
@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_a_killed_run_reads_again_only_what_was_not_finished(make_server: Callable[..., Server]) -> None:
    text = """
def note(self, study, *arguments):
    with open(folder + "/read", "a") as file:
        print(study, file=file)
at(IndexSource, 'read', always, note)
"""
    server = make_server(inventory={"MaxRecordsPerInstance": 6}).start()
    server.store(*archive.files(STUDIES))
    server.stop()
    server.start_with(text + "at(IndexSource, 'read', [8], die)")
    uid = server.begin()
    server.wait_until_dead()
    server.start_with(text)
    assert server.wait_for(uid)["State"] == "Success"
    # The eighth died before it was noted; the seventh was in no leaf yet.
    read = (server.folder / "read").read_text().split()
    assert len(set(read)) == STUDIES and len(read) == STUDIES + 1


def test_a_deletion_that_was_cut_short_is_finished_at_the_next_start(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    before = server.get("/statistics")
    summary = server.make()
    server.stop()
    server.start_with("at(Host, 'delete', [2], die)")
    with pytest.raises(Exception, match="Connection aborted|RemoteDisconnected|reset"):
        server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    server.wait_until_dead()
    server.start()
    assert server.get("/inventories") == [] and server.get("/statistics") == before


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_a_cancellation_that_was_cut_short_is_finished_at_the_next_start(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6, "ThrottleDelay": 40})
    server.start_with("at(Producer, 'discard', [1], die)")
    server.store(*archive.files(STUDIES))
    before = server.get("/statistics")
    uid = server.begin()
    server.wait_until(uid, Studies=5)
    with pytest.raises(Exception, match="Connection aborted|RemoteDisconnected|reset"):
        server.post(f"/inventories/transactions/{uid}/cancel")
    server.wait_until_dead()
    server.start()
    assert server.wait_for(uid)["TransactionStatus"] == "CANCELED"
    assert server.get("/inventories") == [] and server.get("/statistics") == before
