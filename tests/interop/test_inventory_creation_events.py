"""Inventory Creation: what a peer is told, and how that reaches it whatever happens."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration import archive
from tests.integration.server import SCRIPT, Server
from tests.integration.waiting import wait_until

from .creation import (
    CANCEL,
    PAUSE,
    REQUEST_STATUS,
    RESUME,
    SMALL,
    STATUS,
    WITH_INSTANCES,
    WITHOUT_INSTANCES,
    Creator,
    Told,
    start_for,
    with_script,
)
from .peer import SYNTAXES, certificate, server_context, start

MakeServer = Callable[..., Server]
END = [(STATUS, "PROCESSING"), (STATUS, "COMPLETE"), (WITH_INSTANCES, "COMPLETE")]
# No run comes to its end before the test lets it.
HELD = "at(Journal, 'finish', always, hold)"


def initiate(creator: Creator, port: int, uid: str) -> None:
    """Asks, and goes at once; that it is begun may be told to it before."""
    with creator.associated(port) as peer:
        assert peer.initiate(uid).status == 0


def test_events_come_over_a_new_association_when_that_of_the_request_is_gone(
    make_server: MakeServer, tmp_path: Path
) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, PythonScript=with_script(tmp_path, HELD))
    server.store(*archive.files(2))
    with creator.listening():
        with creator.associated(port) as peer:
            peer.initiate("1.2.3")
            creator.wait_for("1.2.3", 1)
        server.let_go()
        told = creator.wait_for_end("1.2.3")
    assert [entry.said for entry in told] == END
    assert [entry.new for entry in told] == [False, True, True]


def test_events_come_in_each_transfer_syntax(make_server: MakeServer, tmp_path: Path) -> None:
    """Over a new association it is the peer that takes the one that it likes best."""
    creators = [Creator(f"PEER{number}") for number in range(len(SYNTAXES))]
    server, port = start_for(make_server, *creators, PythonScript=with_script(tmp_path, HELD))
    for creator in creators:
        initiate(creator, port, f"1.2.{creator.port}")
    server.let_go()
    for creator, syntax in zip(creators, SYNTAXES, strict=True):
        with creator.listening(syntaxes=[syntax]):
            *_, end = creator.wait_for_end(f"1.2.{creator.port}")
        assert end.syntax == syntax and end.new
        assert end.information.TotalNumberOfStudyRecords == 0 and len(end.information.MAC) == 32


def test_events_come_over_tls_and_from_the_ae_title_that_the_modality_has_for_us(
    make_server: MakeServer, tmp_path: Path
) -> None:
    path = with_script(tmp_path, HELD)
    folder = tmp_path / "orthanc0"
    key, own = certificate(folder, "own")
    peer_key, peer = certificate(folder, "peer")
    stranger_key, stranger = certificate(folder, "stranger")
    creator = Creator()
    server, port = start(
        make_server, DicomTlsCertificate=str(own), DicomTlsPrivateKey=str(key), DicomTlsTrustedCertificates=str(peer),
        DicomModalities={"creator": {**creator.modality, "UseDicomTls": True, "LocalAet": "LOCAL"}}, PythonScript=path,
    )
    # Another one in its place is told nothing.
    with creator.listening(ssl_context=server_context(stranger_key, stranger, own)):
        initiate(creator, port, "1.2.3")
        server.let_go()
        server.wait_for_line("telling PEER fails", "TLS")
    assert [entry for entry in creator.told if entry.new] == []
    creator.told.clear()
    with creator.listening(caller="LOCAL", ssl_context=server_context(peer_key, peer, own)):
        *_, end = creator.wait_for_end("1.2.3")
    assert end.said == (WITH_INSTANCES, "COMPLETE") and end.new


def test_a_peer_that_is_down_is_told_later(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, PythonScript=with_script(tmp_path, HELD))
    initiate(creator, port, "1.2.3")
    server.let_go()
    root = server.wait_for("1.2.3")["SOPInstanceUID"]
    server.wait_for_line("telling PEER fails")
    creator.told.clear()
    with creator.listening():
        told = creator.wait_for_end("1.2.3")
    assert told[-1].information.ReferencedSOPInstanceUID == root
    assert len([line for line in server.log_lines() if "telling PEER fails" in line]) == 1
    # Each came once, and they are told no more.
    with creator.listening():
        initiate(creator, port, "1.2.4")
        creator.wait_for_end("1.2.4")
    assert creator.said("1.2.3") in (END, END[1:])


def test_nothing_is_lost_by_a_restart(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, inventory=SMALL, PythonScript=with_script(tmp_path, "halt(3)"))
    server.store(*archive.files(20))
    initiate(creator, port, "1.2.3")
    server.wait_until("1.2.3", Studies=3)
    creator.told.clear()
    server.stop()
    server.let_go()
    with creator.listening():
        server.start()
        told = creator.wait_for_end("1.2.3")
    said = [entry.said for entry in told]
    assert said in (END, END[1:]) and all(entry.new for entry in told)
    assert told[-1].information.TotalNumberOfStudyRecords == 20


@pytest.mark.parametrize("point", ["at(IndexSource, 'read', [7], die)", "at(Journal, 'finish', [1], die, after=True)"])
def test_nothing_is_lost_by_a_crash(make_server: MakeServer, tmp_path: Path, point: str) -> None:
    creator = Creator()
    path = with_script(tmp_path, f"at(Producer, '_begin', [1], hold)\n{point}")
    server, port = start_for(make_server, creator, inventory=SMALL, PythonScript=path)
    server.store(*archive.files(10))
    initiate(creator, port, "1.2.3")
    server.let_go()
    server.wait_until_dead()
    creator.told.clear()
    server.configuration["PythonScript"] = str(SCRIPT)
    with creator.listening():
        server.start()
        told = creator.wait_for_end("1.2.3")
        assert [entry.said for entry in told] in (END, END[1:])
        transaction = server.transaction("1.2.3")
        assert told[-1].information.ReferencedSOPInstanceUID == transaction["SOPInstanceUID"]
        # It goes on belonging to its peer.
        with creator.associated(port) as peer:
            assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3").status == 0
            assert creator.wait_for("1.2.3", len(told) + 2)[-1].said == (WITH_INSTANCES, "COMPLETE")
    assert server.get("/inventories") == [transaction["SOPInstanceUID"]]


def test_two_peers_at_once_hear_of_their_own(make_server: MakeServer) -> None:
    one, other = Creator("ONE"), Creator("OTHER")
    server, port = start_for(make_server, one, other, inventory=SMALL)
    server.store(*archive.files(10))
    with one.associated(port) as first, other.listening():
        assert first.initiate("1.2.3").status == 0
        initiate(other, port, "1.2.4")
        one.wait_for_end("1.2.3")
        other.wait_for_end("1.2.4")
    assert one.said("1.2.3") == END == other.said("1.2.4")
    assert one.of("1.2.4") == other.of("1.2.3") == []


def test_an_association_lasts_while_its_peer_waits(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, DicomScpTimeout=4, PythonScript=with_script(tmp_path, HELD))
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        # Longer than an association may be idle.
        time.sleep(5)
        server.let_go()
        told = creator.wait_for_end("1.2.3")
        assert peer.association.is_established and not any(entry.new for entry in told)
        # Now there is nothing more to wait for, whatever it asks.
        assert peer.act(PAUSE, TransactionUID="1.2.3").status == 0x0110
        wait_until(lambda: peer.association.is_aborted)


def test_what_others_do_is_told(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, inventory=SMALL, PythonScript=with_script(tmp_path, "halt(3)"))
    server.store(*archive.files(20))
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        said = [(STATUS, "PROCESSING")]
        creator.wait_for("1.2.3", 1)
        for what, status in (("pause", "PAUSED"), ("resume", "PROCESSING"), ("cancel", "CANCELED")):
            server.post(f"/inventories/transactions/1.2.3/{what}")
            said.append((STATUS, status))
            creator.wait_for("1.2.3", len(said))
        creator.wait_for_end("1.2.3")
    assert creator.said("1.2.3") == [*said, (WITHOUT_INSTANCES, "CANCELED")]


def test_a_failure_is_told(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    text = "def fail(*arguments): raise HostError(11, 'broken')\nat(IndexSource, 'read', always, fail)"
    server, port = start_for(make_server, creator, PythonScript=with_script(tmp_path, text))
    server.store(*archive.files(3))
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        *_, status, end = creator.wait_for_end("1.2.3")
    assert status.said == (STATUS, "FAILURE") and end.said == (WITHOUT_INSTANCES, "FAILURE")
    assert end.information.TransactionStatusComment == server.transaction("1.2.3")["TransactionStatusComment"] != ""


# Minutes that last a second.
_QUICK = """
from orthanc_inventory.production import events
from orthanc_inventory.services.dimse import event_reports
events._MINUTE, event_reports._LOOK = 1.0, 0.1
"""


def test_the_status_is_told_at_the_interval_that_was_asked_for(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(
        make_server, creator, inventory=SMALL, PythonScript=with_script(tmp_path, f"{_QUICK}\nhalt(8)")
    )
    server.store(*archive.files(20))
    with creator.associated(port) as peer:
        peer.initiate("1.2.3", RequestedStatusInterval=1)
        told = creator.wait_for("1.2.3", 4)
        assert {entry.said for entry in told} == {(STATUS, "PROCESSING")}
        counts = [entry.information.TotalNumberOfStudyRecords for entry in told]
        assert counts == sorted(counts) and counts[-1] > 0
        # A longer one, from now on.
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3", RequestedStatusInterval=1000).status == 0
        number = len(creator.wait_for("1.2.3", 5))
        time.sleep(2.5)
        assert len(creator.of("1.2.3")) <= number + 1
        assert peer.act(PAUSE, TransactionUID="1.2.3").status == 0
        creator.wait_for("1.2.3", number + 1)
        # Also while it is paused, and after a restart.
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3", RequestedStatusInterval=1).status == 0
        creator.wait_for("1.2.3", number + 3)
    server.stop()
    creator.told.clear()
    with creator.listening():
        server.start()
        assert creator.wait_for("1.2.3", 2)[-1].said == (STATUS, "PAUSED")
        with creator.associated(port) as peer:
            peer.act(RESUME, TransactionUID="1.2.3")
        server.wait_for("1.2.3", "Running", "Pending")
        server.post("/inventories/transactions/1.2.3/cancel")
        assert creator.wait_for_end("1.2.3")[-1].said == (WITHOUT_INSTANCES, "CANCELED")


def test_an_end_that_is_not_taken_is_told_again(make_server: MakeServer) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator)
    refusals = iter([0x0110, 0x0110])

    def answer(told: Told) -> int:
        # A status that is refused is passed over.
        return 0x0113 if told.type == STATUS else next(refusals, 0)

    creator.status = answer
    with creator.listening(), creator.associated(port) as peer:
        peer.initiate("1.2.3")
        told = creator.wait_for("1.2.3", 5)
    assert [entry.said for entry in told] == [*END, END[-1], END[-1]]
    assert [entry.new for entry in told] == [False, False, False, True, True]


def test_a_peer_that_takes_no_roles_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, PythonScript=with_script(tmp_path, HELD))
    with creator.listening(roles=False):
        initiate(creator, port, "1.2.3")
        server.let_go()
        server.wait_for_line("telling PEER fails", "role")


@pytest.mark.parametrize("silent", ["it accepts no connection", "it answers nothing"])
def test_a_peer_that_hangs_delays_neither_runs_nor_the_stop(make_server: MakeServer, silent: str) -> None:
    creator = Creator()
    # Longer than anything here waits.
    server, port = start_for(make_server, creator, DicomScuTimeout=600)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", creator.port), backlog=0))
        if silent == "it accepts no connection":
            for _ in range(4):
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(listener.getsockname())
        initiate(creator, port, "1.2.3")
        assert server.wait_for("1.2.3")["State"] == "Success"
        assert server.make()["InventoryCompletionStatus"] == "COMPLETE"
        # Others are told meanwhile, over their own associations.
        with creator.associated(port) as peer:
            peer.initiate("1.2.4")
            creator.wait_for_end("1.2.4")
        server.reset()
        server.stop()


def test_a_cancellation_in_the_queue_is_told(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, inventory=SMALL, PythonScript=with_script(tmp_path, "halt(3)"))
    server.store(*archive.files(20))
    running = server.begin()
    server.wait_for(running, "Running")
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        creator.wait_for("1.2.3", 1)
        assert peer.act(CANCEL, TransactionUID="1.2.3", RetainInstances="Y").status == 0
        creator.wait_for_end("1.2.3")
        assert server.transaction(running)["State"] == "Running"
    assert creator.said("1.2.3") == [(STATUS, "PROCESSING"), (STATUS, "CANCELED"), (WITHOUT_INSTANCES, "CANCELED")]
