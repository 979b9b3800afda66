"""Files as a side of a comparison."""

from __future__ import annotations

from pathlib import Path

from ...reader import open_inventory
from ...reader.containers import open_regular
from .inventories import InventorySide
from .lists import ListSide
from .sides import Side

# How the containers begin in which inventories are found: ZIP, GZIP; TAR has a mark of its own.
_CONTAINERS = (b"PK\3\4", b"PK\5\6", b"\x1f\x8b")


def open_side(path: Path, name: str = "", follow: bool = True) -> Side:
    """What lies at ``path``: an inventory as ``open_inventory`` takes it, or a list. ``name`` is what messages call a list.

    ``follow``: see ``open_inventory``.

    Raises:
        InvalidInventory, MissingInstance, InvalidList, OSError
    """
    return ListSide(path, name) if is_list(path) else InventorySide(open_inventory(path, follow=follow))


def is_list(path: Path) -> bool:
    """Whether the file is neither DICOM nor a container, so that it is taken for a list.

    Raises:
        OSError
    """
    if path.is_dir():
        return False
    with open_regular(path) as file:
        head = file.read(512)
    return head[128:132] != b"DICM" and head[257:262] != b"ustar" and not head.startswith(_CONTAINERS)
