"""With Orthanc's option AllowThreads all that the plugin does goes on at once: every answer is right, and so are the counts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration import archive, foreign
from tests.integration.server import INSTALLATIONS, Server

from .peer import VERIFICATION, association, find, get, start

MakeServer = Callable[..., Server]
PATIENTS, INSTANCES = 12, 2
# How often each of them does what it does.
TIMES = 6
PAGES = (
    "/inventories/status", "/inventories?expand", "/inventories/transactions?expand", "/inventories/statistics",
    "/inventories/openapi.json", "/tools/metrics-prometheus", "/inventories/app/", "/inventories/app/uid_names.js",
)


class Work:
    """What users of one server do, each in a thread of its own; ``kept`` is an inventory that stays."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.kept = server.make()
        self.made: list[str] = []

    def run(self) -> None:
        for level in itertools.islice(itertools.cycle(("INSTANCE", "STUDY")), TIMES):
            summary = self.server.make(Level=level, Scope={"PatientName": "Family*"})
            counts = (PATIENTS, PATIENTS * INSTANCES) if level == "INSTANCE" else (PATIENTS, 0)
            assert (summary["Studies"], summary["Instances"]) == counts, summary
            assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Missing"] == []
            self.made.append(summary["SOPInstanceUID"])

    def delete(self) -> None:
        """Two at once delete the same inventory: it is deleted once."""
        for _ in range(TIMES):
            uid = self.server.make(Scope={"PatientID": "P0001"})["SOPInstanceUID"]
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda _: self.server.request("DELETE", f"/inventories/{uid}").status_code, range(2)))
            assert 200 in answers and set(answers) <= {200, 404}, answers
            assert self.server.request("GET", f"/inventories/{uid}").status_code == 404

    def cancel(self) -> None:
        for _ in range(TIMES):
            answer = self.server.request("POST", f"/inventories/transactions/{self.server.begin()}/cancel")
            assert answer.status_code in (200, 409), answer.text  # over already

    def bring(self) -> None:
        for number in range(TIMES):
            uid = f"1.9.{number}"
            file = foreign.encode(foreign.inventory(uid, [foreign.study(number)]))
            assert self.server.request("POST", "/inventories/import", data=file).status_code == 200
            assert self.server.get(f"/inventories/{uid}")["Instances"] == 2
            self.server.delete(f"/inventories/{uid}")

    def count(self) -> None:
        """With the headers of the objects, too: two do so at once."""
        for detail in itertools.islice(itertools.cycle(("Index", "Files")), TIMES):
            body: dict[str, Any] = {"Scope": {"PatientName": "Family*", "Modality": "CT"}, "Detail": detail}
            assert self.server.post("/inventories/preview", body) == {"Studies": PATIENTS}

    def verify(self) -> None:
        for _ in range(TIMES // 2):
            body = {"Check": "MD5", "Synchronous": True}
            transaction = self.server.post(f"/inventories/{self.kept['SOPInstanceUID']}/verify", body)
            found = transaction["Verification"]
            assert (found["Checked"], found["Missing"], found["Damaged"]) == (PATIENTS * INSTANCES, 0, 0), transaction

    def look(self) -> None:
        uid = self.kept["SOPInstanceUID"]
        for _ in range(TIMES):
            for page in PAGES:
                answer = self.server.request("GET", page)
                assert answer.status_code == 200, (page, answer.text)
            assert self.server.get(f"/inventories/{uid}") == self.kept
            assert len(self.server.get(f"/inventories/{uid}/studies")) == PATIENTS
            export = self.server.request("GET", f"/inventories/{uid}/export?format=csv&level=INSTANCE").text
            assert len(export.splitlines()) == 1 + PATIENTS * INSTANCES
            assert self.server.get(f"/inventories/{uid}/compare/{uid}")["Differences"] == []

    def ask(self) -> None:
        """Over DICOM."""
        uid = self.kept["SOPInstanceUID"]
        for _ in range(TIMES):
            with association(self.port, VERIFICATION) as made:
                assert made.send_c_echo().Status == 0
            answers, status = find(self.port, SOPInstanceUID=uid, TransactionUID="")
            assert status == 0 and [answer.TransactionUID for answer in answers] == [self.kept["TransactionUID"]]
            received, _ = get(self.port, uid)
            assert set(received) == {uid}

    def change(self) -> None:
        """What others do to the archive, outside of the scopes."""
        for number in range(2 * TIMES):
            [identifier] = self.server.store(archive.file(500, 1 + number, PatientName="Other^Patient"))
            self.server.delete(f"/instances/{identifier}")


@pytest.mark.newest
@pytest.mark.parametrize("installation", INSTALLATIONS[1:], ids=lambda entry: entry.name, indirect=True)
def test_everything_at_once(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 12}, Python={"AllowThreads": True})
    server.store(*archive.files(PATIENTS, instances=INSTANCES))
    work = Work(server, port)
    tasks = [
        work.run, work.delete, work.cancel, work.bring, work.count, work.count, work.verify, work.look, work.look, work.ask,
        work.change,
    ]
    together = threading.Barrier(len(tasks))

    def begin(task: Callable[[], None]) -> None:
        together.wait()
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(begin, task) for task in tasks]:
            done.result()
    status = server.get("/inventories/status")
    assert (status["Running"], status["Pending"], status["Paused"]) == ([], [], [])
    summaries = server.get("/inventories?expand")
    assert {work.kept["SOPInstanceUID"], *work.made} <= {summary["SOPInstanceUID"] for summary in summaries}
    assert not [summary for summary in summaries if summary["Missing"]]
    # Nothing of what was deleted or cancelled is left in Orthanc.
    listed = sum(len(summary["InstanceUIDs"]) for summary in summaries)
    assert server.get("/statistics")["CountInstances"] == PATIENTS * INSTANCES + listed
    assert not [line for line in server.log().splitlines() if "Traceback" in line or "internal error" in line]
    assert not [line for line in server.log_lines() if " fail" in line]
    server.stop()
