"""Files and archives that are too large for the first form of ZIP: that of ZIP64 is used in time, and others read it."""

from __future__ import annotations

import struct
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from orthanc_inventory.reports import archive

from .inventories import file, study

SMALL = file("1.1", [study("2.1")])
LARGE = file("1.2", [study(f"2.{number}", {f"3.{number}": [f"4.{number}"]}) for number in range(200)])
# The limits of ZIP, in bytes and members, as if they were so small that these files come to them.
LIMIT = 16 * 1024


def test_large_files_are_members_of_zip64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert len(SMALL) < LIMIT // 2 and len(LARGE) > 2 * LIMIT
    with monkeypatch.context() as patch:
        patch.setattr(archive, "_LARGEST_WITHOUT_ZIP64", LIMIT)
        patch.setattr(zipfile, "ZIP64_LIMIT", LIMIT)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
        files = (SMALL, LARGE, LARGE)
        content = b"".join(archive.archive((len(file), BytesIO(file)) for file in files))
    (tmp_path / "archive.zip").write_bytes(content)
    subprocess.run(["unzip", "-q", str(tmp_path / "archive.zip"), "-d", str(tmp_path)], check=True, capture_output=True)
    with zipfile.ZipFile(BytesIO(content)) as members:
        assert members.testzip() is None
        found = members.infolist()
        for member, expected in zip(found, files):
            assert members.read(member) == (tmp_path / member.filename).read_bytes() == expected
    assert [member.filename for member in found[3:]] == ["DICOMDIR"]
    # The header of a large one has the extra field of ZIP64.
    extra = [struct.unpack_from("<H", content, member.header_offset + 28)[0] > 0 for member in found]
    assert extra == [False, True, True, False]
    # What follows the data has sizes of 8 bytes then.
    ends = [*(member.header_offset for member in found[1:]), members.start_dir]
    for member, end, sizes in zip(found, ends, ("<LL", "<QQ", "<QQ")):
        assert struct.unpack_from(sizes, content, end - struct.calcsize(sizes)) == (member.compress_size, member.file_size)
    # More members than the first form can count: the end of the archive has its ZIP64 form before it.
    assert struct.unpack_from("<Q", content, content.rindex(b"PK\x06\x06") + 32) == (4,)
