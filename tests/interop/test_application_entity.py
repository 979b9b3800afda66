"""The Application Entity: who is let in, what a peer may do, and that nothing of it outlives Orthanc or a bad peer."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from tests.integration.server import Server, free_port
from tests.integration.waiting import wait_until

from .peer import FIND, GET, MOVE, STORAGE, VERIFICATION, association, certificate, find, start

MakeServer = Callable[..., Server]


ALL = (VERIFICATION, STORAGE, FIND, MOVE, GET)


def _request_pdu() -> bytes:
    """An A-ASSOCIATE-RQ for all classes, as pynetdicom sends it."""
    ae = AE("MUTANT")
    for sop_class in ALL:
        ae.add_requested_context(sop_class)
    caught: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def catch() -> None:
            peer, _ = listening.accept()
            caught.append(peer.recv(100_000))
            peer.close()

        thread = threading.Thread(target=catch)
        thread.start()
        ae.associate("127.0.0.1", listening.getsockname()[1])
        thread.join()
    return caught[0]


REQUEST = _request_pdu()


def echo(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["echoscu", "-v", *arguments, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=60, check=False
    )


def served(port: int) -> bool:
    return echo(port).returncode == 0


def threads(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process_id}/task"))


# Start and stop


@pytest.mark.newest
def test_verification(make_server: MakeServer) -> None:
    server, port = start(make_server)
    done = echo(port, "-aet", "DCMTK")
    assert done.returncode == 0 and "Received Echo Response (Success)" in done.stderr
    server.wait_for_line("DICOM: C-ECHO of Verification SOP Class by DCMTK (127.0.0.1): 0000H")
    assert server.get("/inventories/status")["Dimse"] == {
        "Running": True, "AeTitle": "INVENTORY", "Port": port, "Error": None,
    }


def test_it_is_off_by_default(make_server: MakeServer) -> None:
    server = make_server().start()
    status = server.get("/inventories/status")["Dimse"]
    assert status == {"Running": False, "AeTitle": "INVENTORY", "Port": 11113, "Error": None}
    assert "InventoryAccessEndPointsSequence" not in server.file(server.make()["SOPInstanceUID"])


def test_a_taken_port_is_one_line_and_orthanc_goes_on(make_server: MakeServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server(inventory={"Dimse": {"Enable": True, "Port": taken.getsockname()[1]}}).start()
        status = server.get("/inventories/status")["Dimse"]
        assert not status["Running"] and "Address already in use" in status["Error"]
        assert [line for line in server.log_lines() if "Address already in use" in line] == [status["Error"]]
        assert server.make()["Studies"] == 0
        server.stop()


def test_it_survives_resets_and_leaves_no_thread(make_server: MakeServer) -> None:
    server, port = start(make_server)
    before = threads(server)
    for _ in range(3):
        assert served(port)
        with association(port, VERIFICATION):
            server.reset()
    assert served(port)
    wait_until(lambda: threads(server) <= before)
    server.stop()
    assert not served(port)


def test_a_stop_aborts_open_associations_within_seconds(make_server: MakeServer) -> None:
    server, port = start(make_server)
    silent = connect(port)
    stalled = connect(port)
    stalled.sendall(b"\x01\0\0\0\0\xff half an A-ASSOCIATE-RQ")
    with association(port, VERIFICATION) as one, association(port, FIND) as other:
        began = time.monotonic()
        server.stop()
        # Less than an association may be idle.
        assert time.monotonic() - began < 25
        wait_until(lambda: one.is_aborted and other.is_aborted)
    assert silent.recv(10) == b"" and b"half" not in stalled.recv(10)


# Who is let in


def results(port: int, *sop_classes: str, **arguments: Any) -> dict[str, int]:
    """Of each presentation context; with one that is accepted, as pynetdicom aborts where there is none."""
    with association(port, *{VERIFICATION, *sop_classes}, **arguments) as made:
        assert made.is_established
        contexts = made.accepted_contexts + made.rejected_contexts
        found = {str(context.abstract_syntax): context.result for context in contexts}
        return {sop_class: found[sop_class] for sop_class in sop_classes}


@pytest.mark.newest
def test_orthanc_s_own_flags_are_obeyed(make_server: MakeServer) -> None:
    modalities = {
        "list": ["LIST", "127.0.0.1", 104],
        "some": {"AET": "SOME", "Host": "127.0.0.1", "Port": 104, "AllowFind": False, "AllowGet": False},
    }
    server, port = start(
        make_server, DicomModalities=modalities, **{f"DicomAlwaysAllow{name}": False for name in ("Find", "Get", "Move")}
    )
    accepted, rejected = 0, 1
    everything = dict.fromkeys(ALL, accepted)
    strangers = {**everything, FIND: rejected, MOVE: rejected, GET: rejected}
    assert results(port, *ALL, ae_title="LIST") == everything
    assert results(port, *ALL, ae_title="some") == {**everything, FIND: rejected, GET: rejected}
    assert results(port, *ALL, ae_title="STRANGER") == strangers
    # What the user adds while Orthanc runs.
    server.request("PUT", "/modalities/new", json={"AET": "STRANGER", "Host": "10.0.0.1", "Port": 104, "AllowMove": False})
    assert results(port, *ALL, ae_title="STRANGER") == {**everything, MOVE: rejected}


def test_modalities_that_orthanc_keeps_in_its_database(make_server: MakeServer) -> None:
    server, port = start(make_server, DicomModalitiesInDatabase=True, DicomAlwaysAllowFind=False)
    server.request("PUT", "/modalities/new", json={"AET": "STORED", "Host": "127.0.0.1", "Port": 104})
    server.stop()
    server.start()
    assert results(port, FIND, ae_title="STORED") == {FIND: 0} and results(port, FIND, ae_title="OTHER") == {FIND: 1}


def answer(port: int, ae_title: str = "MUTANT", called: str = "INVENTORY") -> tuple[int, tuple[int, int, int], socket.socket]:
    """Kind, and result, source and reason, of what an A-ASSOCIATE-RQ is answered with, and the connection.

    By hand: pynetdicom takes a rejection that comes very quickly for a broken connection.
    """
    pdu = REQUEST[:10] + called.ljust(16).encode() + ae_title.ljust(16).encode() + REQUEST[42:]
    peer = connect(port)
    peer.sendall(pdu)
    head = peer.recv(10, socket.MSG_WAITALL)
    return head[0], (head[7], head[8], head[9]), peer


def rejection(port: int, **arguments: str) -> tuple[int, int, int]:
    kind, reason, peer = answer(port, **arguments)
    assert kind == 3
    peer.close()
    return reason


def test_who_may_do_nothing_is_rejected(make_server: MakeServer) -> None:
    nothing = {f"DicomAlwaysAllow{name}": False for name in ("Echo", "Store", "Find", "Get", "Move")}
    modalities = {"a": ["KNOWN", "127.0.0.1", 104], "b": ["FAR", "10.1.2.3", 104], "c": ["NAMED", "localhost", 104]}
    server, port = start(make_server, DicomModalities=modalities, DicomCheckModalityHost=True, **nothing)
    assert rejection(port, ae_title="STRANGER") == rejection(port, ae_title="FAR") == (1, 1, 3)
    assert results(port, VERIFICATION, ae_title="KNOWN") == results(port, VERIFICATION, ae_title="NAMED") == {VERIFICATION: 0}
    server.wait_for_line("STRANGER (127.0.0.1) is rejected")


def test_the_called_ae_title_is_checked_where_orthanc_does(make_server: MakeServer) -> None:
    _, port = start(make_server, {"AeTitle": "ARCHIVE"}, DicomCheckCalledAet=True)
    assert rejection(port, called="INVENTORY") == (1, 1, 7)
    assert results(port, VERIFICATION, called="archive") == {VERIFICATION: 0}


def test_case_counts_with_strict_comparison(make_server: MakeServer) -> None:
    modalities = {"a": ["KNOWN", "127.0.0.1", 104]}
    _, port = start(make_server, DicomModalities=modalities, DicomAlwaysAllowFind=False, StrictAetComparison=True)
    assert results(port, FIND, ae_title="KNOWN") == {FIND: 0} and results(port, FIND, ae_title="known") == {FIND: 1}


def test_unknown_classes_and_transfer_syntaxes(make_server: MakeServer) -> None:
    _, port = start(make_server)
    ct, jpeg = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.50"
    assert results(port, ct, VERIFICATION) == {ct: 3, VERIFICATION: 0}
    assert results(port, FIND, syntaxes=[jpeg]) == {FIND: 4}


# TLS


def test_tls(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    certificate(folder, "server")
    key, own = certificate(folder, "client")
    stranger_key, stranger = certificate(folder, "stranger")
    server, port = start(
        make_server, DicomTlsEnabled=True, DicomTlsTrustedCertificates=str(own),
        DicomTlsCertificate=str(folder / "server.crt"), DicomTlsPrivateKey=str(folder / "server.key"),
    )
    arguments = ("+cf", str(folder / "server.crt"))
    assert echo(port, "+tls", str(key), str(own), *arguments).returncode == 0
    assert echo(port, "+tls", str(stranger_key), str(stranger), *arguments).returncode != 0
    assert not served(port)
    # One that says nothing keeps nobody from being served.
    silent = [connect(port) for _ in range(5)]
    assert echo(port, "+tls", str(key), str(own), *arguments).returncode == 0
    for each in silent:
        each.close()
    server.wait_for_line("TLS failed")
    server.stop()


def test_tls_that_cannot_be_is_not_left_out(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    (folder / "broken").write_text("no PEM file")
    keys = dict.fromkeys(("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"), str(folder / "broken"))
    server = make_server(
        configuration={"DicomTlsEnabled": True, "DicomServerEnabled": False, **keys},
        inventory={"Dimse": {"Enable": True, "Port": (port := free_port())}},
    ).start()
    status = server.get("/inventories/status")["Dimse"]
    assert not status["Running"] and "DicomTlsCertificate" in status["Error"] and not served(port)


# Bad peers


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    return made


def test_mutated_pdus_harm_nobody(make_server: MakeServer) -> None:
    server, port = start(make_server, {"MaximumAssociations": 5}, DicomScpTimeout=2)
    before, files = threads(server), len(os.listdir(f"/proc/{server.process_id}/fd"))
    good = REQUEST
    chance = random.Random(1)
    command = struct.pack(">BBIIBB", 4, 0, 6 + 80, 2 + 80, 1, 3) + bytes(80)
    for number in range(200):
        broken = bytearray(good)
        for _ in range(chance.randrange(1, 12)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with connect(port) as peer:
            peer.sendall(bytes(broken[: chance.randrange(6, len(broken))] if number % 3 == 0 else broken))
            if number % 2:
                mutant = bytearray(command)
                mutant[chance.randrange(6, len(mutant))] = chance.randrange(256)
                try:
                    peer.sendall(bytes(mutant))
                except OSError:
                    pass
    assert served(port)
    wait_until(lambda: threads(server) <= before)
    assert len(os.listdir(f"/proc/{server.process_id}/fd")) <= files + 2
    assert "Traceback" not in server.log()
    server.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x04\0\0\0\0\x0a\0\0\0\x06\x01\x03abcd",
        b"\x01\0\xff\xff\xff\xff" + bytes(100),
        b"\x05\0\0\0\0\x04\0\0\0\0",
    ],
)
def test_what_does_not_begin_as_dicom_is_aborted(make_server: MakeServer, sent: bytes) -> None:
    _, port = start(make_server)
    with connect(port) as peer:
        peer.sendall(sent)
        assert peer.recv(100)[:1] == b"\x07" and peer.recv(100) == b""
    assert served(port)


def test_fifty_associations_at_once(make_server: MakeServer) -> None:
    server, port = start(make_server, {"MaximumAssociations": 10})
    together = threading.Barrier(50)
    answers: list[tuple[int, tuple[int, int, int], socket.socket]] = []

    def one() -> None:
        together.wait()
        answers.append(answer(port))

    crowd = [threading.Thread(target=one) for _ in range(50)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    accepted = [peer for kind, _, peer in answers if kind == 2]
    # Rejected for a while: local limit exceeded.
    assert len(accepted) == 10 and [reason for kind, reason, _ in answers if kind == 3] == [(2, 3, 2)] * 40
    assert not served(port)
    for _, _, peer in answers:
        peer.close()
    wait_until(lambda: served(port))
    assert server.get("/inventories/status")["Dimse"]["Running"]


def test_half_open_and_stalled_peers_take_no_place(make_server: MakeServer) -> None:
    server, port = start(make_server, {"MaximumAssociations": 2}, DicomScpTimeout=2)
    before = threads(server)
    good = REQUEST
    peers = [connect(port) for _ in range(40)]
    for peer in peers[:20]:
        peer.sendall(good[:100])
    assert served(port)
    # These have an association, as many as there may be: they end when they are idle, or in the middle of a PDU, for too long.
    for peer in peers[:2]:
        peer.sendall(good[100:])
        assert peer.recv(1, socket.MSG_WAITALL) == b"\x02"
    peers[1].sendall(b"\x04\0\0\0\x40\0")
    wait_until(lambda: served(port))
    wait_until(lambda: threads(server) <= before)
    for peer in peers:
        peer.close()


def test_a_peer_that_disappears(make_server: MakeServer) -> None:
    server, port = start(make_server)
    before = threads(server)
    for _ in range(5):
        with association(port, STORAGE) as made:
            context = made.accepted_contexts[0].context_id
            command = bytes.fromhex("0000000004000000")  # a command set that has just begun
            made.dul.socket.socket.sendall(struct.pack(">BBIIBB", 4, 0, 14, 10, context, 1) + command)
            made.dul.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.dul.socket.socket.close()
            made.abort()
    wait_until(lambda: threads(server) <= before)
    assert find(port, SOPInstanceUID="") == ([], 0)


def test_three_hundred_associations_leave_nothing_behind(make_server: MakeServer) -> None:
    server, port = start(make_server)
    for _ in range(30):
        find(port, SOPInstanceUID="")
    before = threads(server), resident(server)
    for _ in range(300):
        with association(port, VERIFICATION, FIND) as made:
            assert made.send_c_echo().Status == 0
    wait_until(lambda: threads(server) <= before[0])
    assert resident(server) < before[1] + 4_000, (before, resident(server))


def resident(server: Server) -> int:
    """In kB."""
    status = Path(f"/proc/{server.process_id}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
