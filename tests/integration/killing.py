"""An Orthanc that is killed at the steps of what it does, one after the other, or by chance."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import requests

from .server import INSTALLATIONS, Server, object_uids

_PATIENCE = 120.0
# Two studies make a leaf.
LEAF = 6
# The tables of the journal that tell of what is kept; ``snapshot`` is of runs that are not over.
_TABLES = ("snapshot", "instances", "places", "inventories", "incorporated", "statistics")

# Where the process may end, in the order in which that matters: what is done between two of them is done as a whole.
STEPS = """
import contextlib, sys
from orthanc_inventory.production.database import Database
from orthanc_inventory.production.recorder import Recorder

passed = 0

def step(name):
    # The file tells at which step, counted from when it is there, the process ends.
    global passed
    if not os.path.exists(folder + "/fatal"):
        return
    passed += 1
    with open(folder + "/fatal") as file:
        fatal = int(file.read())
    with open(folder + "/steps", "a") as file:
        print(name, file=file)
    if passed == fatal:
        os.remove(folder + "/fatal")
        die()

@contextlib.contextmanager
def steps_of(name, transaction):
    with transaction as connection:
        yield connection
        step(f"before the commit of {name}")
    step(f"after the commit of {name}")

written = Database.write

def write(self, *arguments, **keywords):
    return steps_of(sys._getframe(1).f_code.co_name, written(self, *arguments, **keywords))

Database.write = write
"""
_OF_STORES = """
at(Recorder, 'record', always, lambda *arguments: step("before a study is read"))
at(os, 'rename', always, lambda *paths: step("before a file has its name"))
at(os, 'rename', always, lambda *paths: step("after a file has its name"), after=True)
at(os, 'unlink', always, lambda *paths: step("after a file is deleted"), after=True)
at(Host, 'post', always, lambda self, path, body: path == "/instances" and step("after an instance is stored"), after=True)
at(Host, 'put', always, lambda *arguments: step("after the patient is protected"), after=True)
at(Host, 'delete', always, lambda *arguments: step("after an instance is deleted"), after=True)
"""
AT_STEPS = STEPS + _OF_STORES
# At each call of Orthanc, and of the journal.
AT_CALLS = STEPS + """
for kind, methods in ((Host, ("get", "get_json", "post", "put", "delete")), (Database, ("read",)), (os, ("rename", "fsync"))):
    for method in methods:
        at(kind, method, always, lambda *arguments, name=method: step(name))
