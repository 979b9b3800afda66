"""Several administrators act at once: every state and every inventory stays sound, whoever comes first."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from . import archive
from .killing import each_store
from .server import Server, object_uids
from .test_transactions import change

STUDIES = 12
_DONE, _REFUSED = 200, (404, 409, 503)
# What may follow a status, of those that are not yet over (PS3.4 KK.2.1.1).
_OVER = {"COMPLETE", "FAILURE", "CANCELED"}


class Administrator(threading.Thread):
    """Does one thing after the other by chance until it is told to ``stop``; ``answers`` are the statuses that it got."""

    def __init__(self, server: Server, seed: str, stop: threading.Event) -> None:
        super().__init__()
        self._server = server
        self._chance = random.Random(seed)
        self._stop_event = stop
        self.answers: list[tuple[str, int, str]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            with requests.Session() as session:
                while not self._stop_event.is_set():
                    self._act(session)
        except Exception as error:  # told by the test, in whose thread it counts
            self.failure = error

    def _act(self, session: requests.Session) -> None:
        what = self._chance.choices(("begin", "pause", "resume", "cancel", "delete"), (3, 3, 4, 2, 2))[0]
        method, path, body = "POST", "/inventories", ""
        if what == "delete":
            method, uids = "DELETE", session.get(f"{self._server.url}/inventories", timeout=60).json()
            path = f"/inventories/{self._chance.choice(uids or ['2.25.1'])}"
        elif what != "begin":
            uids = session.get(f"{self._server.url}/inventories/transactions", timeout=60).json()
            path = f"/inventories/transactions/{self._chance.choice(uids[-4:] or ['2.25.1'])}/{what}"
            body = self._chance.choice(('{"RetainInstances": true}', "")) if what == "cancel" else ""
        answer = session.request(method, self._server.url + path, data=body, timeout=120)
        self.answers.append((what, answer.status_code, answer.text))


class Watcher(threading.Thread):
    """Looks at all transactions again and again: ``ended`` is how each was when it was over first."""

    def __init__(self, server: Server, stop: threading.Event) -> None:
        super().__init__()
        self._server = server
        self._stop_event = stop
        self.ended: dict[str, tuple[str, Any]] = {}
        self.changed: list[Any] = []
        self.looks = 0

    def run(self) -> None:
        while not self._stop_event.is_set():
            self.look()

    def look(self) -> None:
        for transaction in self._server.get("/inventories/transactions?expand"):
            status = transaction["TransactionStatus"]
            now = status, transaction["SOPInstanceUID"]
            if self.ended.get(transaction["ID"], now) != now:
                self.changed.append((self.ended[transaction["ID"]], now))
            if status in _OVER:
                self.ended[transaction["ID"]] = now
        self.looks += 1


@each_store
@pytest.mark.parametrize("seconds", [6, pytest.param(120, marks=pytest.mark.long)])
def test_administrators_in_each_others_way(make_server: Callable[..., Server], store: str, seconds: int) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    inventory = {"MaxRecordsPerInstance": 6, "ThrottleDelay": 10, "MaximumPendingRuns": 5, "StoreIn": store}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(STUDIES))
    before = server.get("/statistics")
    stop = threading.Event()
    administrators = [Administrator(server, f"{seed} {number}", stop) for number in range(3)]
    watcher = Watcher(server, stop)
    threads: list[threading.Thread] = [*administrators, watcher]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    assert [administrator.failure for administrator in administrators] == [None] * len(administrators)
    answers = [answer for administrator in administrators for answer in administrator.answers]
    unexpected = [answer for answer in answers if answer[1] != _DONE and answer[1] not in _REFUSED]
    assert not unexpected, (unexpected[0], server.log_lines())
    assert answers and watcher.looks
    # Whatever is left comes to its end.
    for uid in server.get("/inventories/transactions"):
        if server.transaction(uid)["State"] == "Paused":
            change(server, uid, "resume")
    for uid in server.get("/inventories/transactions"):
        server.wait_for(uid)
    watcher.look()
    assert not watcher.changed
    assert {status for status, _ in watcher.ended.values()} <= {"COMPLETE", "CANCELED"}
    # A success has its inventory, unless somebody has deleted it.
    roots = server.get("/inventories")
    made = [root for _, root in watcher.ended.values() if root]
    deleted = [answer for answer in answers if answer[:2] == ("delete", _DONE)]
    assert len(made) == len(set(made)) == len(roots) + len(deleted) and set(roots) <= set(made)
    for root in roots:
        summary = server.get(f"/inventories/{root}")
        uids = object_uids(server.studies(summary))
        assert summary["Missing"] == [] and len(uids) == len(set(uids)) == summary["Studies"]
        is_complete = watcher.ended[summary["TransactionUID"]][0] == "COMPLETE"
        assert summary["InventoryCompletionStatus"] == ("COMPLETE" if is_complete else "PARTIAL")
        assert len(uids) == STUDIES or not is_complete
    for root in roots:
        server.delete(f"/inventories/{root}")
    assert server.get("/statistics") == before
    assert not [line for line in server.log_lines() if "fails" in line]
