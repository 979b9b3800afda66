"""After kill -9, at whatever point, nothing is lost, doubled or half visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import archive
from .killing import AT_CALLS, AT_STEPS, LEAF, Doomed, each_store
from .resting import RESTING, rest_before
from .server import Server

STUDIES = 3
# Two studies make a leaf.
_LEAVES = 2


@pytest.fixture
def make_doomed(store: str, make_server: Callable[..., Server]) -> Callable[..., Doomed]:
    def make(text: str = AT_STEPS, studies: int = STUDIES, rest: int = -1, **inventory: Any) -> Doomed:
        server = make_server(inventory={"MaxRecordsPerInstance": LEAF, "StoreIn": store, **inventory}).start()
        server.store(*archive.files(studies))
        rest_before(server, rest)
        return Doomed(server, text)

    return make


@each_store
def test_a_run_that_is_killed_at_any_of_its_steps_goes_on_by_itself(make_doomed: Callable[..., Doomed]) -> None:
    passed = make_doomed().run_at_each_step(STUDIES, _LEAVES)
    writes = [step.rsplit(" ", 1)[-1] for step in passed if step.startswith("after the commit")]
    assert writes == ["add", "save", "begin", "give_back", "take", "checkpoint", "take", "checkpoint", "finish"]
    assert passed.count("before a study is read") == STUDIES
    stored = passed.count("after an instance is stored") + passed.count("after a file has its name")
    assert stored == _LEAVES + 1


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
    server.store(*archive.files(9))
    server.stop()
    server.start_with(text + "at(IndexSource, 'read', [8], die)")
    uid = server.begin_to_die()
    server.start_with(text)
    assert server.wait_for(uid)["State"] == "Success"
    # The eighth died before it was noted; the seventh was in no leaf yet.
    read = (server.folder / "read").read_text().split()
    assert len(set(read)) == 9 and len(read) == 10


@each_store
def test_a_deletion_that_is_killed_at_any_of_its_steps_is_whole(make_doomed: Callable[..., Doomed]) -> None:
    doomed = make_doomed()
    server = doomed.server
    passed = []

    def prepare() -> str:
        roots = server.get("/inventories")
        return roots[0] if roots else server.make()["SOPInstanceUID"]

    for step, root in doomed.at_each_step(prepare, lambda root: server.delete(f"/inventories/{root}")):
        passed.append(step)
        if step == "before the commit of forget_inventories":
            doomed.check_whole(server.get("/inventories/transactions")[-1], STUDIES, _LEAVES)
        else:
            doomed.check_nothing_kept()
    doomed.check_nothing_kept()
    deleted = passed.count("after an instance is deleted") + passed.count("after a file is deleted")
    assert deleted == _LEAVES + 1 and passed[-1] == "after the commit of forget_instances"


@each_store
@pytest.mark.parametrize("retain", [False, True])
def test_a_cancellation_that_is_killed_at_any_of_its_steps_is_finished(
    make_doomed: Callable[..., Doomed], retain: bool
) -> None:
    doomed = make_doomed(text=RESTING + AT_STEPS, rest=STUDIES)
    server = doomed.server
    passed = []

    def prepare() -> str:
        uid = server.begin()
        server.wait_until(uid, Studies=STUDIES)
        return uid

    def cancel(uid: str) -> None:
        server.post(f"/inventories/transactions/{uid}/cancel", {"RetainInstances": retain})

    for step, uid in doomed.at_each_step(prepare, cancel):
        passed.append(step)
        if step == "before the commit of save":
            # Nobody was told that it was cancelled.
            assert server.transaction(uid)["TransactionStatus"] == "PROCESSING"
            cancel(uid)
        transaction = server.wait_for(uid)
        assert transaction["TransactionStatus"] == "CANCELED"
        if retain:
            (root,) = server.get("/inventories")
            summary = server.get(f"/inventories/{root}")
            assert transaction["SOPInstanceUID"] == root and summary["InventoryCompletionStatus"] == "PARTIAL"
            assert (summary["Studies"], summary["Missing"]) == (2, [])
            doomed.check_kept(instances=2, inventories=1)
            server.delete(f"/inventories/{root}")
        doomed.check_nothing_kept()
    assert passed[:2] == ["before the commit of save", "after the commit of save"]
    assert passed[-1] == "after the commit of " + ("finish" if retain else "forget_instances")


def test_an_import_that_is_killed_at_any_of_its_steps_is_whole_or_nothing(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*archive.files(STUDIES))
    summary = server.make()
    file = server.request("GET", f"/inventories/{summary['SOPInstanceUID']}/file").content
    server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    doomed = Doomed(server, AT_STEPS)
    passed = []

    def take(nothing: None) -> None:
        assert server.request("POST", "/inventories/import", data=file).status_code == 200

    for step, _ in doomed.at_each_step(lambda: None, take):
        passed.append(step)
        if step == "after the commit of add_inventory":
            doomed.check_kept(instances=1, inventories=1)
            server.delete(f"/inventories/{summary['SOPInstanceUID']}")
        doomed.check_nothing_kept()
    doomed.check_kept(instances=1, inventories=1)
    # Two files: how it came, then the inventory.
    assert [step.rsplit(" ", 1)[-1] for step in passed[1::2]] == ["reserve", "name", "name", "add_inventory"]


@each_store
def test_an_inventory_of_nothing_that_is_killed_leaves_nothing(make_doomed: Callable[..., Doomed]) -> None:
    assert "after the commit of finish" in make_doomed(studies=0).run_at_each_step(studies=0, leaves=0)


@each_store
@pytest.mark.parametrize("moments", [6, pytest.param(50, marks=pytest.mark.long)])
def test_a_run_that_is_killed_at_random_goes_on_by_itself(make_doomed: Callable[..., Doomed], moments: int) -> None:
    doomed = make_doomed(AT_CALLS, studies=9, ThrottleDelay=5)
    assert len(list(doomed.at_random(moments, studies=9, leaves=5))) == moments
