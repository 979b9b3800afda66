"""Studies that are read together are recorded as if each had been read alone."""

from __future__ import annotations

import datetime
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import archive
from .server import INSTALLATIONS, Server, object_uids
from .waiting import wait_until

# Where Orthanc has a way to read several studies at once.
EXTENDED = pytest.mark.parametrize("installation", INSTALLATIONS[1:], ids=lambda entry: entry.name, indirect=True)


def objects() -> Iterator[bytes]:
    """Small studies and one too large for a group, a UID under two patients, and one that is none, which can be no record."""
    yield from archive.files(30, 1, 2, 2)
    yield from (archive.file(1, 2, series, number) for series in (1, 2, 3) for number in range(100))
    for patient in ("TWIN1", "TWIN2"):
        yield from (archive.file(77, 1, series, 1, PatientID=patient) for series in (1, 2))
    yield archive.file(78, 1, StudyInstanceUID="1.2.Study*", SeriesInstanceUID="1.2.a-b")
    yield archive.file(79, 1, Modality=None, StudyDate=None, PatientID="PÄTIENT 1")


def wait_until_at_rest(server: Server) -> None:
    """What changed in the last seconds is read alone."""

    def is_at_rest() -> bool:
        moment = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=3)).strftime("%Y%m%dT%H%M%S")
        return all(study["LastUpdate"] < moment for study in server.get("/studies?expand"))

    wait_until(is_at_rest)


def records(server: Server) -> list[dict[str, Any]]:
    """All but the moment at which each was read."""
    studies = server.studies(server.make())
    for study in studies:
        del study.ItemInventoryDateTime
        study.InventoriedSeriesSequence = sorted(study.InventoriedSeriesSequence, key=lambda item: item.SeriesInstanceUID)
        for series in study.InventoriedSeriesSequence:
            series.InventoriedInstancesSequence = sorted(
                series.InventoriedInstancesSequence, key=lambda item: item.SOPInstanceUID
            )
    return [study.to_json_dict() for study in sorted(studies, key=lambda study: (study.StudyInstanceUID, study.PatientID))]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_records_are_those_of_each_study_alone(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*objects())
    together = records(server)
    assert len(together) == 34
    server.stop()
    server.start_with("Find.studies_at_once = 1")
    assert records(server) == together


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("limit", [1, 7])
def test_limits_of_orthanc_cut_nothing_off_a_group(make_server: Callable[..., Server], limit: int) -> None:
    server = make_server(configuration={"LimitFindResults": limit, "LimitFindInstances": limit}).start()
    server.store(*objects())
    count = server.get("/statistics")["CountInstances"]
    assert len(object_uids(server.studies(server.make()))) == count - 1


@EXTENDED
def test_several_studies_are_read_by_one_call(make_server: Callable[..., Server]) -> None:
    text = "at(Find, 'instances', always, lambda *arguments: open(folder + '/calls', 'a').write('.'))"
    server = make_server().start_with(text)
    server.store(*archive.files(30, 1, 2, 2))
    wait_until_at_rest(server)
    assert server.make()["Instances"] == 120
    assert (server.folder / "calls").read_text() == "."


_READ_ALONE = """
at(IndexSource, '_read', always, lambda self, study, level, scope, encode, opened: open(folder + '/reads', 'a').write(
    (study if opened is None else '') + '\\n'))
"""


@EXTENDED
def test_an_increment_reads_its_studies_together(make_server: Callable[..., Server]) -> None:
    """What the run before it was told of them has changed since."""
    server = make_server().start_with(_READ_ALONE)
    server.store(*archive.files(30, 1, 2, 2))
    wait_until_at_rest(server)
    base = server.make()
    server.store(*(archive.file(patient, 1, 1, 3) for patient in range(1, 21)))
    wait_until_at_rest(server)
    assert server.make(Base=base["SOPInstanceUID"])["Instances"] == 140
    assert not (server.folder / "reads").read_text().split()


