"""The files of an inventory in a folder: found by SOP Instance UID, whatever they are called."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ..dicom.decoder import InvalidInventory
from ..dicom.file_format import read_meta_information
from ..dicom.uids import INVENTORY_STORAGE
from ..dicom.uris import resolve
from .inventory import MissingInstance
from .inventory_file import InventoryFile


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file; a pipe or a device would keep the reader waiting.

    Raises:
        OSError
    """
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise FileNotFoundError(f"{path} is not a regular file")
    return stream


class Folder:
    """Gives the inventory instances below a folder as streams. Headers are read when a file is not named after its UID."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._unseen = self._inventories()
        # The references of the root: where its File Access URIs lead.
        self._uris: dict[str, str] | None = {} if root is None else None
        self._root = root

    def open(self, uid: str) -> BinaryIO:
        """The instance with this SOP Instance UID.

        Raises:
            MissingInstance
        """
        path = self._paths.get(uid) or self._named(uid) or self._referenced(uid) or self._searched(uid)
        if path is None:
            raise MissingInstance(uid)
        return open_file(path)

    def uids(self) -> list[str]:
        """All inventory instances in the folder."""
        for uid, path in self._unseen:
            self._paths.setdefault(uid, path)
        return list(self._paths)

    def roots(self) -> list[str]:
        """The instances that no other incorporates."""
        uids = self.uids()
        incorporated = {
            reference.uid for uid in uids for reference in InventoryFile(self.open(uid), str(self._paths[uid])).references()
        }
        return [uid for uid in uids if uid not in incorporated]

    def _named(self, uid: str) -> Path | None:
        for name in (f"{uid}.dcm", uid):
            path = self._folder / name
            if _inventory_uid(path) == uid:
                return path
        return None

    def _referenced(self, uid: str) -> Path | None:
        """Where a File Access URI leads that is a path below the folder, or a file: URI. Nothing else is ever followed."""
        if self._uris is None:
            self._uris = self._file_access_uris()
        uri = self._uris.get(uid, "")
        base = self._folder.resolve().as_uri() + "/"
        parts = urlsplit(resolve(uri, base))
        if not uri or parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            return None
        path = Path(unquote(parts.path))
        if not uri.startswith("file:") and not path.resolve().is_relative_to(self._folder.resolve()):
            return None
        return path if _inventory_uid(path) == uid else None

    def _file_access_uris(self) -> dict[str, str]:
        assert self._root is not None
        root = InventoryFile(open_file(self._root), str(self._root))
        base = next(iter(root.attributes.get("InventoryAccessEndPointsSequence", [])), {}).get("StoredInstanceBaseURI", "")
        uris = {}
        for reference in root.references():
            access = reference.attributes
            if access.get("FileAccessURI"):
                uris[reference.uid] = resolve(access["FileAccessURI"], base)
        return uris

    def _searched(self, uid: str) -> Path | None:
        for found, path in self._unseen:
            self._paths.setdefault(found, path)
            if found == uid:
                return path
        return None

    def _inventories(self) -> Iterator[tuple[str, Path]]:
        for folder, _, names in os.walk(self._folder):
            for name in sorted(names):
                path = Path(folder, name)
                uid = _inventory_uid(path)
                if uid:
                    yield uid, path


def _inventory_uid(path: Path) -> str:
    """The SOP Instance UID of an inventory instance; empty for any other file."""
    try:
        with open_file(path) as stream:
            sop_class, uid, _ = read_meta_information(stream, str(path))
    except (OSError, InvalidInventory):
        return ""
    return uid if sop_class == INVENTORY_STORAGE else ""
