"""Changes an archive without rest, and remembers how each study was when."""

from __future__ import annotations

import datetime
import hashlib
import random
import threading
from typing import NamedTuple

import requests
from pydicom.dataset import Dataset

from . import archive
from .server import Server

_PATIENCE = 120.0
# SOP Instance UID and MD5 of each object of a study; none: the study is not there.
Objects = frozenset[tuple[str, str]]


class State(NamedTuple):
    """What a study consists of since some moment between ``earliest`` and ``latest``."""

    objects: Objects
    earliest: datetime.datetime
    latest: datetime.datetime


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class Writer(threading.Thread):
    """Works on the studies of these patients, one of each, until it is told to ``stop``; ``history`` is by patient."""

    def __init__(self, server: Server, patients: range, seed: str) -> None:
        super().__init__()
        self._server = server
        self._chance = random.Random(seed)
        self._session = requests.Session()
        self._stop_event = threading.Event()
        self._identifiers: dict[tuple[int, str], str] = {}
        self._numbers: dict[int, int] = {}
        self.history: dict[int, list[State]] = {patient: [State(frozenset(), now(), now())] for patient in patients}
        self.changes = 0
        self.failure: Exception | None = None
        for patient in patients:
            for number in range(1, 4):
                self._store(patient, number)

    def stop(self) -> None:
        self._stop_event.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        patients = list(self.history)
        try:
            while not self._stop_event.is_set():
                self._change(self._chance.choice(patients))
                self.changes += 1
        except Exception as error:  # told by stop, in whose thread it counts
            self.failure = error

    def _change(self, patient: int) -> None:
        objects = sorted(self.history[patient][-1].objects)
        what = self._chance.choices(("add", "replace", "remove", "remove all", "note", "attach"), (4, 4, 3, 1, 1, 1))[0]
        if what == "add" or not objects:
            self._numbers[patient] = self._numbers.get(patient, 100) + 1
            self._store(patient, self._numbers[patient])
            return
        uid = self._chance.choice(objects)[0]
        identifier = self._identifiers[patient, uid]
        if what == "replace":
            self._store(patient, int(uid.rsplit(".", 1)[1]))
        elif what == "note":  # no record says so
            self._request("PUT", f"/instances/{identifier}/metadata/1030", b"note")
        elif what == "attach":
            self._request("PUT", f"/instances/{identifier}/attachments/1030", b"attached")
        elif what == "remove":
            kept = frozenset(entry for entry in objects if entry[0] != uid)
            self._remove(patient, f"/instances/{identifier}", kept)
        else:
            study = self._session.get(f"{self._server.url}/instances/{identifier}/study", timeout=_PATIENCE).json()["ID"]
            self._remove(patient, f"/studies/{study}", frozenset())

    def _store(self, patient: int, number: int) -> None:
        """A new object, or another one in the place of that of this number; series have three objects or so."""
        comment = "".join(self._chance.choices("abcdefgh", k=self._chance.randint(1, 40)))
        file = archive.file(patient, 1, 1 + number % 3, number, ImageComments=comment)
        uid = archive.uid(patient, 1, 1 + number % 3, number)
        before = frozenset(entry for entry in self.history[patient][-1].objects if entry[0] != uid)
        earliest = now()
        answer = self._request("POST", "/instances", file)
        self._identifiers[patient, uid] = answer.json()["ID"]
        objects = before | {(uid, hashlib.md5(file).hexdigest())}
        self.history[patient].append(State(objects, earliest, now()))

    def _remove(self, patient: int, path: str, left: Objects) -> None:
        earliest = now()
        self._request("DELETE", path)
        self.history[patient].append(State(left, earliest, now()))

    def _request(self, method: str, path: str, body: bytes = b"") -> requests.Response:
        answer = self._session.request(method, self._server.url + path, data=body, timeout=_PATIENCE)
        # Orthanc may delete a folder that has become empty when another thread of it is about to write into it, and stores nothing.
        while answer.status_code == 500 and "Error while accessing the filesystem" in answer.text:
            answer = self._session.request(method, self._server.url + path, data=body, timeout=_PATIENCE)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def possible(self, patient: int, begin: datetime.datetime, end: datetime.datetime) -> list[Objects]:
        """All that the study may have been at some moment between these two."""
        history = self.history[patient]
        ends = [state.latest for state in history[1:]] + [datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)]
        return [state.objects for state, last in zip(history, ends) if state.earliest <= end and last >= begin]


def objects_of(study: Dataset) -> Objects:
    """What a record says."""
    return frozenset(
        (instance.SOPInstanceUID, _md5(instance.FileAccessSequence[0]))
        for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    )


def _md5(access: Dataset) -> str:
    return access.MAC if isinstance(access.MAC, str) else bytes(access.MAC).hex()