@EXTENDED
def test_an_increment_asks_by_its_id_for_no_study_that_is_there(make_server: Callable[..., Server]) -> None:
    """However far from each other those that changed are; for one that is gone it asks once."""
    text = "at(Host, 'get', always, lambda self, path: open(folder + '/asked', 'a').write(path + '\\n'))"
    server = make_server(configuration={"LimitFindResults": 10}, inventory={"StoreIn": "Directory"}).start_with(text)
    server.store(*archive.files(60))
    wait_until_at_rest(server)
    base = server.make()
    studies = sorted(server.get("/studies?expand"), key=lambda study: study["ID"])
    patients = [int(study["PatientMainDicomTags"]["PatientID"][1:]) for study in studies]
    server.store(*(archive.file(patient, 1, 1, 2) for patient in patients[3::15]), archive.file(61, 1))
    gone = [study["ID"] for study in studies[9::12]]
    wait_until_at_rest(server)
    (server.folder / "asked").write_text("")
    added = server.make(Base=base["SOPInstanceUID"])
    assert (added["Studies"], added["Instances"]) == (61, 65) and not asked_by_id(server)
    for study in gone:
        server.delete(f"/studies/{study}")
    wait_until_at_rest(server)
    (server.folder / "asked").write_text("")
    removed = server.make(Base=added["SOPInstanceUID"])
    assert removed["Studies"] == 56 and asked_by_id(server) == dict.fromkeys(gone, 1)


def asked_by_id(server: Server) -> Counter[str]:
    """How often each study was asked for by its ID."""
    paths = (server.folder / "asked").read_text().split()
    return Counter(path.split("/")[2] for path in paths if path.startswith("/studies/"))


@EXTENDED
@pytest.mark.parametrize(("check", "calls"), [("EXISTS", {"heads": 1}), ("SIZE", {"heads": 2, "instances": 1})])
def test_a_verification_reads_several_studies_by_one_call(
    make_server: Callable[..., Server], check: str, calls: dict[str, int]
) -> None:
    text = """
for name in ('heads', 'instances'):
    at(Find, name, always, lambda *arguments, name=name: open(folder + '/calls', 'a').write(name + '\\n'))
"""
    server = make_server(inventory={"StoreIn": "Directory"}).start_with(text + _READ_ALONE)
    server.store(*archive.files(30, 1, 2, 2))
    wait_until_at_rest(server)
    uid = server.make()["SOPInstanceUID"]
    for name in ("calls", "reads"):
        (server.folder / name).write_text("")
    verification = server.post(f"/inventories/{uid}/verify", {"Check": check, "Synchronous": True})["Verification"]
    assert (verification["Checked"], verification["Missing"], verification["Different"]) == (120, 0, 0)
    assert Counter((server.folder / "calls").read_text().split()) == calls
    assert not (server.folder / "reads").read_text().split()


@EXTENDED
def test_a_verification_of_files_asks_nothing_for_each_that_is_well(make_server: Callable[..., Server]) -> None:
    text = """
for method in ('get', 'get_json', 'post'):
    at(Host, method, always, lambda self, path, *body, method=method: open(folder + '/asked', 'a').write(f'{method} {path}\\n'))
"""
    server = make_server(inventory={"StoreIn": "Directory"}).start_with(text)
    damaged = server.store(*archive.files(10, 1, 2, 2))[7]
    uid = server.make()["SOPInstanceUID"]
    name = server.get(f"/instances/{damaged}/attachments/dicom/info")["Uuid"]
    (server.folder / "storage" / name[:2] / name[2:4] / name).write_bytes(b"another file")
    (server.folder / "asked").write_text("")
    verification = server.post(f"/inventories/{uid}/verify", {"Check": "MD5", "Synchronous": True})["Verification"]
    assert (verification["Checked"], verification["Damaged"]) == (40, 1)
    calls = {tuple(line.split()) for line in (server.folder / "asked").read_text().splitlines()}
    assert {path for method, path in calls if method == "post"} == {"/tools/find"}
    paths = {path for _, path in calls if path.startswith("/instances")}
    assert paths == {f"/instances/{damaged}/attachments/dicom/info"}


