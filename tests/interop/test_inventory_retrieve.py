"""Inventories are fetched by C-GET and C-MOVE, in each transfer syntax, as ``/file`` answers them."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.integration import archive, foreign
from tests.integration.server import Server, free_port
from tests.integration.waiting import wait_until

from .peer import GET, MOVE, STORAGE, SYNTAXES, association, certificate, data_set, find, get, keys, read, start, storage

MakeServer = Callable[..., Server]


def filled(make_server: MakeServer, **arguments: Any) -> tuple[Server, int, list[str]]:
    """With a tree of several instances, and their UIDs."""
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 6}, **arguments)
    server.store(*archive.files(5))
    return server, port, server.make()["InstanceUIDs"]


def add_modality(server: Server, ae_title: str, port: int, **more: Any) -> None:
    body = {"AET": ae_title, "Host": "127.0.0.1", "Port": port, **more}
    assert server.request("PUT", f"/modalities/{ae_title.lower()}", json=body).status_code == 200


def move(port: int, destination: str, **identifier: Any) -> list[Dataset]:
    with association(port, MOVE) as made:
        answers = list(made.send_c_move(keys(**identifier), destination, MOVE))
    return [status for status, _ in answers]


def check_same(server: Server, received: dict[str, bytes], uids: list[str]) -> None:
    assert sorted(received) == sorted(uids)
    for uid, file in received.items():
        kept = server.request("GET", f"/inventories/{uid}/file").content
        assert data_set(file) == data_set(kept)
        assert "PatientID" not in read(file) and "StudyInstanceUID" not in read(file)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_get(make_server: MakeServer, syntax: str) -> None:
    server, port, uids = filled(make_server)
    received, responses = get(port, *uids, syntaxes=[syntax])
    check_same(server, received, uids)
    assert all(read(file).file_meta.TransferSyntaxUID == syntax for file in received.values())
    count = len(uids)
    counts = [
        (entry.Status, entry.get("NumberOfRemainingSuboperations"), entry.NumberOfCompletedSuboperations) for entry in responses
    ]
    assert counts == [(0xFF00, count - done, done) for done in range(1, count)] + [(0, None, count)]


@pytest.mark.parametrize("kept", SYNTAXES)
def test_what_came_from_elsewhere_goes_out_in_any_transfer_syntax(make_server: MakeServer, kept: str) -> None:
    server, port = start(make_server)
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(number) for number in range(1, 4)]), kept)
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    for wanted in SYNTAXES:
        received, _ = get(port, "1.9.1", syntaxes=[wanted])
        check_same(server, received, ["1.9.1"])
    # Of several, that in which it is kept.
    received, _ = get(port, "1.9.1")
    assert read(received["1.9.1"]).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_one_root_is_one_object_and_unknown_ones_are_none(make_server: MakeServer) -> None:
    server, port, uids = filled(make_server)
    received, responses = get(port, uids[0], "1.2.3")
    check_same(server, received, uids[:1])
    assert [entry.Status for entry in responses] == [0]
    received, responses = get(port, "1.2.3")
    assert received == {} and (responses[0].Status, responses[0].NumberOfCompletedSuboperations) == (0, 0)


@pytest.mark.parametrize(
    "identifier",
    [{}, {"SOPInstanceUID": ""}, {"SOPInstanceUID": "1.2.*"}, {"SOPInstanceUID": "1.2", "QueryRetrieveLevel": "STUDY"},
     {"SOPInstanceUID": "1.2", "ContentDate": "20260101"}],
    ids=str,
)
def test_what_is_no_identifier(make_server: MakeServer, identifier: dict[str, str]) -> None:
    _, port, _ = filled(make_server)
    identifier = identifier or {"InventoryLevel": "STUDY"}
    assert [entry.Status for entry in move(port, "NOWHERE", **identifier)] == [0xA900]
    with association(port, GET, received={}) as made:
        assert [status.Status for status, _ in made.send_c_get(keys(**identifier), GET)] == [0xA900]


def test_without_the_role_nothing_can_be_sent(make_server: MakeServer) -> None:
    _, port, uids = filled(make_server)
    with association(port, GET, STORAGE) as made:
        answers = list(made.send_c_get(keys(SOPInstanceUID=uids), GET))
    assert (answers[-1][0].Status, answers[-1][0].NumberOfFailedSuboperations) == (0xA702, len(uids))
    assert set(answers[-1][1].FailedSOPInstanceUIDList) == set(uids)


def test_what_was_removed_by_hand_fails_and_the_rest_comes(make_server: MakeServer) -> None:
    server, port, uids = filled(make_server)
    gone = server.request("POST", "/tools/lookup", data=uids[1]).json()
    server.delete(gone[0]["Path"])
    received: dict[str, bytes] = {}
    with association(port, GET, received=received) as made:
        *_, (status, failed) = made.send_c_get(keys(SOPInstanceUID=uids), GET)
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xB000, 1)
    assert failed.FailedSOPInstanceUIDList == uids[1]
    check_same(server, received, [uid for uid in uids if uid != uids[1]])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_move_to_a_modality(make_server: MakeServer, syntax: str) -> None:
    server, port, uids = filled(make_server)
    with storage(syntaxes=[syntax]) as (destination, received):
        add_modality(server, "STORE", destination)
        responses = move(port, "store" if syntax == ExplicitVRLittleEndian else "STORE", SOPInstanceUID=uids)
    check_same(server, received, uids)
    assert [entry.Status for entry in responses] == [0xFF00] * (len(uids) - 1) + [0]
    assert responses[-1].NumberOfCompletedSuboperations == len(uids)


@contextmanager
def dcmtk_storage(folder: Path, *arguments: str) -> Iterator[int]:
    """DCMTK's Storage SCP, which keeps files in the folder; its port."""
    port = free_port()
    # "Promiscuous", as DCMTK 3.6.7 does not know the SOP class.
    command = ["storescp", "-pm", "-aet", "STORE", "-od", str(folder), "--bit-preserving", *arguments, str(port)]
    process = subprocess.Popen(command)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def check_move_to_dcmtk(server: Server, port: int, uids: list[str], folder: Path) -> None:
    wait_until(lambda: move(port, "STORE", SOPInstanceUID=uids)[-1].Status == 0, lambda: server.log_lines()[-3:])
    files = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    check_same(server, {read(file).SOPInstanceUID: file for file in files}, uids)


