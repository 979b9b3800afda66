"""Keeps inventories as files in a folder: nothing is stored in Orthanc."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from ..dicom.inventory import Inventory
from . import InstanceGone, Kept, Run, StoreError

_CHUNK = 1024 * 1024
# Tells of a file from elsewhere how it came.
_ORIGIN = "origin.json"


class DirectoryStore:
    """One folder a run below ``folder``, one file an instance, named after their UIDs. ``key`` is that of the configuration."""

    def __init__(self, folder: Path, key: str = "Inventory.StateDirectory") -> None:
        self._folder = folder
        self._key = key

    def check(self, size: int) -> None:
        """Nothing to ask beforehand: a full disk is told by the write, and harms nothing."""

    def put(self, run: Run, inventory: Inventory, file: bytes, number: int) -> str:
        self.write(run, inventory.uid, (file,))
        return ""

    def write(self, run: Run, uid: str, chunks: Iterable[bytes]) -> None:
        """Keeps a file as it is, whoever made it. Raises: StoreError."""
        self._write(self._path(run, uid), chunks)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        try:
            # Of the folders above it, ``mkdir`` would make none private.
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_file(path, chunks)
        except OSError as error:
            raise StoreError(f"an inventory cannot be written below {self._key}: {error.strerror}") from None

    def write_origin(self, run: Run, origin: Mapping[str, str]) -> None:
        """Beside what came from elsewhere, ``Kept.origin`` of it. Raises: StoreError."""
        self._write(self._folder / run.study_uid / _ORIGIN, (json.dumps(origin).encode(),))

    def read(self, run: Run, uid: str) -> Iterator[bytes | memoryview]:
        return chunks_of(self.open(run, uid))

    def open(self, run: Run, uid: str) -> BinaryIO:
        try:
            # By its descriptor, so that no message about its content tells users where it lies.
            return open(os.open(self._path(run, uid), os.O_RDONLY), "rb")
        except FileNotFoundError:
            raise InstanceGone from None

    def present(self, run: Run, uids: Iterable[str]) -> set[str]:
        return {uid for uid in uids if self._path(run, uid).exists()}

    def runs(self) -> list[str]:
        try:
            folders = sorted(self._folder.iterdir(), key=lambda folder: folder.stat().st_mtime)
        except FileNotFoundError:
            return []
        return [folder.name for folder in folders if folder.is_dir()]

    def contents(self, study_uid: str) -> Kept:
        folder = self._folder / study_uid
        try:
            origin = json.loads((folder / _ORIGIN).read_bytes())
        except (OSError, ValueError):
            origin = {}
        return Kept(Run(study_uid), {path.stem: "" for path in folder.glob("*.dcm")}, origin)

    def delete(self, run: Run, uid: str) -> None:
        self._path(run, uid).unlink(missing_ok=True)

    def keep_only(self, run: Run, uids: Iterable[str]) -> None:
        folder = self._folder / run.study_uid
        if not folder.exists():
            return
        kept = {self._path(run, uid) for uid in uids}
        if kept:
            kept.add(folder / _ORIGIN)
        try:
            for path in folder.iterdir():
                if path not in kept:
                    path.unlink(missing_ok=True)
            if not kept:
                folder.rmdir()
        except FileNotFoundError:  # another does the same
            return
        except OSError as error:
            raise StoreError(f"an inventory cannot be deleted below Inventory.StateDirectory: {error.strerror}") from None

    def _path(self, run: Run, uid: str) -> Path:
        return self._folder / run.study_uid / f"{uid}.dcm"


def write_file(path: Path, chunks: Iterable[bytes], check: Callable[[Path], None] = lambda unfinished: None) -> None:
    """Writes a file, for its owner alone, that is there as a whole or not at all, also after a loss of power.

    ``check`` may look at it before it has its name, and raise.

    Raises:
        OSError
    """
    unfinished = path.with_suffix(".part")
    try:
        # What a crash left there may be readable to others by now, or be a link to somewhere else.
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        check(unfinished)
        os.rename(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def chunks_of(stream: BinaryIO) -> Iterator[bytes]:
    """A file in pieces; it is closed at its end."""
    with stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
