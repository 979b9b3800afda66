"""Reads DICOM Inventories, root and leaves, of any size in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..dicom.decoder import InvalidInventory
from .containers import extracted, open_regular
from .folder import Folder, inventory_uid
from .inventory import Inventory, MissingInstance
from .inventory_file import InventoryFile

__all__ = ["Inventory", "InvalidInventory", "MissingInstance", "open_inventory"]


def open_inventory(
    path: str | os.PathLike[str],
    uid: str = "",
    *,
    verify: bool = False,
    missing: Callable[[str], None] | None = None,
    follow: bool = True,
) -> Inventory:
    """The inventory at ``path``: the file of its root, or a folder or container (ZIP, TAR, GZIP, TARGZIP) with its files.

    Incorporated instances are looked for in the same folder by their SOP Instance UID, and where their File Access URI
    leads if that is a path or a file: URI; nothing is fetched over a network. ``uid`` is the SOP Instance UID of the root
    where there are several. ``verify`` and ``missing``: see ``Inventory``. Without ``follow`` only the folder is looked at:
    a file from a stranger must not lead to others.

    Raises:
        InvalidInventory: no inventory, a broken one, or several.
        MissingInstance: there is no instance ``uid``.
        OSError: the file cannot be read.
    """
    path = Path(path)
    files = None if path.is_dir() else extracted(path, _file_name)
    folder = Folder(files, temporary=True) if files else Folder(path if path.is_dir() else path.parent)
    file = folder.path(uid or _only_root(folder, path)) if files or path.is_dir() else path
    root = InventoryFile(open_regular(file), str(file))
    if uid not in ("", root.uid):
        raise MissingInstance(uid)
    if follow:
        folder.follow(root, file)
    return Inventory(root.uid, folder.open, verify=verify, missing=missing)


def _file_name(head: BinaryIO) -> str:
    uid = inventory_uid(head)
    return f"{uid}.dcm" if uid else ""


def _only_root(folder: Folder, path: Path) -> str:
    roots = folder.roots()
    if len(roots) == 1:
        return roots[0]
    if roots:
        problem = f"several inventories, choose one by uid: {', '.join(roots)}"
    else:
        problem = "no inventory that is not incorporated in another" if folder.uids() else "no inventory in it"
    raise InvalidInventory(str(path), 0, problem, "PS3.3 C.38.1.1.5")
