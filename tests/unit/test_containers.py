"""Files in containers are found; what leads out of one, or would fill the disk, is refused. URIs are merged."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

import orthanc_inventory
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.uris import resolve
from orthanc_inventory.reader import InvalidInventory
from orthanc_inventory.reader.containers import InvalidContainer, open_stored_file

from .inventories import file, opened, study, uids
from .test_reader import chain, reference, study_uids

BOMB = b"\0" * (200 * 1024 * 1024)


def make_zip(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.USTAR_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def make_tar_gz(path: Path, files: Mapping[str, bytes]) -> Path:
    return make_tar(path, files, "w:gz")


ARCHIVES = pytest.mark.parametrize(
    ("container", "make"), [("ZIP", make_zip), ("TAR", make_tar), ("TARGZIP", make_tar_gz)], ids=["ZIP", "TAR", "TARGZIP"]
)


@ARCHIVES
def test_members_are_read_by_name(container: str, make: Callable[..., Path], tmp_path: Path) -> None:
    path = make(tmp_path / "x", {"a/one.dcm": b"one", "a/Größe 2": b"two", "three": b"three" * 1000})
    names = {"a/one.dcm": b"one", "./a/one.dcm": b"one", "a/Gr%C3%B6%C3%9Fe%202": b"two", "three": b"three" * 1000}
    for name, content in names.items():
        with open_stored_file(path, container, name) as stream:
            assert stream.seekable() and stream.read() == content
    with pytest.raises(InvalidContainer, match="no member with this Filename in Container"):
        open_stored_file(path, container, "a/other")
    with pytest.raises(InvalidContainer, match="Filename in Container is missing"):
        open_stored_file(path, container)


def test_the_other_containers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two"))
    assert open_stored_file(path, "GZIP").read() == b"onetwo"
    path.write_bytes(b"0123456789")
    assert open_stored_file(path, "BLOB", offset=2, length=3).read() == b"234"
    assert open_stored_file(path, "BLOB", offset=10, length=0).read() == b""
    assert open_stored_file(path).read() == open_stored_file(path, "DICOM").read() == b"0123456789"
    for offset, length in ((8, 3), (11, 0), (2**63, 2**63)):
        with pytest.raises(InvalidContainer, match="lead out of it"):
            open_stored_file(path, "BLOB", offset=offset, length=length)
    with pytest.raises(InvalidContainer, match="are missing"):
        open_stored_file(path, "BLOB", offset=0)
    with pytest.raises(InvalidContainer, match="Container File Type is unknown"):
        open_stored_file(path, "RAR", "x")


@ARCHIVES
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../x", "leads out of"),
        ("a/../../x", "leads out of"),
        ("/etc/x", "absolute"),
        ("C:/x", "absolute"),
        ("a\\..\\x", "absolute"),
    ],
)
def test_names_that_lead_out_are_refused(
    container: str, make: Callable[..., Path], name: str, problem: str, tmp_path: Path
) -> None:
    good = make(tmp_path / "good", {"x": b"x"})
    with pytest.raises(InvalidContainer, match=problem):
        open_stored_file(good, container, name)
    bad = make(tmp_path / "bad", {name: file("1.1"), "1.0.dcm": file("1.0")})
    with pytest.raises(InvalidContainer, match=problem):
        open_stored_file(bad, container, "x")
    with pytest.raises(InvalidContainer, match=problem):
        orthanc_inventory.open(bad)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad", "good"]


def test_links_are_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("x")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(InvalidContainer, match="a link"):
        open_stored_file(tmp_path / "zip", "ZIP", "x")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        member = tarfile.TarInfo("x")
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "tar", "w") as tar:
            tar.addfile(member)
        with pytest.raises(InvalidContainer, match="a link"):
            open_stored_file(tmp_path / "tar", "TAR", "x")


def test_encrypted_members_and_other_compressions_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x", {"x": b"x"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InvalidContainer, match="encrypted"):
        open_stored_file(path, "ZIP", "x")
    with pytest.raises(InvalidContainer, match="another way than DEFLATE"):
        open_stored_file(make_zip(tmp_path / "y", {"x": b"x"}, zipfile.ZIP_BZIP2), "ZIP", "x")


@pytest.mark.parametrize("container", ["ZIP", "TARGZIP", "GZIP"])
def test_bombs_are_refused(container: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if container == "GZIP":
        path.write_bytes(gzip.compress(BOMB))
    else:
        (make_zip if container == "ZIP" else make_tar_gz)(path, {"bomb": BOMB, "x": b"x"})
    with pytest.raises(InvalidInventory, match="250 times its size"):
        open_stored_file(path, container, "x")


def test_a_deflated_bomb_is_refused(tmp_path: Path) -> None:
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    from .inventories import written

    data_set = pydicom.dcmread(io.BytesIO(file("1.0")))
    data_set.add_new(0x00420011, "OB", BOMB)
    with pytest.raises(InvalidInventory, match="250 times its size"):
        opened({"1.0": written(data_set, DeflatedExplicitVRLittleEndian)}, "1.0")


@ARCHIVES
def test_archives_of_an_inventory_are_opened(container: str, make: Callable[..., Path], tmp_path: Path) -> None:
    files = {f"IMAGES/{number}": content for number, content in enumerate(chain(2).values())}
    path = make(tmp_path / "inventory", {"README": b"x" * 1000, "DICOMDIR": b"\0" * 128 + b"DICM", **files})
    inventory = orthanc_inventory.open(path, verify=True)
    assert study_uids(inventory) == ["2.2", "2.1", "2.0"]
    assert [entry.uid for entry in inventory.study("2.1")] == ["2.1"]
    twice = make(tmp_path / "twice", {"a": file("1.0"), "b": file("1.0")})
    with pytest.raises(InvalidContainer, match="two files are 1.0.dcm"):
        orthanc_inventory.open(twice)
    with pytest.raises(InvalidInventory, match="no inventory in it"):
        orthanc_inventory.open(make(tmp_path / "none", {"README": b"x"}))


def test_a_compressed_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "inventory.dcm.gz").write_bytes(gzip.compress(file("1.0", [study("2.1")])))
    assert study_uids(orthanc_inventory.open(tmp_path / "inventory.dcm.gz")) == ["2.1"]


def test_files_of_an_archive_vanish_with_the_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    inventory = orthanc_inventory.open(make_zip(tmp_path / "zip", {"x": file("1.0", [study("2.1")])}))
    [folder] = (tmp_path / "work").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()] == [0o600]
    assert study_uids(inventory) == ["2.1"]
    del inventory
    assert not list((tmp_path / "work").iterdir())


@ARCHIVES
def test_a_reference_may_lead_into_a_container(container: str, make: Callable[..., Path], tmp_path: Path) -> None:
    leaf = file("1.1", [study("2.1", {"2.1.1": ["2.1.1.1"]})])
    make(tmp_path / "leaves", {"a/leaf 1": leaf})
    access = {"FileAccessURI": "./leaves", "ContainerFileType": container, "FilenameInContainer": "a/leaf%201"}
    (tmp_path / "root").write_bytes(file("1.0", references=[reference(leaf, "1.1", **access)], below=1))
    assert uids(orthanc_inventory.open(tmp_path / "root", verify=True)) == [("2.1", [("2.1.1", ["2.1.1.1"])])]


def test_a_reference_may_lead_into_a_blob(tmp_path: Path) -> None:
    leaf = file("1.1", [study("2.1")])
    (tmp_path / "blob").write_bytes(b"before" + leaf + b"behind")
    access: dict[str, Any] = {
        "FileAccessURI": "./blob", "ContainerFileType": "BLOB", "FileOffsetInContainer": 6, "FileLengthInContainer": len(leaf),
    }
    (tmp_path / "root").write_bytes(file("1.0", references=[Reference("1.1", "", {**access, "MAC": ""})], below=1))
    assert study_uids(orthanc_inventory.open(tmp_path / "root")) == ["2.1"]


def hinting_file() -> bytes:
    """An inventory whose references and end points the reader follows."""
    access: dict[str, Any] = {
        "FileAccessURI": "./blob", "ContainerFileType": "BLOB", "FileOffsetInContainer": 6, "FileLengthInContainer": 8,
    }
    end_points = [{"StoredInstanceBaseURI": "file:///nowhere/", "RetrieveAETitle": "A"}]
    record = study("2.1", {"2.1.1": ["2.1.1.1"]}, StoredInstanceBaseURI="http://[::1]/")
    record.series[0].instances[0].attributes = {
        **record.series[0].instances[0].attributes, "FileAccessSequence": [{"FileAccessURI": "./x", "FileLengthInContainer": 1}],
    }
    return file(
        "1.0", [record], [Reference("1.1", "00" * 32, access)], 1,
        InventoryAccessEndPointsSequence=end_points, StudyAccessEndPointsSequence=end_points,
    )


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=strategies.data(), make=strategies.sampled_from([make_zip, make_tar, make_tar_gz, None]))
def test_damage_is_told_or_harmless(data: strategies.DataObject, make: Callable[..., Path] | None, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if make is None:
        path.write_bytes(hinting_file())
    else:
        make(path, {"1.0.dcm": hinting_file(), "b": b"b"})
    content = bytearray(path.read_bytes())
    for place in data.draw(strategies.lists(strategies.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= 1 << data.draw(strategies.integers(0, 7))
    path.write_bytes(content[: data.draw(strategies.just(len(content)) | strategies.integers(0, len(content)))])
    try:
        inventory = orthanc_inventory.open(path, verify=True, missing=lambda uid: None)
        for merged in inventory.merged_studies():
            for series in merged.series():
                for instance in series.instances():
                    assert isinstance(list(instance.files()), list)
    except InvalidInventory:
        pass


def test_a_zip_whose_directory_lies_before_its_start_is_told(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x", {"x": b"x"})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\5\6") + 17] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(InvalidContainer, match="the container is broken"):
        open_stored_file(path, "ZIP", "x")


def test_text_that_claims_to_be_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for keyword, vr in (("RetrieveAETitle", b"AE"), ("StoredInstanceBaseURI", b"UR")):
        content = hinting_file()
        place = content.index({"RetrieveAETitle": b"\x08\0\x54\0AE", "StoredInstanceBaseURI": b"\x08\0\x07\x04UR"}[keyword])
        path.write_bytes(content[: place + 4] + (b"US" if vr == b"AE" else b"OB") + content[place + 6 :])
        with pytest.raises(InvalidInventory, match=r"element 0008[0-9]{4} cannot have the VR (US|OB) \(PS3.6 6\)"):
            orthanc_inventory.open(path)


def test_a_pipe_does_not_keep_the_reader_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError, match="not a regular file"):
        orthanc_inventory.open(tmp_path / "pipe")
    (tmp_path / "1.0.dcm").write_bytes(file("1.0", [study("2.1")]))
    assert study_uids(orthanc_inventory.open(tmp_path)) == ["2.1"]


@pytest.mark.parametrize(
    ("uri", "base", "merged"),
    [
        ("./instances/1/file", "https://pacs.example.org/", "https://pacs.example.org/instances/1/file"),
        ("./JZ/1.dcm", "https://h/archive/", "https://h/archive/JZ/1.dcm"),
        ("./1.dcm", "https://h/archive/JZ", "https://h/archive/1.dcm"),
        ("./a/../b", "https://h/x/", "https://h/x/b"),
        ("./1.dcm", "smb://server/share/folder/", "smb://server/share/folder/1.dcm"),
        ("./1.dcm", "nfs://server/export/", "nfs://server/export/1.dcm"),
        ("./1.dcm", "s3://bucket/", "s3://bucket/1.dcm"),
        ("./1.dcm", "file:///archive/", "file:///archive/1.dcm"),
        ("./a?b=c", "x+y-z.1://h/", "x+y-z.1://h/a?b=c"),
        ("https://other/1", "https://pacs/", "https://other/1"),
        ("urn:oid:1.2", "https://pacs/", "urn:oid:1.2"),
        ("./1.dcm", "", "./1.dcm"),
    ],
)
def test_relative_uris_count_from_their_base(uri: str, base: str, merged: str) -> None:
    assert resolve(uri, base) == merged


def test_the_nearest_base_counts() -> None:
    records = study("2.1", {"2.1.1": ["2.1.1.1"], "2.1.2": ["2.1.2.1"]}, StoredInstanceBaseURI="http://study/")
    records.series[0].attributes = {**records.series[0].attributes, "StoredInstanceBaseURI": "http://series/"}
    other = study("2.2", {"2.2.1": ["2.2.1.1"]})
    for series in records.series + other.series:
        files = [{"FileAccessURI": "./x"}, {"MACAlgorithm": "MD5"}]
        series.instances[0].attributes = {**series.instances[0].attributes, "FileAccessSequence": files}
    content = file("1.0", [records, other], StudyAccessEndPointsSequence=[{"StoredInstanceBaseURI": "http://inventory/"}])
    found = [
        list(instance.files())
        for entry in opened({"1.0": content}, "1.0").studies() for series in entry.series() for instance in series.instances()
    ]
    assert found == [
        [{"FileAccessURI": f"http://{base}/x"}, {"MACAlgorithm": "MD5"}] for base in ("series", "study", "inventory")
    ]