@EXTENDED
@pytest.mark.parametrize("change", ["an object came", "an object was deleted", "a label was set", "it was deleted"])
@pytest.mark.parametrize("call", ["series", "instances", "heads_again"])
def test_a_study_that_changes_in_its_group_is_read_again(make_server: Callable[..., Server], change: str, call: str) -> None:
    action = {
        "an object came": "orthanc.RestApiPost('/instances', open(folder + '/file', 'rb').read())",
        "an object was deleted": "orthanc.RestApiDelete('/instances/' + victim[0])",
        "a label was set": "orthanc.RestApiPut('/studies/' + victim[1] + '/labels/changed', b'')",
        "it was deleted": "orthanc.RestApiDelete('/studies/' + victim[1])",
    }[change]
    text = f"""
def change(*arguments):
    victim = open(folder + "/victim").read().split()
    {action}
at(Find, '{call}', [1], change)
""" + _READ_ALONE
    server = make_server()
    (server.folder / "file").write_bytes(archive.file(5, 1, 1, 3))
    server.start_with(text)
    identifiers = server.store(*archive.files(10, 1, 1, 2))
    victim = server.get(f"/instances/{identifiers[8]}/study")["ID"]
    (server.folder / "victim").write_text(f"{identifiers[8]} {victim}")
    wait_until_at_rest(server)
    summary = server.make()
    numbers = {}
    for study in server.studies(summary):
        numbers[study.PatientID] = study.NumberOfStudyRelatedInstances
        assert len(object_uids([study])) == study.NumberOfStudyRelatedInstances
    expected = {"an object came": 3, "an object was deleted": 1, "a label was set": 2, "it was deleted": 0}[change]
    assert numbers.pop("P0005", 0) == expected
    assert len(numbers) == 9 and set(numbers.values()) == {2}
    # All the others were read in the group. What changed before anything of it was listed had not to be read again.
    alone = set((server.folder / "reads").read_text().split())
    assert alone == {victim} or (not alone and call == "series" and "object" in change)


def test_every_record_is_true_at_its_moment(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"ThrottleDelay": 20}).start()
    writer = Writer(server, studies=60)
    writer.start()
    try:
        summaries = [server.make() for _ in range(2)]
    finally:
        writer.stop()
    for summary in summaries:
        found = {study.PatientID: study for study in server.studies(summary)}
        transaction = server.transaction(summary["TransactionUID"])
        # Those that changed at each attempt are named.
        lost = writer.lasting - found.keys()
        assert len(lost) <= len(transaction["Skipped"]), lost
        for patient, study in found.items():
            moment = datetime.datetime.strptime(study.ItemInventoryDateTime, "%Y%m%d%H%M%S.%f%z").timestamp()
            uids = frozenset(uid for *_, uid in object_uids([study]))
            assert uids in writer.states(patient, moment), (patient, moment)


class Writer:
    """Stores and deletes objects in a thread of its own, and knows what each study may have held at any moment.

    ``lasting`` are the patients whose only study is never deleted.
    """

    def __init__(self, server: Server, studies: int) -> None:
        self._server = server
        self._random = random.Random(20260101)
        self._identifiers: dict[str, str] = {}
        self._held: dict[str, set[str]] = defaultdict(set)
        self._history: dict[str, list[tuple[float, float, frozenset[str]]]] = defaultdict(list)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.lasting = {f"P{patient:04}" for patient in range(1, studies + 1) if patient % 3}
        self._studies = studies
        for patient in range(1, studies + 1):
            for instance in range(1, 4):
                self._store(patient, instance)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def states(self, patient: str, moment: float) -> set[frozenset[str]]:
        history = self._history[patient]
        last = max((place for place, (_, end, _) in enumerate(history) if end <= moment), default=0)
        return {state for begin, _, state in history[last:] if begin <= moment}

    def _work(self) -> None:
        while not self._stopping.is_set():
            patient = self._random.randint(1, self._studies)
            name = f"P{patient:04}"
            held = sorted(self._held[name])
            if self._random.random() < 0.5 or not held or (name in self.lasting and len(held) == 1):
                self._store(patient, self._random.randint(1, 6))
            else:
                self._delete(name, self._random.choice(held))

    def _store(self, patient: int, instance: int) -> None:
        name, uid = f"P{patient:04}", archive.uid(patient, 1, 1, instance)
        begin = _now()
        (self._identifiers[uid],) = self._server.store(archive.file(patient, 1, 1, instance))
        self._held[name].add(uid)
        self._history[name].append((begin, _now(), frozenset(self._held[name])))

    def _delete(self, name: str, uid: str) -> None:
        begin = _now()
        self._server.delete(f"/instances/{self._identifiers[uid]}")
        self._held[name].discard(uid)
        self._history[name].append((begin, _now(), frozenset(self._held[name])))


def _now() -> float:
    return datetime.datetime.now(datetime.timezone.utc).timestamp()
