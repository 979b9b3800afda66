"""orthanc-inventory verify: an archive that is damaged on the disk is told by text, lists and exit code."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from . import archive
from .server import Server
from .test_command_line import command, refused, succeeded


def test_an_archive_is_verified(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(3))
    root = server.make()["SOPInstanceUID"]
    output = succeeded("verify", "latest", "--check", "md5", "--url", server.url)
    assert "Checked:    3\n" in output and "Coverage:   100.00%" in output
    server.store(archive.file(4, 1))
    assert "Later:      1\n" in succeeded("verify", root, "--url", server.url)

    for path in (server.folder / "storage").rglob("*"):
        if path.is_file() and archive.uid(1, 1, 1, 1).encode() in path.read_bytes() and len(path.name) == 36:
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    victim = archive.uid(2, 1)
    [study] = server.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": victim}})
    server.delete(f"/studies/{study}")

    def verified(*options: str) -> str:
        done = command("verify", root, "--check", "MD5", "--url", server.url, *options)
        assert done.returncode == 1 and "the archive is not what the inventory says: of 3 instances" in done.stderr
        return done.stdout

    text = verified()
    assert "Missing:    1\n" in text and "Damaged:    1\n" in text
    assert f"Missing  STUDY  {victim}\n" in text and f"Damaged  INSTANCE  {archive.uid(1, 1)}  " in text
    document = json.loads(verified("--json"))
    assert document["Verification"]["Missing"] == 1
    assert sorted(finding["Kind"] for finding in document["Findings"]) == ["Damaged", "Extra", "Missing"]
    rows = list(csv.DictReader(verified("--format", "csv", "--kind", "Missing").splitlines()))
    assert [(row["Kind"], row["StudyInstanceUID"]) for row in rows] == [("Missing", victim)]
    assert verified("--format", "uids").split() == [archive.uid(1, 1), victim]


def test_what_cannot_be_verified_is_told(server: Server, tmp_path: Path) -> None:
    server.store(archive.file(1, 1))
    root = server.make(Level="STUDY")["SOPInstanceUID"]
    assert "Check must be EXISTS" in refused("verify", root, "--check", "SIZE", "--url", server.url)
    assert "INVENTORY must be a SOP Instance UID or 'latest'" in refused("verify", str(tmp_path), "--url", server.url)
    assert "(404)" in refused("verify", "1.2.3", "--url", server.url)
