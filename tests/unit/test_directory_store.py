"""Inventories as files: private, whole or not there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orthanc_inventory.dicom.inventory import Inventory
from orthanc_inventory.stores import InstanceGone, Run, StoreError
from orthanc_inventory.stores.directory import DirectoryStore

RUN = Run("1.2.3", "1.2.3.4")


def put(store: DirectoryStore, uid: str, content: bytes) -> None:
    store.put(RUN, Inventory(uid, {}, b"", 0, 0), content, 1)


def test_files_are_private_and_come_back(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "instances")
    content = bytes(range(256)) * 10_000
    put(store, "1.5", content)
    assert b"".join(store.read(RUN, "1.5")) == content
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "instances").rglob("*")}
    assert modes == {"1.2.3": 0o700, "1.5.dcm": 0o600}
    assert store.present(RUN, ["1.5", "1.6"]) == {"1.5"}
    with pytest.raises(InstanceGone):
        store.read(RUN, "1.6")


def test_only_what_counts_is_kept(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for uid in ("1.5", "1.6"):
        put(store, uid, b"content")
    (tmp_path / "1.2.3" / "1.7.part").write_bytes(b"cut short")
    store.keep_only(RUN, ["1.6"])
    assert [path.name for path in (tmp_path / "1.2.3").iterdir()] == ["1.6.dcm"]
    store.keep_only(RUN, [])
    assert list(tmp_path.iterdir()) == []
    store.keep_only(RUN, [])


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / "1.2.3").mkdir()
    (tmp_path / "1.2.3" / "1.5.dcm").mkdir()
    with pytest.raises(StoreError, match="Inventory.StateDirectory"):
        put(store, "1.5", b"content")
    assert not list(tmp_path.rglob("*.part"))
