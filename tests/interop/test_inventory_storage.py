"""Inventories from elsewhere come in by C-STORE, from pynetdicom and from DCMTK, and are those that were sent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.integration import archive, foreign
from tests.integration.server import Server

from .peer import MOVE, STORAGE, SYNTAXES, association, data_set, keys, start

MakeServer = Callable[..., Server]

# What DCMTK 3.6.7 has no names for.
PROFILE = f"""
[[TransferSyntaxes]]
[Syntax]
TransferSyntax1 = %s
[[PresentationContexts]]
[Inventory]
PresentationContext1 = {STORAGE}\\Syntax
[[Profiles]]
[Default]
PresentationContexts = Inventory
"""


def send(port: int, file: bytes, *, ae_title: str = "SENDER") -> Dataset:
    data = pydicom.dcmread(BytesIO(file), force=True)
    with association(port, STORAGE, ae_title=ae_title, syntaxes=[data.file_meta.TransferSyntaxUID]) as made:
        return made.send_c_store(data)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_dcmtk_sends_an_inventory(make_server: MakeServer, tmp_path: Path, syntax: str) -> None:
    server, port = start(make_server)
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1, 2, 3)], TransactionUID="1.9.2"), syntax)
    (tmp_path / "inventory.dcm").write_bytes(file)
    (tmp_path / "storescu.cfg").write_text(PROFILE % syntax)
    done = subprocess.run(
        ["storescu", "-v", "-xf", "storescu.cfg", "Default", "-aet", "DCMTK", "127.0.0.1", str(port), "inventory.dcm"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0 and "Received Store Response (Success)" in done.stderr, done.stderr
    summary = server.get("/inventories/1.9.1")
    expected = {"Origin": "C-STORE", "Requestor": "DCMTK", "TransactionUID": "1.9.2", "Studies": 1, "Series": 2, "Instances": 6}
    assert {key: summary[key] for key in expected} == expected
    kept = server.request("GET", "/inventories/1.9.1/file").content
    assert data_set(kept) == data_set(file) and pydicom.dcmread(BytesIO(kept)).file_meta.TransferSyntaxUID == syntax
    assert summary["Size"] == len(kept) and server.get("/inventories") == ["1.9.1"]
    [path] = server.state_directory.rglob("*.dcm")
    assert path.stat().st_mode & 0o777 == 0o600
    server.wait_for_line("C-STORE of Inventory Storage by DCMTK (127.0.0.1): 0000H")
    assert "Foreign1" not in server.log()


@pytest.mark.newest
def test_a_tree_comes_leaf_by_leaf(make_server: MakeServer) -> None:
    server, port = start(make_server)
    there, _ = start(make_server, inventory={"MaxRecordsPerInstance": 6})
    there.store(*archive.files(5))
    summary = there.make()
    for uid in summary["InstanceUIDs"]:
        assert send(port, there.request("GET", f"/inventories/{uid}/file").content).Status == 0
    copy = server.get(f"/inventories/{summary['SOPInstanceUID']}")
    assert copy["Missing"] == [] and copy["Studies"] == 5 and server.get("/inventories") == [summary["SOPInstanceUID"]]


def test_what_comes_twice_is_taken_once(make_server: MakeServer) -> None:
    server, port = start(make_server)
    for syntax in SYNTAXES:
        assert send(port, foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]), syntax)).Status == 0
    assert server.get("/inventories") == ["1.9.1"]
    other = send(port, foreign.encode(foreign.inventory("1.9.1", [foreign.study(2)])))
    assert other.Status == 0xC000 and "another object" in other.ErrorComment
    assert server.get("/inventories/1.9.1/studies")[0]["0020000D"]["Value"] == ["1.9.1"]


def bad(**attributes: Any) -> bytes:
    return foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], **attributes))


REFUSED = {
    "no level": (lambda: bad(InventoryLevel=None), 0xA900, "Inventory Level"),
    "no date": (lambda: bad(ContentDate=None), 0xA900, "ContentDate"),
    "wrong number of studies": (lambda: bad(NumberOfStudyRecordsInInstance=7), 0xA900, "study records"),
    "instances where there are none": (lambda: bad(InventoryLevel="SERIES"), 0xA900, "SERIES"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_inventory_is_refused(make_server: MakeServer, what: str) -> None:
    make, status, word = REFUSED[what]
    server, port = start(make_server)
    answer = send(port, make())
    assert answer.Status == status and word in answer.ErrorComment
    assert server.get("/inventories") == [] and not list(server.state_directory.rglob("*.dcm"))
    assert "Foreign1" not in server.log()


def test_what_cannot_be_read_is_refused(make_server: MakeServer) -> None:
    server, port = start(make_server)
    good = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    with association(port, STORAGE, syntaxes=SYNTAXES[:1]) as made:
        for position in range(400, len(good), 97):
            broken = bytearray(good)
            broken[position : position + 4] = b"\xff\xff\xff\xff"
            answer = store_raw(made, "1.9.1", bytes(broken[good.index(b"\x08\0\x05\0CS") :]))
            assert answer in (0xA900, 0xC000, 0), hex(answer)
            if answer == 0:  # the place of a value
                server.delete("/inventories/1.9.1")
        # The uid of the command is not that of the object.
        assert store_raw(made, "1.9.7", good[good.index(b"\x08\0\x05\0CS") :]) == 0xA900
        assert store_raw(made, "1.9.1", good[good.index(b"\x08\0\x05\0CS") :]) == 0
    assert server.get("/inventories") == ["1.9.1"]


def store_raw(made: Any, uid: str, content: bytes) -> int:
    """C-STORE of bytes that pynetdicom would not make."""
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID, request.Priority = STORAGE, uid, 2
    request.DataSet = BytesIO(content)
    made._reactor_checkpoint.clear()
    made.dimse.send_msg(request, made.accepted_contexts[0].context_id)
    _, response = made.dimse.get_msg(block=True)
    made._reactor_checkpoint.set()
    return int(response.Status)


def test_what_is_too_large_is_refused_and_the_association_goes_on(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"MaximumImportSize": 1})
    large = foreign.encode(foreign.inventory("1.9.1", [foreign.study(number, 4, 20) for number in range(1, 100)]))
    assert len(large) > 1024 * 1024
    with association(port, STORAGE) as made:
        answer = made.send_c_store(pydicom.dcmread(BytesIO(large)))
        assert answer.Status == 0xA700 and "MaximumImportSize" in answer.ErrorComment
        assert made.send_c_store(pydicom.dcmread(BytesIO(foreign.encode(foreign.inventory("1.9.2"))))).Status == 0
    assert server.get("/inventories") == ["1.9.2"]


def test_only_what_is_allowed_comes_in(make_server: MakeServer) -> None:
    modalities = {"friend": {"AET": "FRIEND", "Host": "127.0.0.1", "Port": 104}}
    server, port = start(make_server, DicomAlwaysAllowStore=False, DicomModalities=modalities)
    file = foreign.encode(foreign.inventory("1.9.1"))
    with association(port, STORAGE, MOVE, ae_title="STRANGER") as made:
        assert made.is_established and [context.result for context in made.rejected_contexts] == [1]
        list(made.send_c_move(keys(SOPInstanceUID="1.9.1"), "FRIEND", MOVE))
        with pytest.raises(ValueError, match="No presentation context"):
            made.send_c_store(pydicom.dcmread(BytesIO(file)))
    assert send(port, file, ae_title="friend").Status == 0
    assert server.get("/inventories") == ["1.9.1"]
