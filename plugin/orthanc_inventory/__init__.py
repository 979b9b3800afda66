"""The Inventory of DICOM Supplement 223 for Orthanc: what exactly is in the archive, and is it all there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reader import open_inventory as open

__version__ = "0.1.0"
__all__ = ["open"]


def __getattr__(name: str) -> Any:
    """``orthanc_inventory.open`` reads an inventory, see ``reader.open_inventory``; the reader is loaded when it is used."""
    if name == "open":
        from .reader import open_inventory

        return open_inventory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
