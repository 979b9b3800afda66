"""The files of an inventory in a folder: found by SOP Instance UID, whatever they are called."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ..dicom.decoder import InvalidInventory
from ..dicom.file_format import read_meta_information
from ..dicom.terms import PLAIN_FILE
from ..dicom.uids import INVENTORY_STORAGE
from ..dicom.uris import resolve
from .containers import open_regular, open_stored_file
from .inventory import MissingInstance
from .inventory_file import InventoryFile


class Folder:
    """Gives the inventory instances below a folder as streams. Headers are read when a file is not named after its UID.

    A ``temporary`` folder is deleted with this object.
    """

    def __init__(self, folder: Path, temporary: bool = False) -> None:
        self._folder = folder
        if temporary:
            weakref.finalize(self, shutil.rmtree, folder)
        self._paths: dict[str, Path] = {}
        self._unseen = self._inventories()
        self._accesses: dict[str, Mapping[str, Any]] = {}

    def follow(self, root: InventoryFile, path: Path) -> None:
        """Takes ``root`` for the instance with its UID, and its references for hints where the others are."""
        self._paths[root.uid] = path
        self._accesses = _accesses(root)

    def open(self, uid: str) -> BinaryIO:
        """The instance with this SOP Instance UID.

        Raises:
            MissingInstance
            InvalidContainer: it should be in a container, which is broken.
        """
        known = uid in self._paths or self._named(uid)
        stream = None if known else self._referenced(uid)
        return stream or open_regular(self.path(uid))

    def path(self, uid: str) -> Path:
        """The file in the folder with this SOP Instance UID.

        Raises:
            MissingInstance
        """
        path = self._paths.get(uid) or self._named(uid)
        if path is None:
            for found, path in self._unseen:
                self._paths.setdefault(found, path)
                if found == uid:
                    break
            else:
                raise MissingInstance(uid)
        return path

    def uids(self) -> list[str]:
        """All inventory instances in the folder."""
        for uid, path in self._unseen:
            self._paths.setdefault(uid, path)
        return list(self._paths)

    def roots(self) -> list[str]:
        """The instances that no other incorporates."""
        uids = self.uids()
        incorporated = {
            reference.uid for uid in uids for reference in InventoryFile(self.open(uid), str(self.path(uid))).references()
        }
        return [uid for uid in uids if uid not in incorporated]

    def _named(self, uid: str) -> Path | None:
        for name in (f"{uid}.dcm", uid):
            path = self._folder / name
            if _inventory_uid(path) == uid:
                return path
        return None

    def _referenced(self, uid: str) -> BinaryIO | None:
        """Where a File Access URI leads that is a path below the folder, or a file: URI. Nothing else is ever followed."""
        access = self._accesses.get(uid)
        if access is None:
            return None
        path = self._local_path(access["FileAccessURI"])
        container = access.get("ContainerFileType") or PLAIN_FILE
        if path is None or (container == PLAIN_FILE and _inventory_uid(path) != uid):
            return None
        places = (access.get(keyword) for keyword in ("FileOffsetInContainer", "FileLengthInContainer"))
        offset, length = (place if isinstance(place, int) else None for place in places)
        return open_stored_file(path, container, access.get("FilenameInContainer", ""), offset, length)

    def _local_path(self, uri: str) -> Path | None:
        here = self._folder.resolve()
        try:
            parts = urlsplit(resolve(uri, here.as_uri() + "/"))
            path = Path(unquote(parts.path))
            if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.is_file():
                return None
            return path if uri.startswith("file:") or path.resolve().is_relative_to(here) else None
        except (OSError, ValueError):  # no URI, or nothing that a path can be
            return None

    def _inventories(self) -> Iterator[tuple[str, Path]]:
        for folder, _, names in os.walk(self._folder):
            for name in sorted(names):
                path = Path(folder, name)
                uid = _inventory_uid(path)
                if uid:
                    yield uid, path


def _accesses(root: InventoryFile) -> dict[str, Mapping[str, Any]]:
    """The references of a root that have a File Access URI, which is made absolute if there is a base, by SOP Instance UID."""
    accesses: dict[str, Mapping[str, Any]] = {}
    for reference in root.references():
        access = reference.attributes
        if access.get("FileAccessURI"):
            accesses.setdefault(reference.uid, {**access, "FileAccessURI": resolve(access["FileAccessURI"], root.base_uri)})
    return accesses


def _inventory_uid(path: Path) -> str:
    """The SOP Instance UID of an inventory instance; empty for any other file."""
    try:
        with open_regular(path) as stream:
            return inventory_uid(stream)
    except OSError:
        return ""


def inventory_uid(stream: BinaryIO) -> str:
    """The SOP Instance UID of an inventory instance, of which the head is read; empty for anything else."""
    try:
        sop_class, uid, _ = read_meta_information(stream, "")
    except InvalidInventory:
        return ""
    return uid if sop_class == INVENTORY_STORAGE else ""