"""


# Each Orthanc with one of the stores; with the other one in the long mode.
each_store = pytest.mark.parametrize(
    ("installation", "store"),
    [
        pytest.param(installation, store, marks=[pytest.mark.long] if is_long else [], id=f"{installation.name}-{store}")
        for installation, *stores in zip(
            INSTALLATIONS, ("Directory", "Orthanc", "Directory"), ("Orthanc", "Directory", "Orthanc"), strict=True
        )
        for is_long, store in enumerate(stores)
    ],
    indirect=["installation"],
)


class Doomed:
    """``server`` has an archive and no inventory; ``text`` are the steps at which it may be killed."""

    def __init__(self, server: Server, text: str) -> None:
        self.server = server
        self._text = text
        self.before = server.get("/statistics")
        self.kills = 0
        self.restart()

    def restart(self) -> None:
        self.server.kill()
        self.server.start_with(self._text)

    def steps(self) -> list[str]:
        """Those that were passed since ``arm``, the last one being where it ended, if it did."""
        file = self.server.folder / "steps"
        return file.read_text().splitlines() if file.exists() else []

    def arm(self, number: int) -> None:
        """Orthanc is killed at the step of this number from now on."""
        (self.server.folder / "steps").unlink(missing_ok=True)
        (self.server.folder / "fatal").write_text(str(number))

    def disarm(self) -> None:
        (self.server.folder / "fatal").unlink(missing_ok=True)

    def at_each_step(self, prepare: Callable[[], Any], act: Callable[[Any], None]) -> Iterator[tuple[str, Any]]:
        """The name of each step of ``act``, when Orthanc was killed at it and has started again.

        ``prepare`` comes before each, and its result is given to ``act`` and with the name; ``act`` waits for its end, or fails
        when Orthanc does.
        """
        number = 0
        while True:
            number += 1
            prepared = prepare()
            self.arm(number)
            try:
                act(prepared)
            except requests.ConnectionError:
                pass
            if not self.has_died():
                self.disarm()
                return
            self.kills += 1
            self.restart()
            yield self.steps()[-1], prepared

    def run_at_each_step(self, studies: int, leaves: int, **body: Any) -> list[str]:
        """The steps of a run. Whichever it was killed at, it is whole and the only one when Orthanc has started again."""
        numbers, passed = itertools.count(1), []

        def run(uid: str) -> None:
            self.server.begin(TransactionUID=uid, **body)
            self.wait_for_end(uid)

        for step, uid in self.at_each_step(lambda: f"2.25.{next(numbers)}", run):
            passed.append(step)
            if step == "before the commit of add":
                # Nobody was told that it was accepted.
                self.server.error("GET", f"/inventories/transactions/{uid}", 404)
            else:
                self.server.delete(f"/inventories/{self.check_whole(uid, studies, leaves)}")
            self.check_nothing_kept()
        return passed

    def at_random(self, moments: int, studies: int, leaves: int, **body: Any) -> Iterator[str]:
        """The root of a run when Orthanc was killed at a call or a time by chance and has started again, so many times.

        Each is checked to be whole before it is told, and to leave nothing when it is deleted.
        """
        seed = random.randrange(1_000_000)
        print(f"seed {seed}")
        chance = random.Random(seed)
        start = time.monotonic()
        self.arm(0)
        self.wait_for_end(self.server.begin(**body))
        self.disarm()
        duration, calls = time.monotonic() - start, len(self.steps())
        self.server.delete(f"/inventories/{self.server.get('/inventories')[0]}")
        for number in range(moments):
            uid = f"2.25.{number + 1}"
            by_call = number % 2 == 0
            if by_call:
                self.arm(chance.randint(1, calls))
            with suppress(requests.ConnectionError):
                self.server.begin(TransactionUID=uid, **body)
            # One that is killed may be killed again while it goes on.
            for _ in range(chance.choice((1, 1, 2))):
                if by_call:
                    self.wait_until_dead_or_over(uid)
                else:
                    time.sleep(chance.uniform(0, duration))
                by_call = False
                self.kills += 1
                self.restart()
                if uid not in self.server.get("/inventories/transactions"):  # nobody was told that it was accepted
                    self.server.begin(TransactionUID=uid, **body)
            root = self.check_whole(uid, studies, leaves)
            yield root
            self.server.delete(f"/inventories/{root}")
            self.check_nothing_kept()
        print(f"{self.kills} kills, {moments} inventories")

    def has_died(self) -> bool:
        """Whether Orthanc has ended, or is about to: its last step takes the file away."""
        if (self.server.folder / "fatal").exists():
            return False
        self.server.wait_until_dead()
        return True

    def wait_until_dead_or_over(self, uid: str) -> None:
        with suppress(requests.ConnectionError):
            self.wait_for_end(uid)
        if not self.has_died():
            self.disarm()

    def wait_for_end(self, uid: str) -> None:
        """Until the transaction is over, or fails as Orthanc has ended."""
        deadline = time.monotonic() + _PATIENCE
        while self.server.transaction(uid)["State"] not in ("Success", "Failure"):
            assert time.monotonic() < deadline, self.server.log()
            time.sleep(0.02)

    def check_whole(self, uid: str, studies: int, leaves: int) -> str:
        """The transaction has made the only inventory, each study is once in it, and nothing else is kept. Answers its root."""
        server = self.server
        transaction = server.wait_for(uid)
        assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", studies, []), transaction
        root = transaction["SOPInstanceUID"]
        assert server.get("/inventories") == [root]
        summary = server.get(f"/inventories/{root}")
        assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Missing"] == []
        uids = object_uids(server.studies(summary))
        assert len(uids) == len(set(uids)) == studies and len(summary["InstanceUIDs"]) == leaves + 1
        self.check_kept(instances=leaves + 1, inventories=1)
        return root

    def check_kept(self, instances: int, inventories: int = 0) -> None:
        """There are so many inventory instances, wherever they may be, and no half of one."""
        server = self.server
        in_orthanc = server.get("/statistics")["CountInstances"] - self.before["CountInstances"]
        # Beside what came from elsewhere stands how it came.
        found = (server.state_directory / "instances").rglob("*")
        files = [path for path in found if path.is_file() and path.name != "origin.json"]
        names = {path.suffix for path in files}
        assert names <= {".dcm"} and in_orthanc + len(files) == instances, (in_orthanc, files)
        rows = self.rows()
        assert (rows["instances"], rows["inventories"], rows["snapshot"]) == (instances, inventories, 0), rows

    def check_nothing_kept(self) -> None:
        assert self.server.get("/inventories") == [] and self.server.get("/statistics") == self.before
        self.check_kept(0)
        assert not any(self.rows().values()), self.rows()
        assert not list((self.server.state_directory / "instances").glob("*"))

    def rows(self) -> dict[str, int]:
        """Of each table of the journal."""
        journal = f"file:{self.server.state_directory / 'journal.db'}?mode=ro"
        with closing(sqlite3.connect(journal, uri=True, timeout=30)) as connection:
            return {table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in _TABLES}
