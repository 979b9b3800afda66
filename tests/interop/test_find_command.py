"""orthanc-inventory find: what it shows of the inventories of another system, and the options that name that system."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt

from tests.integration import archive, foreign
from tests.integration.server import Server, free_port
from tests.integration.test_command_line import command, refused, succeeded

from .peer import FIND, STORAGE, certificate, keys, server_context, serving, start

MakeServer = Callable[..., Server]


def found(port: int, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(succeeded("find", "--peer", f"PEER@127.0.0.1:{port}", "--json", *arguments))


def test_inventories_of_an_orthanc_are_found(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 6})
    server.store(*archive.files(5))
    made = server.make(Purpose="Prüfung", Scope={"PatientID": "P*", "StudyDate": "20100101-"})
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]), foreign.DEFLATED)
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    assert {answer["SOPInstanceUID"] for answer in found(port)} == {*made["InstanceUIDs"], "1.9.1"}
    root = made["SOPInstanceUID"]
    query = ("InventoryPurpose=Prüf*", "InventoryCompletionStatus=COMPLETE", "Manufacturer", "TotalNumberOfStudyRecords=5")
    [answer] = found(port, *query)
    expected = {
        "SOPInstanceUID": root, "InventoryPurpose": "Prüfung", "Scope": {"PatientID": "P*", "StudyDate": "20100101-"},
        "TotalNumberOfStudyRecords": 5, "NumberOfStudyRecordsInInstance": 0, "TransactionUID": made["TransactionUID"],
        "Manufacturer": server.file(root).Manufacturer,
    }
    assert {key: answer[key] for key in expected} == expected
    [answer] = found(port, "ScopeOfInventorySequence.GeneralMatchingSequence.PatientID=P?", f"SOPInstanceUID={root}\\1.9.1")
    assert answer["SOPInstanceUID"] == root
    table = succeeded("find", *query, "--peer", f"INVENTORY@127.0.0.1:{port}").splitlines()
    assert table[0].startswith("Made") and len(table) == 2
    assert table[1].split()[2:] == ["INSTANCE", "COMPLETE", "5", "0", root, "Prüfung", "StudyDate=20100101-,", "PatientID=P*"]
    assert found(port, "InventoryLevel=SERIES") == []


def answering(*responses: tuple[Any, Dataset | None], asked: list[tuple[str, Dataset]] | None = None) -> list[Any]:
    def handle(event: evt.Event) -> Iterator[tuple[Any, Dataset | None]]:
        if asked is not None:
            asked.append((event.assoc.requestor.ae_title, event.identifier))
        yield from responses

    return [(evt.EVT_C_FIND, handle)]


def refusal(status: int, comment: str) -> Dataset:
    return keys(Status=status, ErrorComment=comment)


INVENTORY = keys(
    SOPInstanceUID="1.2", ContentDate="20260102", ContentTime="101530", InventoryLevel="STUDY", InventoryPurpose="\x1b[31mred",
    ScopeOfInventorySequence=[keys(GeneralMatchingSequence=[keys(PatientID="P1", Rows=7)])],
)


def test_what_another_system_answers(tmp_path: Path) -> None:
    asked: list[tuple[str, Dataset]] = []
    handlers = answering((0xFF01, INVENTORY), asked=asked)
    with serving(FIND, ae_title="OTHER", syntaxes=[ImplicitVRLittleEndian], handlers=handlers) as port:
        done = command("find", "InventoryLevel=STUDY", "--peer", f"OTHER@localhost:{port}", "--ae-title", "MY OWN")
        [answer] = found(port)
    assert done.returncode == 0 and done.stderr == "OTHER does not support all of the keys\n"
    row = done.stdout.splitlines()[1]
    assert row.startswith("2026-01-02 10:15:30  STUDY") and "\\x1b[31mred" in row and "GeneralMatchingSequence" not in row
    assert answer["Scope"]["ScopeOfInventorySequence"][0]["00080413"]["Value"][0]["00100020"]["Value"] == ["P1"]
    (title, identifier), (_, everything) = asked
    assert title == "MY OWN" and identifier.InventoryLevel == "STUDY" and "QueryRetrieveLevel" not in identifier
    assert everything.InventoryLevel == "" and not everything.ScopeOfInventorySequence


def test_how_it_ends() -> None:
    with serving(FIND, handlers=answering((0xFF00, INVENTORY), (0xB001, None))) as port:
        done = command("find", "--peer", f"PEER@127.0.0.1:{port}")
    assert done.returncode == 1 and "1.2" in done.stdout and "B001H" in done.stderr
    with serving(FIND, handlers=answering((0xFF00, INVENTORY), (refusal(0xA700, "too many"), None))) as port:
        assert refused("find", "--peer", f"PEER@127.0.0.1:{port}").endswith("PEER refuses the query with A700H: too many")
    with serving(FIND, handlers=answering((0xC001, None))) as port:
        assert "C001H: Unable to Process" in refused("find", "--peer", f"PEER@127.0.0.1:{port}")
    with serving(STORAGE) as port:
        assert "PEER does not accept Inventory - FIND" in refused("find", "--peer", f"PEER@127.0.0.1:{port}")
    assert "no connection to PEER: Connection refused" in refused("find", "--peer", f"PEER@127.0.0.1:{free_port()}")


def test_a_peer_that_rejects_or_disappears() -> None:
    ae = AE("STRICT")
    ae.add_supported_context(FIND)
    ae.require_calling_aet = ["FRIEND"]
    ae.require_called_aet = True

    def vanish(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, INVENTORY
        event.assoc.abort()

    server = ae.start_server(("127.0.0.1", port := free_port()), block=False, evt_handlers=[(evt.EVT_C_FIND, vanish)])
    assert server is not None
    try:
        told = refused("find", "--peer", f"STRICT@127.0.0.1:{port}")
        assert told.endswith("STRICT rejects the association: it does not know our AE title")
        told = refused("find", "--peer", f"WRONG@127.0.0.1:{port}", "--ae-title", "FRIEND")
        assert told.endswith("WRONG rejects the association: it has another AE title")
        told = refused("find", "--peer", f"STRICT@127.0.0.1:{port}", "--ae-title", "FRIEND")
        assert "the association with STRICT ended: it aborted the association" in told
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "which system? Give --peer, such as --peer PACS@10.0.0.5:104"),
        (["--peer", "PACS:104"], "--peer must be of the form AET@HOST:PORT"),
        (["--peer", "PACS@host:70000"], "--peer must be of the form AET@HOST:PORT"),
        (["--peer", "SEVENTEEN_LETTERS@host:104"], "--peer must be of the form AET@HOST:PORT"),
        (["--peer", "A@[::1]:1", "--ae-title", ""], "--ae-title must be an AE title of at most 16 characters"),
        (["--peer", "A@[::1]:1", "--timeout", "0"], "--timeout must be a number of seconds from 1 on"),
        (["--peer", "A@[::1]:1", "--trusted", "x"], "--trusted is for --tls only"),
        (["--peer", "A@[::1]:1", "--tls", "--key", "x"], "--certificate and --key must stand together"),
        (["--peer", "A@[::1]:1", "--tls", "--trusted", "none.pem"], "--trusted none.pem cannot be used: No such file"),
        (["--peer", "A@[::1]:1", "--tls", "--trusted", __file__], "cannot be used: no certificates"),
        (["--peer", "A@[::1]:1", "--tls", "--key", __file__, "--certificate", __file__], "PEM files that belong together"),
        (["Levle=STUDY"], "Levle is no keyword of a DICOM attribute"),
        (["InventoryAccessEndPointsSequence=X"], "InventoryAccessEndPointsSequence is a sequence: a key in it is "),
        (["InventoryLevel.PatientID=X"], "InventoryLevel is no sequence, so that there is no InventoryLevel.PatientID"),
        (["TotalNumberOfStudyRecords=many"], "TotalNumberOfStudyRecords must be a number from 0 on"),
    ],
)
def test_what_cannot_be_asked(arguments: list[str], told: str) -> None:
    assert told in refused("find", *arguments)


def test_tls(tmp_path: Path) -> None:
    server_key, server_certificate = certificate(tmp_path, "server")
    key, own = certificate(tmp_path, "client")
    stranger_key, stranger = certificate(tmp_path, "stranger")
    context = server_context(server_key, server_certificate, own)
    with serving(FIND, handlers=answering((0xFF00, INVENTORY)), ssl_context=context) as port:
        peer = ("--peer", f"PEER@127.0.0.1:{port}", "--tls")
        right = ("--certificate", str(own), "--key", str(key))
        trusted = ("--trusted", str(server_certificate))
        assert "1.2" in succeeded("find", *peer, *right, *trusted)
        assert "TLS failed" in refused("find", *peer, *right)
        assert "TLS failed" in refused("find", *peer, *right, "--trusted", str(stranger))
        # The peer finds our certificate wrong after the handshake is done here (TLS 1.3).
        wrong = ("--certificate", str(stranger), "--key", str(stranger_key))
        for arguments in ((*peer, *trusted, *wrong), (*peer, *trusted), (*peer[:2], "--timeout", "5")):
            assert "no association with PEER" in refused("find", *arguments)
