"""orthanc-inventory get: a whole inventory in a folder, from our own Application Entity and from those of others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from orthanc_inventory.reader import open_inventory
from tests.integration import archive, foreign
from tests.integration.server import Server
from tests.integration.test_command_line import command, environment, refused

from .peer import FIND, GET, STORAGE, keys, serving, start

MakeServer = Callable[..., Server]


def fetched(port: int, uid: str, folder: Path, *arguments: str, code: int = 0) -> tuple[dict[str, Any], list[str]]:
    """What the command says, and its lines for people."""
    done = command("get", uid, str(folder), "--peer", f"PEER@127.0.0.1:{port}", "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout), [line for line in done.stderr.splitlines() if " is here" not in line]


# Our own Application Entity


def test_a_tree_is_fetched_and_an_attempt_that_broke_off_goes_on(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 6})
    server.store(*archive.files(5))
    made = server.make()
    root, *leaves = made["InstanceUIDs"]
    folder = tmp_path / "new" / "folder"
    told, lines = fetched(port, root, folder)
    path = folder / f"{root}.dcm"
    assert told == {
        "SOPInstanceUID": root, "Path": str(path), "Files": len(leaves) + 1, "Fetched": len(leaves) + 1, "Missing": [],
        "Different": [], "Unchecked": [root],
    }
    assert lines == []  # of the root there can be no MAC
    for uid in made["InstanceUIDs"]:
        file = folder / f"{uid}.dcm"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == made["SHA256"][uid]
        assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700 and len(list(folder.iterdir())) == len(leaves) + 1
    assert len(list(open_inventory(folder, verify=True).studies())) == 5
    # What is there is not asked for again; what is missing, cut off or changed is.
    before = {uid: (folder / f"{uid}.dcm").stat().st_mtime_ns for uid in made["InstanceUIDs"]}
    assert fetched(port, root, folder)[0]["Fetched"] == 0
    (folder / f"{leaves[0]}.dcm").unlink()
    with (folder / f"{leaves[1]}.dcm").open("r+b") as file:
        file.truncate(500)
    content = (folder / f"{leaves[2]}.dcm").read_bytes()
    (folder / f"{leaves[2]}.dcm").write_bytes(content.replace(b"1.2.826", b"1.2.827", 1))
    assert fetched(port, root, folder)[0]["Fetched"] == 3
    after = {uid: (folder / f"{uid}.dcm").stat().st_mtime_ns for uid in made["InstanceUIDs"]}
    assert {uid for uid in after if after[uid] != before[uid]} == set(leaves[:3])
    open_inventory(folder, verify=True)
    # Without --json, the path of the root.
    done = command("get", root, str(folder), "--peer", f"INVENTORY@127.0.0.1:{port}")
    assert done.stdout == f"{path}\n"


def test_what_is_gone_there_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 6})
    server.store(*archive.files(5))
    root, gone, *_ = server.make()["InstanceUIDs"]
    server.delete(server.request("POST", "/tools/lookup", data=gone).json()[0]["Path"])
    told, lines = fetched(port, root, tmp_path, code=1)
    assert told["Missing"] == [gone] and f"missing: {gone}" in lines
    assert any("PEER ends with B000H" in line for line in lines)
    told = refused("get", "1.2.3", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}")
    assert "PEER does not send the inventory 1.2.3" in told
    told = refused("get", "../x", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}")
    assert "UID must be the SOP Instance UID" in told


@pytest.mark.parametrize("kept", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_an_inventory_from_elsewhere_comes_as_it_is_kept(make_server: MakeServer, kept: str, tmp_path: Path) -> None:
    server, port = start(make_server)
    data = foreign.inventory("1.9.1", [foreign.study(number) for number in range(1, 4)])
    assert server.request("POST", "/inventories/import", data=foreign.encode(data, kept)).status_code == 200
    told, _ = fetched(port, "1.9.1", tmp_path)
    read = pydicom.dcmread(told["Path"])
    assert read.file_meta.TransferSyntaxUID == kept and Dataset({element.tag: element for element in read}) == data


# Peers of another make


def root_of(*leaves: tuple[str, dict[str, Any]], uid: str = "1.8.1") -> Dataset:
    references = [
        keys(ReferencedSOPClassUID=STORAGE, ReferencedSOPInstanceUID=leaf, **access) for leaf, access in leaves
    ]
    return foreign.inventory(uid, [], IncorporatedInventoryInstanceSequence=references, TotalNumberOfStudyRecords=len(leaves))


def leaf(uid: str) -> Dataset:
    return foreign.inventory(uid, [foreign.study(1)], InventoryCompletionStatus="PARTIAL")


def sends(
    objects: dict[str, Dataset], syntax: str = ExplicitVRLittleEndian, fail_after: int = 0
) -> tuple[Callable[[evt.Event], Iterator[Any]], list[str]]:
    """What answers C-GET with these objects, and the UIDs that were asked for. It disappears after some of them."""
    asked: list[str] = []

    def handle(event: evt.Event) -> Iterator[Any]:
        uids = event.identifier.SOPInstanceUID
        wanted = [uids] if isinstance(uids, str) else list(uids)
        asked.extend(wanted)
        there = [objects[uid] for uid in wanted if uid in objects]
        for data in there:
            data.file_meta = FileMetaDataset()
            data.file_meta.TransferSyntaxUID = UID(syntax)
        yield len(there)
        for number, data in enumerate(there, 1):
            if fail_after and number > fail_after:
                event.assoc.abort()
                return
            yield 0xFF00, data

    return handle, asked


@contextmanager
def sending(
    objects: dict[str, Dataset], syntax: str = ExplicitVRLittleEndian, fail_after: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """A peer that sends these objects: its port, and the UIDs that it was asked for."""
    handle, asked = sends(objects, syntax, fail_after)
    with serving(GET, syntaxes=[syntax], handlers=[(evt.EVT_C_GET, handle)], sends=STORAGE) as port:
        yield port, asked


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_pynetdicom_sends_a_tree(syntax: str, tmp_path: Path) -> None:
    objects = {f"1.8.1.{number}": leaf(f"1.8.1.{number}") for number in range(1, 251)}
    objects["1.8.1"] = root_of(*((uid, {}) for uid in objects))
    with sending(objects, syntax) as (port, asked):
        told, lines = fetched(port, "1.8.1", tmp_path)
    assert (told["Files"], told["Missing"], len(told["Unchecked"])) == (251, [], 251) and sorted(asked) == sorted(objects)
    assert lines == ["251 of 251 files have no MAC to compare them with"]
    assert len(list(open_inventory(tmp_path).studies())) == 250
    assert pydicom.dcmread(tmp_path / "1.8.1.7.dcm").file_meta.TransferSyntaxUID == syntax


def test_a_mac_is_compared_if_it_can_be(tmp_path: Path) -> None:
    wrong, sha = "00" * 32, {"MACAlgorithm": "SHA256", "MAC": bytes(32)}
    assert bytes.fromhex(wrong) == sha["MAC"]
    objects = {uid: leaf(uid) for uid in ("1.8.1.1", "1.8.1.2", "1.8.1.3")}
    objects["1.8.1"] = root_of(
        ("1.8.1.1", sha), ("1.8.1.2", {"MACAlgorithm": "NONE", "MAC": bytes(32)}),
        ("1.8.1.3", {**sha, "StoredInstanceTransferSyntaxUID": DeflatedExplicitVRLittleEndian}),
    )
    with sending(objects) as (port, asked):
        told, lines = fetched(port, "1.8.1", tmp_path, code=1)
        assert told["Different"] == ["1.8.1.1"] and told["Unchecked"] == ["1.8.1", "1.8.1.2", "1.8.1.3"]
        assert "different: 1.8.1.1" in lines
        asked.clear()
        assert fetched(port, "1.8.1", tmp_path, "--ignore-mac")[0]["Fetched"] == 1 and asked == ["1.8.1.1"]


def test_a_peer_that_disappears_again_and_again(tmp_path: Path) -> None:
    objects = {f"1.8.1.{number}": leaf(f"1.8.1.{number}") for number in range(1, 8)}
    objects["1.8.1"] = root_of(*((uid, {}) for uid in objects))
    with sending(objects, fail_after=3) as (port, asked):
        told, lines = fetched(port, "1.8.1", tmp_path)
    assert told["Files"] == told["Fetched"] == 8 and sum("trying again" in line for line in lines) == 2
    # And then for good: what is there stays, and the next attempt goes on.
    for number in range(1, 6):
        (tmp_path / f"1.8.1.{number}.dcm").unlink()

    def vanish(event: evt.Event) -> Iterator[Any]:
        event.assoc.abort()
        yield 0

    with serving(GET, handlers=[(evt.EVT_C_GET, vanish)], sends=STORAGE) as port:
        told, lines = fetched(port, "1.8.1", tmp_path, code=1)
    assert told["Missing"] == [f"1.8.1.{number}" for number in range(1, 6)]
    assert any("the association with PEER ended" in line for line in lines)
    with sending(objects) as (port, asked):
        fetched(port, "1.8.1", tmp_path)
        assert len(asked) == 5


def test_what_is_no_inventory_or_was_not_asked_for_is_refused(tmp_path: Path) -> None:
    broken = foreign.inventory("1.8.1.1", [foreign.study(1)])
    del broken.InventoryLevel
    other = keys(SOPClassUID=STORAGE, SOPInstanceUID="../../1.8.1.2")
    objects = {"1.8.1": root_of(("1.8.1.1", {}), ("1.8.1.2", {})), "1.8.1.1": broken, "1.8.1.2": other}
    with sending(objects) as (port, _):
        told, lines = fetched(port, "1.8.1", tmp_path / "in", code=1)
    assert told["Missing"] == ["1.8.1.1", "1.8.1.2"]


def test_a_peer_that_sends_nothing_over_the_association(tmp_path: Path) -> None:
    with serving(GET, handlers=[(evt.EVT_C_GET, lambda event: iter([0]))]) as port:
        told = refused("get", "1.8.1", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}")
    assert "PEER does not accept to send objects over the association" in told
    # It accepts the class, but not the role.
    with serving(GET, STORAGE, handlers=[(evt.EVT_C_GET, lambda event: iter([0]))]) as port:
        told = refused("get", "1.8.1", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}")
    assert "PEER does not accept to send objects over the association" in told
    with serving(FIND) as port:
        told = refused("get", "1.8.1", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}")
    assert "PEER does not accept Inventory - GET" in told


def test_a_full_disk_leaves_nothing_half(tmp_path: Path) -> None:
    objects = {"1.8.1": root_of(("1.8.1.1", {})), "1.8.1.1": foreign.inventory("1.8.1.1", [foreign.study(1, 3, 2000)])}
    with sending(objects) as (port, _):
        arguments = ["get", "1.8.1", str(tmp_path), "--peer", f"PEER@127.0.0.1:{port}"]
        # No file may become larger than 200 kB.
        script = 'ulimit -f 200; trap "" XFSZ; exec "$@"'
        done = subprocess.run(
            ["bash", "-c", script, "-", sys.executable, "-m", "orthanc_inventory", *arguments],
            env=environment(), capture_output=True, text=True, timeout=120,
        )
    assert done.returncode == 1 and "missing: 1.8.1.1" in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["1.8.1.dcm"]
