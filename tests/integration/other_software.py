"""DCMTK of Debian 12 and of Debian 13, and GDCM: they read what the plugin writes, without a word of complaint.

DCMTK 3.6.9 of Debian 13 knows the SOP class, the attributes and the directory record of inventories, 3.6.7 does not.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gdcm

from .server import DEBIAN_12, DEBIAN_13, Installation, Server

NEW_DCMTK = DEBIAN_13


def dcmtk(installation: Installation, folder: Path, *arguments: str) -> str:
    """What a tool of DCMTK writes, run in the folder; it neither warns nor fails."""
    command = ["env", "--chdir", str(folder), *arguments]
    done = subprocess.run(installation.command(folder, *command), capture_output=True, encoding="latin-1", check=False)
    complaints = [line for line in done.stderr.splitlines() if line.startswith(("W:", "E:", "F:"))]
    assert done.returncode == 0 and not complaints, done.stderr
    return done.stdout


def check_by_dcmdump(folder: Path, uids: Iterable[str], *names: str) -> None:
    """Both read the files, in which these UIDs stand, and the new one knows each element of a public group by name."""
    for installation in (DEBIAN_12, NEW_DCMTK):
        dump = dcmtk(installation, folder, "dcmdump", "-v", *names)
        assert not [uid for uid in uids if f"[{uid}]" not in dump]
    elements = [line.strip() for line in dump.splitlines() if line.strip().startswith("(")]
    # The groups of private elements have odd numbers.
    unknown = [line for line in elements if line.endswith("Unknown Tag & Data") and not int(line[4], 16) % 2]
    assert "=InventoryStorage" in dump and not unknown, unknown


def check_files(server: Server, summary: dict[str, Any]) -> None:
    """Each file of the tree is read by DCMTK and GDCM."""
    paths = {uid: server.folder / f"inventory{number}.dcm" for number, uid in enumerate(summary["InstanceUIDs"])}
    for uid, path in paths.items():
        path.write_bytes(server.request("GET", f"/inventories/{uid}/file").content)
        reader = gdcm.Reader()
        reader.SetFileName(str(path))
        assert reader.Read()
        text = gdcm.StringFilter()
        text.SetFile(reader.GetFile())
        assert text.ToString(gdcm.Tag(0x0008, 0x0018)).rstrip("\0") == uid
    check_by_dcmdump(server.folder, paths, *(path.name for path in paths.values()))
