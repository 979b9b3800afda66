"""Reads DICOM Inventories, root and leaves, of any size in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..dicom.decoder import InvalidInventory
from .folder import Folder, open_file
from .inventory import Inventory, MissingInstance
from .inventory_file import InventoryFile

__all__ = ["Inventory", "InvalidInventory", "MissingInstance", "open_inventory"]


def open_inventory(
    path: str | os.PathLike[str],
    uid: str = "",
    *,
    verify: bool = False,
    missing: Callable[[str], None] | None = None,
) -> Inventory:
    """The inventory at ``path``: the file of its root, or a folder or archive (ZIP, TAR, TARGZIP) with its files.

    Incorporated instances are looked for in the same folder by their SOP Instance UID, and where their File Access URI
    leads if that is a path or a file: URI; nothing is fetched over a network. ``uid`` is the SOP Instance UID of the root
    where there are several. ``verify`` and ``missing``: see ``Inventory``.

    Raises:
        InvalidInventory: no inventory, a broken one, or several.
        MissingInstance: there is no instance ``uid``.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        folder = Folder(path)
        root = uid or _only_root(folder, path)
    else:
        with open_file(path) as stream:
            root = InventoryFile(stream, str(path)).uid
        folder = Folder(path.parent, path)
    return Inventory(root, folder.open, verify=verify, missing=missing)


def _only_root(folder: Folder, path: Path) -> str:
    roots = folder.roots()
    if len(roots) == 1:
        return roots[0]
    problem = f"several inventories, choose one by uid: {', '.join(roots)}" if roots else "no inventory in it"
    raise InvalidInventory(str(path), 0, problem, "PS3.3 C.38.1.1.5")