def test_move_to_dcmtk(make_server: MakeServer, tmp_path: Path) -> None:
    server, port, uids = filled(make_server)
    with dcmtk_storage(tmp_path) as destination:
        add_modality(server, "STORE", destination)
        check_move_to_dcmtk(server, port, uids, tmp_path)


def test_move_over_tls(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    key, own = certificate(folder, "own")
    store_key, store = certificate(folder, "store")
    stranger_key, stranger = certificate(folder, "stranger")
    server, port, uids = filled(
        make_server, DicomTlsCertificate=str(own), DicomTlsPrivateKey=str(key), DicomTlsTrustedCertificates=str(store)
    )
    with dcmtk_storage(tmp_path, "+tls", str(store_key), str(store), "+cf", str(own)) as destination:
        add_modality(server, "STORE", destination, UseDicomTls=True)
        check_move_to_dcmtk(server, port, uids, tmp_path)
    # Another one in its place gets nothing.
    empty = tmp_path / "stranger"
    empty.mkdir()
    with dcmtk_storage(empty, "+tls", str(stranger_key), str(stranger), "+cf", str(own)) as destination:
        add_modality(server, "STORE", destination, UseDicomTls=True)
        wait_for_listener(destination)
        assert move(port, "STORE", SOPInstanceUID=uids)[-1].Status == 0xA702
    assert not list(empty.iterdir())


def wait_for_listener(port: int) -> None:
    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens)


def test_move_to_another_inventory_plugin(make_server: MakeServer) -> None:
    server, port, uids = filled(make_server)
    other, destination = start(make_server, {"AeTitle": "OTHER"})
    add_modality(server, "OTHER", destination)
    assert move(port, "OTHER", SOPInstanceUID=uids)[-1].Status == 0
    copy = other.get(f"/inventories/{uids[0]}")
    assert copy["Missing"] == [] and copy["Requestor"] == "INVENTORY" and copy["Origin"] == "C-STORE"
    assert {answer.SOPInstanceUID for answer in find(destination, SOPInstanceUID="")[0]} == set(uids)
    # And to itself: it has them already.
    add_modality(server, "SELF", port)
    assert move(port, "SELF", SOPInstanceUID=uids)[-1].Status == 0


def test_destinations_that_are_none(make_server: MakeServer) -> None:
    server, port, uids = filled(make_server)
    [unknown] = move(port, "NOWHERE", SOPInstanceUID=uids)
    assert unknown.Status == 0xA801
    add_modality(server, "DOWN", free_port())
    [down] = move(port, "DOWN", SOPInstanceUID=uids)
    assert down.Status == 0xA702 and "refused" in down.ErrorComment and down.NumberOfFailedSuboperations == len(uids)


@pytest.mark.parametrize(
    ("status", "final", "completed", "failed", "warnings"),
    [(0xB000, 0xB000, 0, 0, 4), (0xA700, 0xA702, 0, 4, 0), (0xC123, 0xA702, 0, 4, 0)],
)
def test_what_the_destination_answers_is_counted(
    make_server: MakeServer, status: int, final: int, completed: int, failed: int, warnings: int
) -> None:
    server, port, uids = filled(make_server)
    with storage(status=status) as (destination, _):
        add_modality(server, "STORE", destination)
        last = move(port, "STORE", SOPInstanceUID=uids)[-1]
    assert last.Status == final
    assert (last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations, last.NumberOfWarningSuboperations) == (
        completed, failed, warnings,
    )


def test_cancel_of_a_move(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 3})
    server.store(*archive.files(30))
    uids = server.make()["InstanceUIDs"]
    cancelled = threading.Event()
    # What comes after the fifth is not taken before it is cancelled.
    with storage(before=lambda number: number < 5 or cancelled.wait(60)) as (destination, received):
        add_modality(server, "STORE", destination)
        statuses = []
        with association(port, MOVE) as made:
            for status, _ in made.send_c_move(keys(SOPInstanceUID=uids), "STORE", MOVE, msg_id=9):
                statuses.append(status)
                if len(statuses) == 2:
                    made.send_c_cancel(9, query_model=MOVE)
                    cancelled.set()
        last = statuses[-1]
        assert last.Status == 0xFE00 and last.NumberOfRemainingSuboperations > 0
        assert len(received) == last.NumberOfCompletedSuboperations < len(uids)


def test_memory_does_not_grow_with_the_size(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"MaximumImportSize": 256})
    data = foreign.inventory("1.9.1", [foreign.study(number, 4, 100) for number in range(1, 250)])
    file = foreign.encode(data, DeflatedExplicitVRLittleEndian)
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    get(port, "1.9.1", syntaxes=[ImplicitVRLittleEndian])
    before = peak(server)
    for _ in range(3):
        received, _ = get(port, "1.9.1", syntaxes=[ImplicitVRLittleEndian])
        assert len(received["1.9.1"]) > 19_000_000
    assert peak(server) < before + 8_000


def peak(server: Server) -> int:
    """The most memory that Orthanc ever had, in kB."""
    status = Path(f"/proc/{server.process_id}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
